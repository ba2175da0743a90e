#include "transport/guess_budget.h"

#include <algorithm>

namespace lansync {

TokenBucket::TokenBucket(std::int64_t capacity, Duration interval)
    : capacity_(capacity), interval_(interval), level_(capacity * interval.count()) {}

void TokenBucket::refill(Instant now) {
  if (started_ && now > last_) {
    std::int64_t room = capacity_ * interval_.count() - level_;
    level_ += std::min(room, std::int64_t{(now - last_).count()});
  }
  if (!started_ || now > last_) last_ = now;
  started_ = true;
}

bool TokenBucket::take(Instant now) {
  refill(now);
  if (level_ < interval_.count()) return false;
  level_ -= interval_.count();
  return true;
}

Duration TokenBucket::take_or_owe(Instant now, std::int64_t max_debt) {
  refill(now);
  level_ = std::max(level_ - interval_.count(), -max_debt * interval_.count());
  return Duration(std::max<std::int64_t>(0, -level_));
}

void TokenBucket::give_back() {
  level_ = std::min(level_ + interval_.count(), capacity_ * interval_.count());
}

bool TokenBucket::full(Instant now) {
  refill(now);
  return level_ == capacity_ * interval_.count();
}

std::int64_t TokenBucket::whole(Instant now) {
  refill(now);
  return level_ / interval_.count();
}

GuessBudget::Admission GuessBudget::admit(std::uint32_t ip, bool member, Instant now) {
  if (member) return {};
  auto found = addresses_.find(ip);
  if (found == addresses_.end()) {
    make_room(now);
    found = addresses_.emplace(ip, TokenBucket(5, 1min)).first;
  }
  // The group's token is left alone: or one address that is refused anyway could slow down all.
  if (!found->second.take(now)) return {false, {}};
  return {true, group_.take_or_owe(now, 2)};
}

void GuessBudget::succeeded(std::uint32_t ip, bool member) {
  if (member) return;
  group_.give_back();
  if (auto found = addresses_.find(ip); found != addresses_.end()) found->second.give_back();
}

bool GuessBudget::failed() {
  ++failures_;
  return failures_ % kAlarmEach == 0;
}

// A full bucket is the same as none. If there is none that is full, the fullest goes: with so many
// addresses the guesser is held by the group's bucket, not by this one.
void GuessBudget::make_room(Instant now) {
  if (addresses_.size() < kMaxAddresses) return;
  auto fullest = addresses_.begin();
  for (auto it = addresses_.begin(); it != addresses_.end(); ++it) {
    if (it->second.whole(now) > fullest->second.whole(now)) fullest = it;
    if (fullest->second.full(now)) break;
  }
  addresses_.erase(fullest);
}

}  // namespace lansync
