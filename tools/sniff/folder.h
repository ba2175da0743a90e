// Lines for a person: what goes by in trains (sealed packets, chunks, acknowledgements) is shown
// once and then counted, so that a transfer is a few lines and not the whole screen.
//
// Invariant: every packet is shown or counted in a line that follows it. Driven by main.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sniff/item.h"

namespace lansync::sniff {

class LineFolder {
 public:
  static constexpr std::int64_t kLongestNs = 1'000'000'000;  // a train is told of each second

  // What is to be printed now that this packet came; perhaps nothing.
  std::string add(const std::vector<Item>& items);
  // What is still counted; perhaps nothing.
  std::string flush();

 private:
  struct Train {
    std::optional<Address> src;
    std::optional<Address> dst;
    std::string type;
    WallTime begin;
    WallTime end;
    std::uint64_t packets = 0;
  };
  std::optional<Train> train_;
};

}  // namespace lansync::sniff
