// Two carriers on loopback, and what they tell, for the tests of the lane and of tcp.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "platform/carrier_thread.h"
#include "support/catch.h"

namespace lansync {

inline CarrierPeer carrier_peer(bool initiator, Address to, std::uint8_t opening = 1) {
  CarrierPeer peer;
  peer.session = initiator ? 11 : 22;
  peer.address = to;
  peer.own.fill(static_cast<std::uint8_t>(initiator ? opening : 0x80 + opening));
  peer.theirs.fill(static_cast<std::uint8_t>(initiator ? 0x80 + opening : opening));
  Hash32 th{};
  th.fill(0x22);
  peer.keys = derive_session_keys(Suite::kAes256Gcm, Bytes(16, 0x11), th);
  peer.initiator = initiator;
  return peer;
}

// One end: a carrier, its wakeups, and everything that it told.
struct CarrierEnd {
  using Opener = std::function<Result<std::unique_ptr<CarrierThread>>(const CarrierOptions&)>;

  CarrierEnd(const Opener& opener, SessionId id, CarrierOptions options = {}) : session(id) {
    wake.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    options.bind_ip = 0x7f000001;
    options.wakeup = [fd = wake.get()] {
      std::uint64_t one = 1;
      (void)!::write(fd, &one, sizeof one);
    };
    auto opened = opener(options);
    REQUIRE(opened);
    carrier = std::move(*opened);
  }
  Address address() const { return {0x7f000001, carrier->port()}; }

  // Takes in what there is.
  void take() {
    std::uint64_t count = 0;
    (void)!::read(wake.get(), &count, sizeof count);
    for (CarrierEvent& event : carrier->take_events()) {
      if (auto* block = std::get_if<BlockReceived>(&event)) {
        received_bytes += block->block.data.size();
        if (auto_credit) carrier->credit(session, block->block.data.size());
        if (keep_blocks) received.push_back(std::move(block->block));
      } else if (auto* done = std::get_if<BlockDelivered>(&event)) {
        delivered_bytes += done->bytes;
      } else if (auto* changed = std::get_if<CarrierChanged>(&event)) {
        states.push_back(changed->status.state);
        why = changed->status.why;
        for (ContentBlock& back : changed->undelivered) undelivered.push_back(std::move(back));
      } else if (auto* violation = std::get_if<CarrierViolation>(&event)) {
        violations.push_back(violation->what);
      }
    }
  }
  CarrierState state() const { return carrier->status(session).state; }

  UniqueFd wake;
  SessionId session;
  bool auto_credit = true;
  bool keep_blocks = true;
  std::vector<ContentBlock> received;
  std::uint64_t received_bytes = 0;
  std::uint64_t delivered_bytes = 0;
  std::vector<ContentBlock> undelivered;
  std::vector<CarrierState> states;
  std::vector<std::string> violations;
  std::string why;
  std::unique_ptr<CarrierThread> carrier;  // ends first: its thread uses `wake`
};

// Both ends' wakeups until `done` or `limit`; `each` runs after every one.
inline bool run_ends(CarrierEnd& a, CarrierEnd& b, const std::function<bool()>& done,
                     std::chrono::milliseconds limit = std::chrono::seconds(60)) {
  auto until = std::chrono::steady_clock::now() + limit;
  while (true) {
    a.take();
    b.take();
    if (done()) return true;
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd ready[2] = {{a.wake.get(), POLLIN, 0}, {b.wake.get(), POLLIN, 0}};
    poll(ready, 2, static_cast<int>(std::min<std::int64_t>(left.count(), 50)));
  }
}

struct CarrierPair {
  explicit CarrierPair(const CarrierEnd::Opener& opener, const CarrierOptions& of_a = {},
                       const CarrierOptions& of_b = {})
      : a(opener, 11, of_a), b(opener, 22, of_b) {}
  void open(std::uint8_t opening = 1) {
    a.carrier->open(carrier_peer(true, b.address(), opening));
    b.carrier->open(carrier_peer(false, a.address(), opening));
  }
  bool up() {
    return run_ends(
        a, b, [&] { return a.state() == CarrierState::kUp && b.state() == CarrierState::kUp; });
  }
  // Sends `total` bytes from a to b in blocks of `size`, as room allows. True: all delivered.
  bool stream(std::uint64_t total, std::size_t size) {
    std::uint64_t sent = 0;
    std::uint64_t goal = a.delivered_bytes + total;
    // The other side's report may be here before its control thread has looked.
    std::uint64_t arrive = b.received_bytes + total;
    return run_ends(a, b, [&] {
      while (sent < total && a.carrier->room(11) >= size) {
        std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(size, total - sent));
        a.carrier->send(11, {1, sent / 1000, pattern(sent, part)});
        sent += part;
      }
      return a.delivered_bytes == goal && b.received_bytes == arrive;
    });
  }
  // Content that says where it belongs.
  static Bytes pattern(std::uint64_t offset, std::size_t size) {
    Bytes out(size);
    Prng prng(offset + 1);
    prng.fill(out);
    return out;
  }

  CarrierEnd a;
  CarrierEnd b;
};

}  // namespace lansync
