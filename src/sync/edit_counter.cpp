#include "sync/edit_counter.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <string_view>

#include "base/log.h"
#include "base/version_vector.h"

namespace lansync {
namespace {

// Far below kCountLimit: what a node counts in its life, and the jumps of its starts, fit above it.
constexpr std::uint64_t kMostStored = kCountLimit / 2;

std::optional<std::uint64_t> parse_whole(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > kMostStored)
    return std::nullopt;
  return value;
}

std::uint64_t parse(std::string_view text) { return parse_whole(text).value_or(0); }

// Takes what stands before `end`; all if it does not occur.
std::string_view take_until(std::string_view& rest, char end) {
  const std::size_t at = std::min(rest.find(end), rest.size());
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return part;
}

}  // namespace

// "0-5-<id>,1048576-1048577-<id>": what does not parse counts for nothing, which at worst makes a
// new key.
void EditCounter::load_runs(const std::string& text) {
  std::string_view rest = text;
  while (!rest.empty() && past_.size() < kMaxRuns) {
    std::string_view part = take_until(rest, ',');
    Past run;
    run.after = parse(take_until(part, '-'));
    run.last = parse(take_until(part, '-'));
    if (from_hex(part, run.id.bytes) && run.last >= run.after) past_.push_back(run);
  }
}

bool EditCounter::readable(const Stored& stored) {
  const std::string* const counts[] = {&stored.reserved, &stored.last, &stored.begin,
                                       &stored.shared};
  const bool numbers = std::all_of(
      std::begin(counts), std::end(counts),
      [](const std::string* text) { return text->empty() || parse_whole(*text).has_value(); });
  return numbers && parse(stored.last) <= parse(stored.reserved);
}

std::string EditCounter::runs_text() const {
  std::string text;
  for (const Past& run : past_)
    text += str(text.empty() ? "" : ",", run.after, '-', run.last, '-', to_hex(run.id));
  return text;
}

void EditCounter::start(const Stored& stored, RandomSource& random) {
  const std::uint64_t reserved = parse(stored.reserved);
  const std::uint64_t last = parse(stored.last);
  past_.clear();
  load_runs(stored.runs);
  Past run{parse(stored.begin), last, {}};
  run.last = std::max(run.last, run.after);
  // A run that made no count is one all the same: the group may have been told of it.
  if (from_hex(stored.run, run.id.bytes)) past_.push_back(run);
  while (past_.size() >= kMaxRuns) {
    // What lies between the two is taken for ours: by then a copy has long been heard of.
    past_[1].after = past_[0].after;
    past_.erase(past_.begin());
  }
  shared_ = stored.shared.empty() ? last : parse(stored.shared);
  begin_ = last_ = reserved == 0 ? 0 : reserved + random.below(kJump);
  run_ = random.id<StartId>();
}

void EditCounter::start_key(RandomSource& random) {
  past_.clear();
  begin_ = last_;
  run_ = random.id<StartId>();
}

std::vector<Run> EditCounter::runs() const {
  std::vector<Run> all;
  StartId before;
  for (const Past& run : past_) {
    all.push_back({run.after + 1, run.id, before});
    before = run.id;
  }
  all.push_back({begin_ + 1, run_, before});
  return all;
}

bool EditCounter::forgot(std::uint64_t seen) const {
  if (seen == 0) return false;
  if (seen > begin_) return seen > last_;
  return std::none_of(past_.begin(), past_.end(),
                      [seen](const Past& run) { return seen > run.after && seen <= run.last; });
}

std::uint64_t EditCounter::shared_part() const {
  const std::uint64_t first = past_.empty() ? begin_ : past_.front().after;
  return shared_ > first ? shared_ : 0;
}

bool EditCounter::note_shared() {
  if (shared_ == last_) return false;
  shared_ = last_;
  return true;
}

}  // namespace lansync
