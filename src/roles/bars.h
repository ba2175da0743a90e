// What the bars of transfers show: never less than a moment ago. A transfer that begins anew
// (another source, a range that is asked for again, a session that was lost) goes on where its bar
// stood.
//
// Invariant: of one file, one direction and one peer the figure grows until it is whole. Driven by
// roles/node when somebody looks; bounded; pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "base/time.h"

namespace lansync {

class Bars {
 public:
  static constexpr Duration kRemembered = 10min;
  static constexpr std::size_t kMost = 1024;

  struct Key {
    bool sending = false;
    std::string peer;  // of what is sent; what comes may come from several, one after the other
    std::string name;
    std::uint64_t size = 0;
    auto operator<=>(const Key&) const = default;
  };

  // `done`: of this transfer; what is sent in several parts counts them one after the other.
  std::uint64_t shown(const Key& key, std::uint64_t done, Instant now);

 private:
  struct Bar {
    std::uint64_t before = 0;  // sent in parts that are over
    std::uint64_t last = 0;
    std::uint64_t shown = 0;
    Instant at{};
  };
  std::map<Key, Bar> bars_;
};

}  // namespace lansync
