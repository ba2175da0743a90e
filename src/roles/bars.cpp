#include "roles/bars.h"

#include <algorithm>

namespace lansync {

std::uint64_t Bars::shown(const Key& key, std::uint64_t done, Instant now) {
  std::erase_if(bars_, [&](const auto& item) { return now - item.second.at > kRemembered; });
  if (!bars_.contains(key) && bars_.size() >= kMost) {
    bars_.erase(std::min_element(bars_.begin(), bars_.end(), [](const auto& a, const auto& b) {
      return a.second.at < b.second.at;
    }));
  }
  Bar& bar = bars_[key];
  bar.at = now;
  // It was whole: this is the next version, or somebody who wants it again.
  if (done < bar.last && bar.shown >= key.size) bar = Bar{0, 0, 0, now};
  if (key.sending && done < bar.last) bar.before += bar.last;
  bar.last = done;
  bar.shown = std::min(key.size, std::max(bar.shown, bar.before + done));
  return bar.shown;
}

}  // namespace lansync
