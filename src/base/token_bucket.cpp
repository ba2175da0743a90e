#include "base/token_bucket.h"

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

}  // namespace lansync
