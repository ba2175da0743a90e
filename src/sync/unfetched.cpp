#include "sync/unfetched.h"

#include <algorithm>
#include <utility>

namespace lansync {
namespace {

// A file that its holder has just replaced is "gone" for a moment, and its successor is on its way.
// One that could not be had for a while for another reason (it does not verify, or changes) was not
// replaced just now: the first "gone" after two of those stands. Counted anew it took ten minutes,
// because each try waits twice as long. (Simulator's seed 1681.)
constexpr int kStands = 3;
constexpr const char* kNobody =
    "nobody who is here has this content: it comes when a node that has it does";

}  // namespace

std::string Unfetched::on_failed(const ContentId& content, const Error& error) {
  int& failures = failures_[content];
  if (error.code != ErrorCode::kNotFound) {
    failures = std::min(failures + 1, kStands - 1);
    return error.detail;
  }
  if (failures < kStands) ++failures;
  return failures == kStands ? std::string(kNobody) : error.detail;
}

void Unfetched::clear() {
  failures_.clear();
  said_.clear();
}

bool Unfetched::nobody_has(const ContentId& content) const {
  auto at = failures_.find(content);
  return at != failures_.end() && at->second >= kStands;
}

std::string Unfetched::take_said(const std::string& path) {
  auto at = said_.find(path);
  if (at == said_.end()) return {};
  std::string text = std::move(at->second);
  said_.erase(at);
  return text;
}

}  // namespace lansync
