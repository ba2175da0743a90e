#include "base/host_budget.h"

#include <algorithm>

namespace lansync {

bool HostBudget::Bucket::take(const Limit& limit, Instant now) {
  const Instant then = std::max(full_at, now) + limit.interval;
  if (then - now > limit.burst * limit.interval) return false;
  full_at = then;
  return true;
}

bool HostBudget::take(std::uint32_t ip, Instant now) {
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
  if (at->second.full_at > now + (each_host_.burst - 1) * each_host_.interval) return false;
  return all_.take(all_hosts_, now) && at->second.take(each_host_, now);
}

}  // namespace lansync
