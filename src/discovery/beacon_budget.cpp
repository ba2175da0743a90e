#include "discovery/beacon_budget.h"

#include <algorithm>

namespace lansync {

bool BeaconBudget::Bucket::take(std::int64_t burst, Duration interval, Instant now) {
  Instant then = std::max(full_at, now) + interval;
  if (then - now > burst * interval) return false;
  full_at = then;
  return true;
}

bool BeaconBudget::take(std::uint32_t ip, Instant now) {
  auto at = hosts_.find(ip);
  if (at == hosts_.end()) {
    // A full bucket is the same as none. If there is none that is full, the fullest goes: with so
    // many addresses the sender is held by the budget of all.
    if (hosts_.size() >= kMaxHosts) {
      hosts_.erase(std::min_element(hosts_.begin(), hosts_.end(), [](const auto& a, const auto& b) {
        return a.second.full_at < b.second.full_at;
      }));
    }
    at = hosts_.try_emplace(ip).first;
  }
  if (at->second.full_at > now + (kHostBurst - 1) * kHostInterval) return false;
  return all_.take(kBurst, kInterval, now) && at->second.take(kHostBurst, kHostInterval, now);
}

}  // namespace lansync
