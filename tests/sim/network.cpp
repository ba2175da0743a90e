#include "sim/network.h"

#include <algorithm>

#include "base/assert.h"
#include "discovery/beacon.h"

namespace lansync::sim {
namespace {

constexpr std::uint32_t kMillion = 1'000'000;
constexpr Duration kReorderMax = 20ms;
constexpr Duration kRetransmission = 200ms;

Network*& the_current() {
  static Network* network = nullptr;
  return network;
}

}  // namespace

Network::Network(EventQueue& queue, Trace& trace, std::uint64_t seed)
    : queue_(queue),
      trace_(trace),
      seed_(seed),
      random_(seed),
      streams_(
          queue,
          [this](std::uint32_t from, std::uint32_t to, std::size_t bytes) {
            return stream_passage(from, to, bytes);
          },
          [this](std::uint32_t ip) { return primary(ip); }) {
  make_current();
}

Network::~Network() {
  if (the_current() == this) the_current() = nullptr;
}

Network* Network::current() { return the_current(); }
void Network::make_current() { the_current() = this; }

void Network::add_second(std::uint32_t ip, std::uint32_t second) {
  second_[ip] = second;
  primary_[second] = ip;
}

std::uint32_t Network::primary(std::uint32_t ip) const {
  auto at = primary_.find(ip);
  return at == primary_.end() ? ip : at->second;
}

std::uint32_t Network::source_for(std::uint32_t ip, std::uint32_t to) const {
  auto own = second_.find(ip);
  return primary_.contains(to) && own != second_.end() ? own->second : ip;
}

void Network::set_all(const LinkFaults& faults) {
  defaults_ = faults;
  for (auto& [ends, link] : links_) {
    const bool cut = link.faults.cut;
    link.faults = faults;
    link.faults.cut = cut;
  }
}

void Network::heal_all() {
  defaults_ = LinkFaults{};
  for (auto& [ends, link] : links_) link.faults = LinkFaults{};
}

Network::Link& Network::link(std::uint32_t from, std::uint32_t to) {
  auto at = links_.find({from, to});
  if (at == links_.end()) {
    const std::uint64_t seed = seed_ ^ (std::uint64_t{from} << 32 | to) * 0x9e3779b97f4a7c15u;
    at = links_.emplace(std::pair{from, to}, Link(defaults_, seed)).first;
  }
  return at->second;
}

Instant Network::passage(Link& link, std::size_t size) {
  const LinkFaults& faults = link.faults;
  // Drawn whether or not it is needed: a change of one rate leaves the others' draws as they were.
  const bool lost = link.random.below(kMillion) < faults.loss;
  const bool late = link.random.below(kMillion) < faults.reordered;
  const auto jitter = link.random.below(static_cast<std::uint64_t>(faults.jitter.count()) + 1);
  const auto held = link.random.below(static_cast<std::uint64_t>(kReorderMax.count()));
  if (faults.cut || lost || size > faults.mtu) return kNever;
  const Instant now = queue_.now();
  link.free_at = std::max(link.free_at, now);
  if (link.free_at - now > kQueueLimit) return kNever;
  link.free_at += Duration(size * kMillion / faults.bytes_per_second);
  Instant arrival = link.free_at + faults.delay + Duration(jitter);
  if (late) arrival += Duration(held);
  return arrival;
}

Instant Network::stream_passage(std::uint32_t from, std::uint32_t to, std::size_t bytes) {
  from = source_for(from, to);
  Link& way = link(from, to);
  if (way.faults.cut || link(to, from).faults.cut) return kNever;
  const Instant now = queue_.now();
  way.free_at =
      std::max(way.free_at, now) +
      Duration(bytes * kMillion / std::max<std::uint64_t>(1, way.faults.bytes_per_second));
  // What is lost comes a retransmission later.
  const bool late = way.random.below(kMillion) < way.faults.loss;
  counters_.bytes += bytes;
  trace_.add(static_cast<std::uint64_t>(now.time_since_epoch().count()));
  trace_.add(std::uint64_t{from} << 32 | to);
  trace_.add(bytes);
  return way.free_at + way.faults.delay + (late ? kRetransmission : Duration{});
}

void Network::carry(const Address& from, const Address& to, Bytes bytes,
                    void (Network::*deliver)(const Address&, const Address&, const Bytes&)) {
  Link& way = link(from.ip, to.ip);
  ++counters_.sent;
  const bool twice = way.random.below(kMillion) < way.faults.duplicated;
  const bool damaged = way.random.below(kMillion) < way.faults.corrupted;
  const std::uint64_t bit = way.random.next();
  if (damaged && !bytes.empty()) {
    bytes[bit / 8 % bytes.size()] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
  for (int copy = 0; copy < (twice ? 2 : 1); ++copy) {
    const Instant arrival = passage(way, bytes.size() + 28);
    if (arrival == kNever) {
      ++counters_.dropped;
      continue;
    }
    queue_.at(arrival, [this, from, to, bytes, deliver] { (this->*deliver)(from, to, bytes); });
  }
}

void Network::note(const Address& from, const Address& to, const Bytes& bytes) {
  ++counters_.delivered;
  counters_.bytes += bytes.size();
  trace_.add(static_cast<std::uint64_t>(queue_.now().time_since_epoch().count()));
  trace_.add(std::uint64_t{from.ip} << 32 | to.ip);
  trace_.add(bytes);
  if (!trace_.datagrams_told()) return;
  trace_.line("net", str(to_string(from), " > ", to_string(to), ", ", bytes.size(), " bytes: ",
                         to_hex(ByteView(bytes).first(std::min<std::size_t>(bytes.size(), 48)))));
}

void Network::deliver_datagram(const Address& from, const Address& to, const Bytes& bytes) {
  // A cable that was cut while it was under way: gone, as in a switch that lost power.
  if (link(from.ip, to.ip).faults.cut) return;
  auto bound = bound_.find({primary(to.ip), to.port});
  if (bound == bound_.end()) return;
  Socket& socket = sockets_.at(bound->second);
  if (socket.inbox.size() >= kSocketDatagrams) {
    ++counters_.dropped;
    return;
  }
  note(from, to, bytes);
  socket.inbox.emplace_back(from, bytes);
  if (socket.on_readable) return socket.on_readable();
  auto host = hosts_.find(primary(to.ip));
  if (host != hosts_.end()) host->second.on_readable();
}

void Network::deliver_beacon(const Address& from, const Address& to, const Bytes& bytes) {
  if (link(from.ip, to.ip).faults.cut) return;
  auto host = hosts_.find(primary(to.ip));
  if (host == hosts_.end()) return;
  note(from, to, bytes);
  host->second.on_beacon(from, bytes, primary_.contains(to.ip) ? 1 : 0);
}

void Network::broadcast(std::uint32_t ip, ByteView bytes) {
  const Bytes datagram(bytes.begin(), bytes.end());
  for (const auto& [other, host] : hosts_) {
    // Its own echo included, as the kernel gives it.
    carry({ip, kBeaconPort}, {other, kBeaconPort}, datagram, &Network::deliver_beacon);
    auto from = second_.find(ip);
    auto to = second_.find(other);
    if (from == second_.end() || to == second_.end()) continue;
    carry({from->second, kBeaconPort}, {to->second, kBeaconPort}, datagram,
          &Network::deliver_beacon);
  }
}

int Network::open_socket() {
  const int fd = next_fd_++;
  sockets_[fd];
  return fd;
}

bool Network::bind(int fd, Address address) {
  if (address.port == 0) address.port = static_cast<std::uint16_t>(40000 + fd % 20000);
  if (bound_.contains(address)) return false;
  bound_[address] = fd;
  sockets_.at(fd).address = address;
  return true;
}

void Network::close(int fd) {
  auto at = sockets_.find(fd);
  if (at == sockets_.end()) return;
  auto bound = bound_.find(at->second.address);
  if (bound != bound_.end() && bound->second == fd) bound_.erase(bound);
  sockets_.erase(at);
}

Address Network::address_of(int fd) const { return sockets_.at(fd).address; }

void Network::send(int fd, const Address& to, Bytes bytes) {
  Address from = sockets_.at(fd).address;
  from.ip = source_for(from.ip, to.ip);
  carry(from, to, std::move(bytes), &Network::deliver_datagram);
}

bool Network::receive(int fd, Address& from, Bytes& bytes) {
  auto& inbox = sockets_.at(fd).inbox;
  if (inbox.empty()) return false;
  from = inbox.front().first;
  bytes = std::move(inbox.front().second);
  inbox.pop_front();
  return true;
}

}  // namespace lansync::sim
