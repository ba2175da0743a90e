#include "roles/stranger_dials.h"

#include <algorithm>

namespace lansync {

StrangerDials::Host& StrangerDials::host(std::uint32_t ip, Instant now) {
  if (auto at = hosts_.find(ip); at != hosts_.end()) return at->second;
  if (hosts_.size() >= kMaxAddresses) {
    hosts_.erase(std::min_element(hosts_.begin(), hosts_.end(), [](const auto& a, const auto& b) {
      return a.second.last < b.second.last;
    }));
  }
  Host& fresh = hosts_[ip];
  fresh.refilled = now;
  return fresh;
}

bool StrangerDials::take(std::uint32_t ip, Instant now) {
  std::erase_if(dials_, [now](Instant at) { return now - at >= Duration(1s); });
  if (dials_.size() >= kMaxEachSecond) return false;
  Host& from = host(ip, now);
  const auto earned = (now - from.refilled) / kHostInterval;
  if (earned > 0) {
    from.in_hand = static_cast<int>(std::min<std::int64_t>(kBurstEachHost, from.in_hand + earned));
    from.refilled += earned * kHostInterval;
  }
  if (from.in_hand == 0) return false;
  --from.in_hand;
  from.last = now;
  dials_.push_back(now);
  return true;
}

bool StrangerDials::take_hint(const Address& address, Instant now) {
  if (auto at = hints_.find(address); at != hints_.end() && now - at->second < kHintInterval)
    return false;
  if (!take(address.ip, now)) return false;
  std::erase_if(hints_, [now](const auto& item) { return now - item.second >= kHintInterval; });
  // Four a second live 10 s each: never more than 40.
  hints_[address] = now;
  return true;
}

Instant StrangerDials::last(std::uint32_t ip) const {
  auto at = hosts_.find(ip);
  return at == hosts_.end() ? Instant{} : at->second.last;
}

}  // namespace lansync
