// What a peer sent after its hello and what came before it: the channels of a session are in order
// each, not among each other, and a datagram that is lost lets another channel pass.
//
// Invariant: never more than a few packets and bytes; who sends more without a hello breaks the
// rules. Driven by roles/node.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "transport/session.h"

namespace lansync {

class EarlyPackets {
 public:
  using Packet = std::pair<Channel, Bytes>;

  // A member's first messages are a few hundred bytes; of words on runs there may be more.
  static constexpr std::size_t kMaxPackets = 64;
  static constexpr std::size_t kMaxBytes = 256 * 1024;

  // False: too much, nothing was kept.
  bool keep(Channel channel, ByteView bytes) {
    if (packets_.size() >= kMaxPackets || bytes_ + bytes.size() > kMaxBytes) return false;
    bytes_ += bytes.size();
    packets_.emplace_back(channel, Bytes(bytes.begin(), bytes.end()));
    return true;
  }

  // In the order in which they came; none are left.
  std::vector<Packet> take() {
    bytes_ = 0;
    return std::exchange(packets_, {});
  }

 private:
  std::vector<Packet> packets_;
  std::size_t bytes_ = 0;
};

}  // namespace lansync
