// How many packets of strangers are looked at: they can be made by anybody, at any rate, and each
// costs a look at the tables, an answer, sometimes a dial.
//
// Invariant: no more than the limits of all are let through, and of one host no more than its
// share, so that one that sends thousands takes nobody's place; bounded memory. Pure; owned by
// whoever reads the packets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/time.h"

namespace lansync {

class HostBudget {
 public:
  static constexpr std::size_t kMaxHosts = 256;

  // So many at once, and one more each interval.
  struct Limit {
    std::int64_t burst = 0;
    Duration interval{};
  };
  HostBudget(Limit each_host, Limit all) : each_host_(each_host), all_hosts_(all) {}

  bool take(std::uint32_t ip, Instant now);

 private:
  // What is left, as the instant at which it would be full again.
  struct Bucket {
    Instant full_at{};
    bool take(const Limit& limit, Instant now);
  };
  Limit each_host_;
  Limit all_hosts_;
  Bucket all_;
  std::map<std::uint32_t, Bucket> hosts_;
};

}  // namespace lansync
