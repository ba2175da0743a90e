#include "platform/tcp_carrier.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "unit/platform/carrier_rig.h"

namespace lansync {
namespace {

UniqueFd connect_to(std::uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

// True if the other side closes it within `ms`.
bool closes(const UniqueFd& fd, int ms) {
  pollfd ready{fd.get(), POLLIN, 0};
  char byte = 0;
  return poll(&ready, 1, ms) == 1 && recv(fd.get(), &byte, 1, MSG_DONTWAIT) <= 0;
}

}  // namespace

TEST_CASE("tcp carrier: a stream arrives in order and as it was") {
  CarrierPair pair(open_tcp_carrier);
  pair.open();
  REQUIRE(pair.up());
  REQUIRE(pair.stream(16 << 20, 256'000));
  CHECK(pair.b.received_bytes == 16 << 20);
  std::uint64_t at = 0;
  bool same = true;
  for (const ContentBlock& block : pair.b.received) {
    same = same && block.first == at / 1000 &&
           block.data == CarrierPair::pattern(at, block.data.size());
    at += block.data.size();
  }
  CHECK(same);
  CHECK(pair.a.violations.empty());
  CHECK(pair.b.violations.empty());
  CHECK(pair.a.undelivered.empty());
  // The thread publishes its figures now and then.
  CHECK(run_ends(pair.a, pair.b, [&] { return pair.a.carrier->status(11).bytes_sent > 16 << 20; }));
}

TEST_CASE("tcp carrier: both directions at once") {
  CarrierPair pair(open_tcp_carrier);
  pair.open();
  REQUIRE(pair.up());
  std::uint64_t total = 8 << 20;
  std::uint64_t sent = 0;
  REQUIRE(run_ends(pair.a, pair.b, [&] {
    while (sent < total && pair.a.carrier->room(11) >= 100'000 &&
           pair.b.carrier->room(22) >= 100'000) {
      pair.a.carrier->send(11, {1, sent / 1000, Bytes(100'000, 1)});
      pair.b.carrier->send(22, {2, sent / 1000, Bytes(100'000, 2)});
      sent += 100'000;
    }
    return sent >= total && pair.a.delivered_bytes == sent && pair.b.delivered_bytes == sent;
  }));
}

TEST_CASE("tcp carrier: a receiver that takes nothing stops the sender, and loses nothing") {
  CarrierPair pair(open_tcp_carrier);
  pair.b.auto_credit = false;
  pair.open();
  REQUIRE(pair.up());
  std::uint64_t sent = 0;
  auto push = [&] {
    while (pair.a.carrier->room(11) >= 256'000) {
      pair.a.carrier->send(11, {1, sent / 1000, Bytes(256'000, 1)});
      sent += 256'000;
    }
  };
  push();
  REQUIRE(run_ends(pair.a, pair.b, [&] { return pair.b.received_bytes == sent; }));
  push();
  CHECK(sent <= ContentCarrier::kWindowBytes);
  CHECK(pair.a.carrier->room(11) < 256'000);
  pair.b.carrier->credit(22, sent);
  REQUIRE(run_ends(pair.a, pair.b, [&] { return pair.a.carrier->room(11) >= 4'000'000; }));
}

TEST_CASE("tcp carrier: a close in the middle hands back what was not delivered, once") {
  CarrierPair pair(open_tcp_carrier);
  pair.b.auto_credit = false;
  pair.open();
  REQUIRE(pair.up());
  std::vector<std::uint64_t> sent;
  while (pair.a.carrier->room(11) >= 256'000) {
    std::uint64_t first = sent.size() * 256;
    pair.a.carrier->send(11, {1, first, Bytes(256'000, 1)});
    sent.push_back(first);
  }
  pair.a.carrier->close(11);
  // After the close as well: it comes back at once.
  pair.a.carrier->send(11, {1, 1'000'000, Bytes(10, 1)});
  std::uint64_t all = sent.size() * 256'000 + 10;
  auto back = [&] {
    std::uint64_t bytes = 0;
    for (const ContentBlock& block : pair.a.undelivered) bytes += block.data.size();
    return bytes;
  };
  REQUIRE(run_ends(pair.a, pair.b, [&] { return back() + pair.a.delivered_bytes == all; }));
  CHECK(pair.a.state() == CarrierState::kClosed);
  // The other side is told by the stream's end, and keeps trying.
  REQUIRE(run_ends(pair.a, pair.b, [&] { return pair.b.state() == CarrierState::kBlocked; }));
  CHECK_FALSE(pair.b.carrier->status(22).why.empty());
}

TEST_CASE("tcp carrier: opened anew with fresh ids it works again") {
  CarrierPair pair(open_tcp_carrier);
  pair.open(1);
  REQUIRE(pair.up());
  REQUIRE(pair.stream(1'000'000, 100'000));
  pair.open(2);
  REQUIRE(pair.up());
  REQUIRE(pair.stream(1'000'000, 100'000));
  CHECK(pair.b.received_bytes == 2'000'000);
}

TEST_CASE("tcp carrier: the wrong keys get nothing through, and it says so within a second") {
  CarrierPair pair(open_tcp_carrier);
  CarrierPeer wrong = carrier_peer(true, pair.b.address());
  wrong.keys.prk[0] ^= 1;
  pair.a.carrier->open(wrong);
  pair.b.carrier->open(carrier_peer(false, pair.a.address()));
  REQUIRE(run_ends(pair.a, pair.b, [&] {
    return pair.a.state() == CarrierState::kBlocked && pair.b.state() == CarrierState::kBlocked;
  }));
  CHECK(pair.a.carrier->room(11) == 0);
  CHECK(pair.b.carrier->counters().strangers > 0);
  CHECK(pair.a.violations.empty());
  CHECK(pair.b.violations.empty());
}

TEST_CASE("tcp carrier: where the initiator cannot get through, the other side's dial does") {
  CarrierPair pair(open_tcp_carrier);
  // A port that nobody listens on.
  UniqueFd taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(taken.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &size);
  pair.a.carrier->open(carrier_peer(true, {0x7f000001, ntohs(address.sin_port)}));
  pair.b.carrier->open(carrier_peer(false, pair.a.address()));
  REQUIRE(pair.up());
  REQUIRE(pair.stream(1'000'000, 100'000));
}

TEST_CASE("tcp carrier: a peer that is not there yet is reached once it is") {
  CarrierPair pair(open_tcp_carrier);
  pair.a.carrier->open(carrier_peer(true, pair.b.address()));
  REQUIRE(run_ends(pair.a, pair.b, [&] { return pair.a.state() == CarrierState::kBlocked; }));
  CHECK_FALSE(pair.a.carrier->status(11).why.empty());
  pair.b.carrier->open(carrier_peer(false, pair.a.address()));
  REQUIRE(pair.up());
  REQUIRE(pair.stream(100'000, 100'000));
}

TEST_CASE("tcp carrier: a port that is taken is said to be busy") {
  CarrierEnd one(open_tcp_carrier, 11);
  CarrierOptions options;
  options.bind_ip = 0x7f000001;
  options.port = one.carrier->port();
  auto second = open_tcp_carrier(options);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kBusy);
}

TEST_CASE("tcp carrier: strangers are bounded, and do not keep members out") {
  CarrierPair pair(open_tcp_carrier);
  std::uint16_t port = pair.b.carrier->port();
  std::vector<UniqueFd> idle;
  for (int i = 0; i < 100; ++i) idle.push_back(connect_to(port));
  int closed = 0;
  for (auto fd = idle.rbegin(); fd != idle.rend() && closed < 92; ++fd)
    closed += closes(*fd, 2000) ? 1 : 0;
  CHECK(closed == 92);  // of one address 8 may wait
  UniqueFd noise = connect_to(port);
  Bytes rubbish(100'000, 0x55);
  (void)!::send(noise.get(), rubbish.data(), rubbish.size(), MSG_NOSIGNAL);
  CHECK(closes(noise, 2000));
  idle.clear();
  pair.open();
  REQUIRE(pair.up());
  REQUIRE(pair.stream(1'000'000, 100'000));
  CHECK(pair.b.carrier->counters().strangers >= 92);
}

}  // namespace lansync
