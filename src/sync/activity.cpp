#include "sync/activity.h"

#include "base/log.h"

namespace lansync {
namespace {

// "came from anna: a.txt, b.txt" and for a burst "142 came from anna: a.txt, b.txt, c.txt, ...".
std::string line_of(Activity::Kind kind, const std::string& author, std::uint64_t count,
                    const std::vector<std::string>& names) {
  std::string out;
  if (count > names.size()) out += str(count, " ");
  const std::string who = printable(author, 64);
  switch (kind) {
    case Activity::Kind::kCame:
      out += str("came from ", who);
      break;
    case Activity::Kind::kConflict:
      out += str("kept twice after a conflict, what ", who, " had as");
      break;
    case Activity::Kind::kSet:
      out += str("got mode or time from ", who);
      break;
    case Activity::Kind::kDeleted:
      out += str("deleted by ", who, ", now in the trash");
      break;
    case Activity::Kind::kRenamed:
      out += str("renamed by ", who, ", gone under the old name");
      break;
    case Activity::Kind::kChangedHere:
      out += "changed here";
      break;
    case Activity::Kind::kDeletedHere:
      out += "deleted here";
      break;
  }
  const char* separator = ": ";
  for (const std::string& name : names) {
    out += separator + printable(name, 200);
    separator = ", ";
  }
  return count > names.size() ? out + ", ..." : out;
}

}  // namespace

void Activity::note(Kind kind, const std::string& path, const std::string& author, Instant now) {
  auto at = batches_.find({kind, author});
  if (at == batches_.end()) {
    const bool crowded = batches_.size() >= kAuthors;
    at = batches_.try_emplace({kind, crowded ? "others" : author}).first;
  }
  Batch& batch = at->second;
  ++batch.count;
  if (batch.names.size() < kNames) batch.names.push_back(path);
  if (due_ == kNever) due_ = now + kWindow;
}

std::vector<std::string> Activity::take_lines(Instant now) {
  std::vector<std::string> lines;
  if (now < due_) return lines;
  for (const auto& [key, batch] : batches_)
    lines.push_back(line_of(key.first, key.second, batch.count, batch.names));
  batches_.clear();
  due_ = kNever;
  return lines;
}

}  // namespace lansync
