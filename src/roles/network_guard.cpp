#include "roles/network_guard.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <string_view>

#include "base/address.h"
#include "base/log.h"

namespace lansync {
namespace {

// What networks_text() begins with. A folder that has been on no network at all has had its first
// run too.
constexpr std::string_view kVersionLine = "1\n";

bool is_loopback(std::uint32_t ip) { return ip >> 24 == 127; }

std::string mac_text(const MacAddress& mac) {
  return mac == MacAddress{} ? "-" : to_hex(std::span<const std::uint8_t>(mac));
}

bool take_number(std::string_view& text, std::uint32_t& out) {
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  if (failed != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.empty() || text.front() != ' ') return false;
  text.remove_prefix(1);
  return true;
}

std::string network_name(const Network& network) {
  std::string name =
      str(ip_to_string(network.address & network.netmask), '/', std::popcount(network.netmask));
  if (network.gateway != 0) name += str(" behind ", ip_to_string(network.gateway));
  return name;
}

}  // namespace

NetworkGuard::NetworkGuard(bool open, const std::string& networks, const std::string& members)
    : open_(open), first_run_(networks.empty()), changed_(networks.empty()) {
  load_networks(networks);
  load_members(members);
}

void NetworkGuard::load_networks(const std::string& text) {
  std::string_view rest = text;
  if (!rest.starts_with(kVersionLine)) return;
  rest.remove_prefix(kVersionLine.size());
  while (!rest.empty() && known_.size() < kMaxNetworks) {
    std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    Known known;
    if (!take_number(line, known.subnet) || !take_number(line, known.netmask) ||
        !take_number(line, known.gateway))
      continue;
    if (line != "-" && !from_hex(line, known.mac)) continue;
    known_.push_back(known);
  }
}

std::string NetworkGuard::networks_text() const {
  std::string text(kVersionLine);
  auto hex = [](std::uint32_t value) {
    std::array<char, 9> digits{};
    auto [end, failed] = std::to_chars(digits.data(), digits.data() + 8, value, 16);
    return std::string(digits.data(), end);
  };
  for (const Known& known : known_) {
    text += str(hex(known.subnet), ' ', hex(known.netmask), ' ', hex(known.gateway), ' ',
                mac_text(known.mac), '\n');
  }
  return text;
}

void NetworkGuard::load_members(const std::string& text) {
  constexpr std::size_t kHex = 2 * NodeId::kSize;
  std::string_view rest = text;
  while (rest.size() >= kHex && member_order_.size() < kMaxMembers) {
    NodeId node;
    if (from_hex(rest.substr(0, kHex), node.bytes) && members_.insert(node).second)
      member_order_.push_back(node);
    rest.remove_prefix(kHex);
  }
}

std::string NetworkGuard::members_text() const {
  std::string text;
  for (const NodeId& node : member_order_) text += to_hex(node);
  return text;
}

// ---- networks ----------------------------------------------------------------------------------

// A gateway's hardware address is known only after something was sent to it; until then the rest
// decides. What was not known is noted, so that later another router at the same address is told
// apart.
bool NetworkGuard::recall(const Network& network) {
  for (Known& known : known_) {
    if (known.subnet != (network.address & network.netmask) || known.netmask != network.netmask ||
        known.gateway != network.gateway)
      continue;
    bool unknown = known.mac == MacAddress{} || network.gateway_mac == MacAddress{};
    if (!unknown && known.mac != network.gateway_mac) continue;
    if (known.mac == MacAddress{} && network.gateway_mac != MacAddress{}) {
      known.mac = network.gateway_mac;
      changed_ = true;
    }
    return true;
  }
  return false;
}

void NetworkGuard::learn(Here& here) {
  if (here.home) return;
  here.home = true;
  const Network& network = here.network;
  known_.push_back(
      {network.address & network.netmask, network.netmask, network.gateway, network.gateway_mac});
  if (known_.size() > kMaxNetworks) known_.erase(known_.begin());
  changed_ = true;
}

// A second interface that comes up in a first run is of the same place; once none of the networks
// that were learned is here any more, the machine was carried away.
bool NetworkGuard::learning(Instant now) {
  if (!first_run_ || here_.empty()) return false;
  if (!first_network_) first_network_ = now;
  bool carried = !known_.empty() &&
                 std::none_of(here_.begin(), here_.end(), [](const Here& h) { return h.home; });
  if (carried || now - *first_network_ >= kFirstRun) first_run_ = false;
  return first_run_;
}

void NetworkGuard::set_networks(const std::vector<Network>& networks, Instant now) {
  std::vector<Here> before = std::exchange(here_, {});
  for (const Network& network : networks) {
    if (is_loopback(network.address) || network.netmask == 0) continue;
    Here here;
    here.network = network;
    here.home = recall(network);
    // What was here and still is: only its gateway, or the gateway's hardware address, became known
    // (DHCP sets the address before the route).
    for (const Here& old : before) {
      const Network& was = old.network;
      bool same_gateway = was.gateway == network.gateway || was.gateway == 0;
      bool same_mac = was.gateway_mac == network.gateway_mac || was.gateway_mac == MacAddress{};
      if (was.interface != network.interface || was.netmask != network.netmask ||
          !was.contains(network.address) || !same_gateway || !same_mac)
        continue;
      here.trusted |= old.trusted;
      if (old.home) learn(here);
    }
    here_.push_back(here);
  }
  if (learning(now)) {
    for (Here& here : here_) learn(here);
  }
  review();
}

const NetworkGuard::Here* NetworkGuard::here_of(std::uint32_t ip) const {
  const Here* best = nullptr;
  for (const Here& here : here_) {
    if (!here.network.contains(ip)) continue;
    if (best == nullptr || here.network.netmask > best->network.netmask) best = &here;
  }
  return best;
}

NetworkGuard::Here* NetworkGuard::here_of(std::uint32_t ip) {
  return const_cast<Here*>(std::as_const(*this).here_of(ip));
}

bool NetworkGuard::is_own(std::uint32_t ip) const {
  return is_loopback(ip) || std::any_of(here_.begin(), here_.end(), [ip](const Here& here) {
           return here.network.address == ip;
         });
}

// Who comes from beyond all our subnets comes over one of them, and which one is not known.
bool NetworkGuard::strange_at(std::uint32_t ip) const {
  if (is_own(ip)) return false;
  if (const Here* here = here_of(ip)) return !here->home && !here->trusted;
  return std::any_of(here_.begin(), here_.end(),
                     [](const Here& here) { return !here.home && !here.trusted; });
}

// ---- nodes -------------------------------------------------------------------------------------

bool NetworkGuard::admits(const NodeId& node, std::uint32_t ip, const std::string& name,
                          bool proven, Instant now) {
  if (!open_) return true;
  if (proven || is_member(node)) {
    Here* here = here_of(ip);
    if (here != nullptr && !here->home && !here->trusted) {
      here->trusted = true;
      review();
    }
    return true;
  }
  if (!strange_at(ip)) return true;
  if (strangers_.empty()) strangers_since_ = now;
  if (strangers_.size() >= kMaxStrangers && !strangers_.contains(node)) return false;
  Stranger& stranger = strangers_[node];
  if (!name.empty()) stranger.name = name;
  stranger.ip = ip;
  stranger.last_heard = now;
  return false;
}

void NetworkGuard::add_member(const NodeId& node) {
  if (!members_.insert(node).second) return;
  member_order_.push_back(node);
  changed_ = true;
}

void NetworkGuard::on_member(const NodeId& node, std::uint32_t ip) {
  if (!open_) return;
  add_member(node);
  if (member_order_.size() > kMaxMembers) {
    members_.erase(member_order_.front());
    member_order_.erase(member_order_.begin());
  }
  if (Here* here = here_of(ip)) {
    learn(*here);
    review();
  }
}

// What is told fills the list and never turns it over: those met in person stay.
void NetworkGuard::on_told(const std::vector<NodeId>& members) {
  if (!open_) return;
  for (const NodeId& node : members) {
    if (members_.size() >= kMaxMembers) return;
    add_member(node);
  }
}

// Who is a stranger no more is let in.
void NetworkGuard::review() {
  auto gone = std::erase_if(strangers_, [this](const auto& item) {
    return is_member(item.first) || !strange_at(item.second.ip);
  });
  if (gone > 0) allows_again_ = true;
}

void NetworkGuard::tick(Instant now) {
  std::erase_if(strangers_,
                [now](const auto& item) { return now - item.second.last_heard >= kStrangerLife; });
}

Instant NetworkGuard::deadline() const {
  Instant next = kNever;
  for (const auto& [node, stranger] : strangers_)
    next = std::min(next, stranger.last_heard + kStrangerLife);
  return next;
}

std::string NetworkGuard::reason() const {
  if (!blocks()) return {};
  const auto& [node, first] = *strangers_.begin();
  const Here* here = here_of(first.ip);
  std::string where = here ? network_name(here->network) : "this network";
  std::string who = first.name.empty() ? "somebody" : printable(first.name, 64);
  who += str(" (", ip_to_string(first.ip), ")");
  if (strangers_.size() > 1) who += str(" and ", strangers_.size() - 1, " more");
  return str("this folder has not been on ", where, " before, and its group is open: ", who,
             ", heard there, may be a stranger; nothing is sent or taken. `lansync confirm` joins "
             "them; to keep strangers out: `lansync genpass > FILE` and start each node of the "
             "group with `--password-file FILE`");
}

void NetworkGuard::confirm() {
  for (Here& here : here_) {
    bool meant = std::any_of(strangers_.begin(), strangers_.end(), [&](const auto& item) {
      const Here* at = here_of(item.second.ip);
      return at == nullptr || at == &here;
    });
    if (meant) learn(here);
  }
  review();
}

}  // namespace lansync
