#include "transport/guess_budget.h"

#include <algorithm>
#include <tuple>

namespace lansync {

namespace {

// Whoever was told to come again does so each 100 to 300 ms (cookie.h).
constexpr Duration kStillAsking = 1s;
constexpr Duration kAdmittedLife = 5s;
constexpr int kMaxStrikes = 3;
constexpr Duration kWastedLife = 60s;
constexpr int kFewWasted = 2;
constexpr int kManyWasted = 5;
constexpr Duration kWastedInterval = 2s;
// Places that an address which wasted some is not given.
constexpr std::size_t kCrowded = 8;

}  // namespace

// What is forgotten first says least: who never failed, and of those the longest silent.
GuessBudget::Host& GuessBudget::host(std::uint32_t ip, Instant now) {
  if (auto at = hosts_.find(ip); at != hosts_.end()) return at->second;
  if (hosts_.size() >= kMaxAddresses) {
    auto key = [](const Host& host) {
      return std::tuple(trusted(host), host.failed.has_value(), host.last);
    };
    hosts_.erase(std::min_element(hosts_.begin(), hosts_.end(), [&](const auto& a, const auto& b) {
      return key(a.second) < key(b.second);
    }));
  }
  Host& fresh = hosts_[ip];
  fresh.first = fresh.last = now;
  return fresh;
}

bool GuessBudget::trusted(const Host& host) { return host.proven && host.strikes < kMaxStrikes; }

bool GuessBudget::newcomer(const Host& host, Instant now) const {
  return !host.failed && now - host.first < kNewcomerAge;
}

bool GuessBudget::first_in_line(const Host& host, Instant now) const {
  return std::none_of(hosts_.begin(), hosts_.end(), [&](const auto& item) {
    const Host& other = item.second;
    return other.first > host.first && now - other.last < kStillAsking && newcomer(other, now);
  });
}

bool GuessBudget::tight(Instant now) {
  while (!window_.empty() && now - window_.front().at >= kWindow) window_.pop_front();
  return window_.size() >= kFreeFailures;
}

bool GuessBudget::slot_open(Instant now) {
  if (!tight(now)) return true;
  return window_.size() < kMaxFailures && now - window_.back().at >= kSpacing;
}

bool GuessBudget::admit(std::uint32_t ip, std::size_t in_flight, Instant now) {
  Host& asker = host(ip, now);
  asker.last = now;
  if (now - asker.wasted_at >= kWastedLife) asker.wasted = 0;
  if (asker.wasted >= kFewWasted && in_flight >= kCrowded) return false;
  if (asker.wasted >= kManyWasted && now - asker.wasted_at < kWastedInterval) return false;
  if (!tight(now)) return true;
  // One at a time, so that no more fail than may.
  if (in_flight > 0 || !slot_open(now)) return false;
  if (!newcomer(asker, now) || !first_in_line(asker, now)) return false;
  asker.admitted = now;
  return true;
}

bool GuessBudget::admit_dial(std::uint32_t ip, Instant now) {
  if (trusted(host(ip, now))) return true;
  return admit(ip, 0, now);
}

bool GuessBudget::judge(std::uint32_t ip, bool outgoing, Instant now) {
  const Host& asker = host(ip, now);
  if (outgoing && trusted(asker)) return true;
  if (tight(now)) {
    const bool has_slot =
        !asker.failed && asker.admitted != Instant{} && now - asker.admitted < kAdmittedLife;
    if (!has_slot || !slot_open(now)) return false;
  }
  if (outgoing) window_.push_back({now, ip, true});
  return true;
}

std::deque<GuessBudget::Failure>::iterator GuessBudget::pending(std::uint32_t ip) {
  return std::find_if(window_.begin(), window_.end(),
                      [ip](const Failure& one) { return one.pending && one.ip == ip; });
}

void GuessBudget::succeeded(std::uint32_t ip, bool outgoing, Instant now) {
  Host& known = host(ip, now);
  known.strikes = 0;
  if (!outgoing) return;
  known.proven = true;
  if (auto one = pending(ip); one != window_.end()) window_.erase(one);
}

bool GuessBudget::failed(std::uint32_t ip, bool outgoing, Instant now) {
  Host& guesser = host(ip, now);
  guesser.failed = now;
  ++guesser.strikes;
  auto one = outgoing ? pending(ip) : window_.end();
  if (one != window_.end()) {
    one->pending = false;
  } else {
    window_.push_back({now, ip, false});
  }
  ++failures_;
  return failures_ % kAlarmEach == 0;
}

void GuessBudget::wasted(std::uint32_t ip, Instant now) {
  Host& host_there = host(ip, now);
  host_there.wasted_at = now;
  host_there.wasted = std::min(host_there.wasted + 1, kManyWasted);
}

}  // namespace lansync
