#include "sync/edit_counter.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/log.h"

namespace lansync {
namespace {

std::uint64_t parse(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

// "0-5,1048576-1048577": what does not parse counts for nothing, which at worst makes a new id.
void EditCounter::load_runs(const std::string& text) {
  std::string_view rest = text;
  while (!rest.empty() && runs_.size() < kMaxRuns) {
    std::size_t end = std::min(rest.find(','), rest.size());
    std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    std::size_t dash = part.find('-');
    if (dash == std::string_view::npos) continue;
    Run run{parse(part.substr(0, dash)), parse(part.substr(dash + 1))};
    if (run.last > run.after) runs_.push_back(run);
  }
}

std::string EditCounter::runs_text() const {
  std::string text;
  for (const Run& run : runs_) text += str(text.empty() ? "" : ",", run.after, '-', run.last);
  return text;
}

void EditCounter::start(const Stored& stored, RandomSource& random) {
  const std::uint64_t reserved = parse(stored.reserved);
  // A program that did not write its last count down may have used all that it reserved.
  const std::uint64_t last = stored.last.empty() ? reserved : parse(stored.last);
  runs_.clear();
  load_runs(stored.runs);
  const Run run{parse(stored.begin), last};
  if (run.last > run.after) runs_.push_back(run);
  while (runs_.size() > kMaxRuns) {
    // What lies between the two is taken for ours: by then a copy has long been heard of.
    runs_[1].after = runs_[0].after;
    runs_.erase(runs_.begin());
  }
  shared_ = stored.shared.empty() ? last : parse(stored.shared);
  begin_ = last_ = reserved == 0 ? 0 : reserved + random.below(kJump);
}

bool EditCounter::forgot(std::uint64_t seen) const {
  if (seen == 0) return false;
  if (seen > begin_) return seen > last_;
  return std::none_of(runs_.begin(), runs_.end(),
                      [seen](const Run& run) { return seen > run.after && seen <= run.last; });
}

bool EditCounter::note_shared() {
  if (shared_ == last_) return false;
  shared_ = last_;
  return true;
}

}  // namespace lansync
