// A LAN in memory, or two: datagrams between simulated hosts, each with an address on the first and
// perhaps one on the second, and a broadcast domain for beacons on each. Every direction of every
// pair of hosts is a link with faults and a random stream of its own, so that another host in the
// world does not change what happens on this link.
//
// Invariant: what is delivered was sent, or is a copy of it damaged on a link that damages. Driven
// by World's event queue; ENet reaches it through enet_os.cpp, by way of current().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/address.h"
#include "base/bytes.h"
#include "base/random.h"
#include "sim/event_queue.h"
#include "sim/streams.h"
#include "sim/trace.h"

namespace lansync::sim {

// Rates are per million datagrams.
struct LinkFaults {
  std::uint32_t loss = 0;
  std::uint32_t duplicated = 0;
  std::uint32_t reordered = 0;  // held back for up to 20 ms
  std::uint32_t corrupted = 0;  // one bit
  Duration delay = 300us;
  Duration jitter = 200us;
  std::uint64_t bytes_per_second = 12'500'000;  // 100 Mbit/s
  std::size_t mtu = 1500;                       // larger ones are dropped
  bool cut = false;
};

class Network {
 public:
  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t delivered = 0;
    std::uint64_t dropped = 0;
    std::uint64_t bytes = 0;  // delivered
  };
  struct Host {
    std::function<void()> on_readable;
    std::function<void(const Address& from, const Bytes& bytes, std::uint32_t interface)> on_beacon;
  };

  Network(EventQueue& queue, Trace& trace, std::uint64_t seed);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  // The one that ENet's calls go to: one world at a time is being stepped.
  static Network* current();
  // Nested worlds (a seed run twice side by side) make themselves current before they step.
  void make_current();

  void attach(std::uint32_t ip, Host host) { hosts_[ip] = std::move(host); }
  void detach(std::uint32_t ip) { hosts_.erase(ip); }
  // The host of that address has one on the second LAN too: its interface 1.
  void add_second(std::uint32_t ip, std::uint32_t second);
  LinkFaults& faults(std::uint32_t from, std::uint32_t to) { return link(from, to).faults; }
  // For the links there are and those to come.
  void set_all(const LinkFaults& faults);
  void heal_all();
  // Of links to come, as set_all gave them.
  const LinkFaults& defaults() const { return defaults_; }
  void broadcast(std::uint32_t ip, ByteView bytes);
  const Counters& counters() const { return counters_; }
  std::uint32_t enet_random() { return static_cast<std::uint32_t>(random_.next()); }
  Instant now() const { return queue_.now(); }

  // ---- what a kernel would do ------------------------------------------------------------------
  int open_socket();
  bool bind(int fd, Address address);
  void close(int fd);
  Address address_of(int fd) const;
  // As sendmsg on a datagram socket: a cut cable is no error.
  void send(int fd, const Address& to, Bytes bytes);
  bool receive(int fd, Address& from, Bytes& bytes);
  // For a socket that is not the host's main one: who is told when something came.
  void set_on_readable(int fd, std::function<void()> told) {
    sockets_.at(fd).on_readable = std::move(told);
  }
  Streams& streams() { return streams_; }

 private:
  struct Link {
    Link(const LinkFaults& initial, std::uint64_t seed) : faults(initial), random(seed) {}
    LinkFaults faults;
    Prng random;
    Instant free_at{};
  };
  struct Socket {
    Address address;
    std::deque<std::pair<Address, Bytes>> inbox;
    std::function<void()> on_readable;
  };
  static constexpr std::size_t kSocketDatagrams = 4096;
  static constexpr Duration kQueueLimit = 200ms;  // of a link; what would wait longer is dropped

  Link& link(std::uint32_t from, std::uint32_t to);
  // When a datagram of that size arrives; kNever if it does not. Draws for it.
  Instant passage(Link& link, std::size_t size);
  Instant stream_passage(std::uint32_t from, std::uint32_t to, std::size_t bytes);
  void carry(const Address& from, const Address& to, Bytes bytes,
             void (Network::*deliver)(const Address&, const Address&, const Bytes&));
  void deliver_datagram(const Address& from, const Address& to, const Bytes& bytes);
  // The address on the first LAN of whose address this is.
  std::uint32_t primary(std::uint32_t ip) const;
  // From which of its addresses a host sends to that one.
  std::uint32_t source_for(std::uint32_t ip, std::uint32_t to) const;
  void deliver_beacon(const Address& from, const Address& to, const Bytes& bytes);
  void note(const Address& from, const Address& to, const Bytes& bytes);

  EventQueue& queue_;
  Trace& trace_;
  std::uint64_t seed_;
  Prng random_;
  LinkFaults defaults_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Link> links_;
  std::map<std::uint32_t, Host> hosts_;
  std::map<std::uint32_t, std::uint32_t> second_;   // by the first
  std::map<std::uint32_t, std::uint32_t> primary_;  // by the second
  std::map<int, Socket> sockets_;
  std::map<Address, int> bound_;
  int next_fd_ = 1000;
  Streams streams_;
  Counters counters_;
};

}  // namespace lansync::sim
