// How many untagged beacons are looked at: they can be made by anybody, at any rate, and each costs
// a look at the tables, and sometimes a dial.
//
// Invariant: at most kMaxEachSecond are let through in all, and of one host no more than its share,
// so that one that sends thousands takes nobody's place; bounded memory. Pure; driven by Discovery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/time.h"

namespace lansync {

class BeaconBudget {
 public:
  static constexpr std::size_t kMaxHosts = 256;
  // A host may hold dozens of nodes, each of which sends four beacons in its first second.
  static constexpr std::int64_t kHostBurst = 64;
  static constexpr Duration kHostInterval = 50ms;
  static constexpr std::int64_t kBurst = 512;
  static constexpr Duration kInterval = 4ms;
  static constexpr std::int64_t kMaxEachSecond = kBurst + Duration(1s) / kInterval;

  bool take(std::uint32_t ip, Instant now);

 private:
  // What is left, as the instant at which it would be full again.
  struct Bucket {
    Instant full_at{};
    bool take(std::int64_t burst, Duration interval, Instant now);
  };
  Bucket all_;
  std::map<std::uint32_t, Bucket> hosts_;
};

}  // namespace lansync
