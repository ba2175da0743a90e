#include "platform/network_facts.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <set>
#include <string>

#include "base/address.h"
#include "base/ids.h"

namespace lansync {
namespace {

constexpr std::size_t kMaxTable = 256 * 1024;
constexpr int kMaxParts = 256;  // of a dump: more than the kernel's largest default table
constexpr Duration kAskAgain = 500ms;
constexpr Duration kFreshEnough = 20s;
constexpr std::uint16_t kDiscardPort = 9;
constexpr std::uint16_t kDomainPort = 53;
// "NS of the root, without recursion": what has the port open answers it from memory.
constexpr std::array<std::uint8_t, 17> kRootQuery{0x6c, 0x73, 0, 0, 0, 1, 0, 0, 0,
                                                  0,    0,    0, 0, 0, 2, 0, 1};

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) break;
    std::size_t end = std::min(line.find_first_of(" \t", begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    line.remove_prefix(end);
  }
  return words;
}

template <typename Take>
void each_line(std::string_view text, Take take) {
  while (!text.empty()) {
    std::size_t end = std::min(text.find('\n'), text.size());
    take(words_of(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

bool parse(std::string_view text, int base, std::uint32_t& out) {
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return failed == std::errc() && end == text.data() + text.size() && !text.empty();
}

// Iface Destination Gateway Flags RefCnt Use Metric Mask ...: addresses as the kernel holds them,
// in network order, printed as one hexadecimal number.
std::uint32_t default_gateway(std::string_view routes, const std::string& interface) {
  std::uint32_t best = 0;
  std::uint32_t best_metric = std::numeric_limits<std::uint32_t>::max();
  each_line(routes, [&](const std::vector<std::string_view>& words) {
    std::uint32_t to = 0;
    std::uint32_t gateway = 0;
    std::uint32_t metric = 0;
    std::uint32_t mask = 0;
    if (words.size() < 8 || words[0] != interface || !parse(words[1], 16, to) ||
        !parse(words[2], 16, gateway) || !parse(words[6], 10, metric) || !parse(words[7], 16, mask))
      return;
    if (to != 0 || mask != 0 || gateway == 0 || metric >= best_metric) return;
    best = ntohl(gateway);
    best_metric = metric;
  });
  return best;
}

// A copy: what the kernel sends is aligned, what a test sends need not be.
template <typename T>
bool read_as(ByteView bytes, T& out) {
  if (bytes.size() < sizeof(T)) return false;
  std::memcpy(&out, bytes.data(), sizeof(T));
  return true;
}

ByteView rest_after(ByteView bytes, std::size_t size) {
  constexpr std::size_t kAlign = 4;
  return bytes.subspan(std::min(bytes.size(), (size + kAlign - 1) / kAlign * kAlign));
}

std::optional<NeighbourRow> parse_neighbour(ByteView body) {
  ndmsg head{};
  if (!read_as(body, head) || head.ndm_family != AF_INET || head.ndm_ifindex <= 0) return {};
  constexpr unsigned kFixed = NUD_PERMANENT | NUD_NOARP;
  constexpr unsigned kValid = kFixed | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE;
  if ((head.ndm_state & kValid) == 0) return {};
  NeighbourRow row;
  row.interface = static_cast<std::uint32_t>(head.ndm_ifindex);
  std::optional<Duration> age;
  ByteView rest = rest_after(body, sizeof head);
  rtattr part{};
  while (read_as(rest, part) && part.rta_len >= sizeof part && part.rta_len <= rest.size()) {
    ByteView value = rest.first(part.rta_len).subspan(sizeof part);
    nda_cacheinfo times{};
    std::uint32_t address = 0;
    if (part.rta_type == NDA_DST && read_as(value, address)) row.ip = ntohl(address);
    if (part.rta_type == NDA_LLADDR && value.size() == row.mac.size())
      std::copy(value.begin(), value.end(), row.mac.begin());
    // In hundredths of a second, whatever the kernel's own tick is (USER_HZ).
    if (part.rta_type == NDA_CACHEINFO && read_as(value, times))
      age = std::chrono::milliseconds(10LL * times.ndm_confirmed);
    rest = rest_after(rest, part.rta_len);
  }
  if ((head.ndm_state & kFixed) != 0) age = Duration{};
  // Neither nobody's address nor one of several machines.
  if (!age || row.ip == 0 || row.mac == MacAddress{} || (row.mac[0] & 1) != 0) return {};
  row.age = *age;
  return row;
}

std::vector<NeighbourRow> read_neighbours() {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  struct {
    nlmsghdr head;
    ndmsg body;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = RTM_GETNEIGH;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.ndm_family = AF_INET;
  std::vector<NeighbourRow> rows;
  if (!fd.valid() || send(fd.get(), &request, sizeof request, 0) < 0) return rows;
  bool done = false;
  for (int i = 0; i < kMaxParts && !done; ++i) {
    // Answers to a dump are there when it is asked for: it never waits.
    std::array<std::uint8_t, 32768> buffer;
    ssize_t size = recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    for (const NeighbourRow& row :
         parse_neighbours(ByteView(buffer).first(static_cast<std::size_t>(size)), &done))
      rows.push_back(row);
  }
  return rows;
}

UniqueFd open_question(const Interface& interface, std::uint32_t gateway, std::uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fd;
  // Of two interfaces in the same subnet this one; before Linux 5.7 that takes a privilege, and
  // routes decide.
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.name.c_str(),
                   static_cast<socklen_t>(interface.name.size()));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(gateway);
  to.sin_port = htons(port);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) fd.reset();
  return fd;
}

// Something came back from the address that was asked.
bool has_answer(int fd) {
  bool any = false;
  for (int i = 0; fd >= 0 && i < 8; ++i) {
    std::array<std::uint8_t, 512> ignored;
    ssize_t size = recv(fd, ignored.data(), ignored.size(), MSG_DONTWAIT);
    if (size < 0 && errno != ECONNREFUSED) break;
    any = true;
  }
  return any;
}

}  // namespace

std::vector<NeighbourRow> parse_neighbours(ByteView messages, bool* done) {
  std::vector<NeighbourRow> rows;
  nlmsghdr head{};
  while (read_as(messages, head) && head.nlmsg_len >= sizeof head &&
         head.nlmsg_len <= messages.size()) {
    if (done && (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR)) *done = true;
    if (head.nlmsg_type == RTM_NEWNEIGH) {
      if (auto row = parse_neighbour(messages.first(head.nlmsg_len).subspan(sizeof head)))
        rows.push_back(*row);
    }
    messages = rest_after(messages, head.nlmsg_len);
  }
  return rows;
}

std::vector<Network> networks_of(const std::vector<Interface>& interfaces, std::string_view routes,
                                 const std::vector<NeighbourRow>& neighbours) {
  std::vector<Network> out;
  for (const Interface& interface : interfaces) {
    if (interface.is_loopback) continue;
    Network network;
    network.interface = interface.name;
    network.address = interface.address;
    network.netmask = interface.netmask;
    std::uint32_t gateway = default_gateway(routes, interface.name);
    // An interface with two addresses has one default gateway, in one of the two subnets.
    auto others = std::count_if(interfaces.begin(), interfaces.end(), [&](const Interface& other) {
      return other.name == interface.name;
    });
    if (network.contains(gateway) || others == 1) network.gateway = gateway;
    for (const NeighbourRow& row : neighbours) {
      if (network.gateway == 0 || row.interface != interface.index || row.ip != network.gateway)
        continue;
      network.gateway_mac = row.mac;
      network.gateway_age = row.age;
    }
    out.push_back(network);
  }
  return out;
}

void NetworkReader::ask(const Interface& interface, Network& network, Instant now) {
  Question& question = questions_[{interface.index, network.gateway}];
  const bool resolved = network.gateway_mac != MacAddress{};
  if (has_answer(question.discard.get()) || has_answer(question.domain.get())) {
    // It came from the address to which the question went, if that is the one that holds now.
    if (resolved && (question.mac == MacAddress{} || question.mac == network.gateway_mac)) {
      question.mac = network.gateway_mac;
      question.answered = now;
    }
  }
  if (question.mac != network.gateway_mac) question.answered.reset();
  if (question.answered)
    network.gateway_age = std::min(network.gateway_age, now - *question.answered);
  if (!question.began) question.began = now;
  const bool since = resolved && network.gateway_age <= now - *question.began;
  if (since && network.gateway_age < kFreshEnough) return;
  if (question.asked && now - *question.asked < kAskAgain) return;
  question.asked = now;
  question.mac = network.gateway_mac;
  // Anew each time: a socket that is connected keeps its route.
  question.discard = open_question(interface, network.gateway, kDiscardPort);
  (void)!send(question.discard.get(), "", 0, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (question.answered) return;
  question.domain = open_question(interface, network.gateway, kDomainPort);
  (void)!send(question.domain.get(), kRootQuery.data(), kRootQuery.size(),
              MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::vector<Network> NetworkReader::read(const std::vector<Interface>& interfaces, Instant now) {
  auto routes = read_small_file("/proc/self/net/route", kMaxTable);
  std::vector<Network> networks =
      networks_of(interfaces, routes ? *routes : std::string(), read_neighbours());
  std::set<Key> used;
  for (Network& network : networks) {
    if (network.gateway == 0) continue;
    auto at = std::find_if(interfaces.begin(), interfaces.end(), [&](const Interface& one) {
      return one.name == network.interface && one.address == network.address;
    });
    if (at == interfaces.end()) continue;
    used.insert({at->index, network.gateway});
    ask(*at, network, now);
  }
  std::erase_if(questions_, [&](const auto& item) { return !used.contains(item.first); });
  return networks;
}

}  // namespace lansync
