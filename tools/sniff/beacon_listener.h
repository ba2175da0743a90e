// Hears beacons as a node does, which needs no privileges: 27800/udp, shared with SO_REUSEADDR.
// Invariant: never sends. What came is handed on as an IP packet, so that everything after it is
// the same as for a capture. Driven by main.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "sniff/frame.h"

namespace lansync::sniff {

class BeaconListener {
 public:
  static Result<std::unique_ptr<BeaconListener>> open();
  ~BeaconListener();
  int fd() const { return socket_; }
  // False: nothing is waiting. `frame.bytes` is valid until the next call.
  bool read(Frame& frame);

 private:
  explicit BeaconListener(int socket) : socket_(socket) {}
  int socket_;
  Bytes packet_;
};

}  // namespace lansync::sniff
