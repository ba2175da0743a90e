// At most one new key an hour (DESIGN, Identity): whatever makes a node believe that it needs one,
// be it a fault or somebody's doing, cannot make it take one after the other.
//
// Invariant: time counts as it is seen to pass: by the monotonic clock while running, and between
// runs by the wall clock up to a day, never backwards. Kept in index.db. Pure; driven by
// roles/node.
#pragma once

#include <map>
#include <string>

#include "base/time.h"

namespace lansync {

class KeyLimit {
 public:
  static constexpr Duration kInterval = 1h;
  static constexpr Duration kWriteInterval = 10min;

  void load(const std::map<std::string, std::string>& meta, Instant now, WallTime wall);
  bool allows(Instant now) const { return now >= allowed_at_; }
  Instant allowed_at() const { return allowed_at_; }
  // A new key was taken now.
  void took(Instant now) { allowed_at_ = now + kInterval; }
  // What index.db has to hold; empty values remove.
  std::map<std::string, std::string> meta(Instant now, WallTime wall) const;

 private:
  Instant allowed_at_{};
};

}  // namespace lansync
