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

constexpr std::uint32_t kOneAddress = 0xffffffff;

bool is_loopback(std::uint32_t ip) { return ip >> 24 == 127; }

// 169.254.0.0/16 is on every cable on which nobody gave an address: it says nothing about a place.
bool is_link_local(std::uint32_t ip) { return ip >> 16 == 0xa9fe; }

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

NetworkGuard::NetworkGuard(bool open, const std::string& networks)
    : open_(open), first_run_(networks.empty()), fresh_(networks.empty()) {
  load_networks(networks);
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
    // A gateway without its hardware address tells no place from another.
    if (known.gateway != 0 && known.mac == MacAddress{}) continue;
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

// ---- networks ----------------------------------------------------------------------------------

NetworkGuard::Known NetworkGuard::fact_of(const Network& network) {
  return {network.address & network.netmask, network.netmask, network.gateway,
          network.gateway == 0 ? MacAddress{} : network.gateway_mac};
}

bool NetworkGuard::is_known(const Known& fact) const {
  return std::find(known_.begin(), known_.end(), fact) != known_.end();
}

NetworkGuard::Standing NetworkGuard::standing(const Here& here, Instant now) const {
  const bool asking = now - here.since < kAsk;
  // DHCP sets the address before the route: without one it may be any network of that subnet.
  if (here.network.gateway == 0) return asking ? Standing::kAsking : Standing::kResolved;
  bool answered = here.network.gateway_mac != MacAddress{} && here.answered &&
                  *here.answered >= here.since && now - *here.answered < kForget;
  if (answered) return Standing::kResolved;
  return asking ? Standing::kAsking : Standing::kUnknown;
}

NetworkGuard::Here NetworkGuard::stay(const Network& network, const std::vector<Here>& before,
                                      Instant now) const {
  Here here;
  here.network = network;
  here.since = now;
  const MacAddress& mac = network.gateway_mac;
  for (const Here& old : before) {
    const Network& was = old.network;
    if (was.interface != network.interface || was.address != network.address ||
        was.netmask != network.netmask)
      continue;
    bool same_mac =
        was.gateway_mac == mac || was.gateway_mac == MacAddress{} || mac == MacAddress{};
    if (was.gateway == network.gateway && same_mac) {
      here = old;
      here.network = network;
      if (mac == MacAddress{}) here.network.gateway_mac = was.gateway_mac;
    } else if (was.gateway == 0) {
      here.first = old.first;
      here.bare = old.bare;
    }
  }
  if (mac != MacAddress{}) {
    Instant answered = now - network.gateway_age;
    here.answered = std::max(here.answered.value_or(answered), answered);
  }
  return here;
}

void NetworkGuard::add_known(const Known& fact) {
  if (is_known(fact)) return;
  known_.push_back(fact);
  if (known_.size() > kMaxNetworks) known_.erase(known_.begin());
  changed_ = true;
}

// For good if it can be told from others, else for this stay.
void NetworkGuard::learn(Here& here, Instant now) {
  here.granted = true;
  if (standing(here, now) != Standing::kResolved || is_link_local(here.network.address)) return;
  const Known fact = fact_of(here.network);
  if (here.network.gateway != 0 && here.bare) {
    // It was taken for a network without a gateway when its route was not there yet.
    Known bare{fact.subnet, fact.netmask, 0, {}};
    changed_ |= std::erase(known_, bare) > 0;
  }
  here.bare = here.network.gateway == 0;
  add_known(fact);
  here.known = true;
}

// A second interface that comes up in a first run is of the same place; once none of the networks
// on which it was begun is here any more, the machine was carried away.
void NetworkGuard::follow_first_run(Instant now) {
  if (fresh_ && now - *first_look_ >= kAsk) {
    fresh_ = false;
    changed_ = true;
  }
  if (!first_run_ || here_.empty()) return;
  if (!first_network_) first_network_ = now;
  bool still = std::any_of(here_.begin(), here_.end(),
                           [](const Here& here) { return here.first || here.known; });
  bool asking = std::any_of(here_.begin(), here_.end(), [&](const Here& here) {
    return standing(here, now) == Standing::kAsking;
  });
  first_here_ = still || !begun_somewhere_;
  first_run_ = (first_here_ || asking) && now - *first_network_ < kFirstRun;
  if (!first_here_) return;
  for (Here& here : here_) {
    // What comes up in the moment in which the time is over is late.
    if (!first_run_ && !here.first) continue;
    here.first = true;
    begun_somewhere_ |= now - here.since >= kAsk;
    learn(here, now);
    begun_somewhere_ |= here.known;
  }
}

void NetworkGuard::set_networks(const std::vector<Network>& networks, Instant now) {
  if (!first_look_) first_look_ = now;
  std::vector<Here> before = std::exchange(here_, {});
  for (const Network& network : networks) {
    if (is_loopback(network.address) || network.netmask == 0) continue;
    Here here = stay(network, before, now);
    here.known = standing(here, now) == Standing::kResolved && is_known(fact_of(here.network));
    if (here.since == now) far_granted_.clear();
    here_.push_back(here);
  }
  follow_first_run(now);
  review();
}

void NetworkGuard::doubt(Instant now) {
  for (Here& here : here_) {
    here.since = now;
    here.known = here.granted = here.first = false;
  }
  far_granted_.clear();
}

Duration NetworkGuard::look_again(Instant now) const {
  constexpr Duration kSoon = 100ms;
  constexpr Duration kRetry = 2s;
  constexpr Duration kIdle = 30s;  // a machine that was carried with its interface up
  // With a password it matters only where the folder was begun, in case it is opened some day.
  if (!open_ && !first_run_) return 1h;
  Duration next = kIdle;
  if (fresh_ && first_look_) next = kAsk;
  for (const Here& here : here_) {
    Standing is = standing(here, now);
    if (is == Standing::kAsking) return kSoon;
    // People switch their router on after their machine.
    if (is == Standing::kUnknown && now - here.since < kForget) next = std::min(next, kRetry);
  }
  return next;
}

bool NetworkGuard::is_own(std::uint32_t ip) const {
  return is_loopback(ip) || std::any_of(here_.begin(), here_.end(), [ip](const Here& here) {
           return here.network.address == ip;
         });
}

std::uint32_t NetworkGuard::own_address() const {
  return here_.empty() ? 0x7f000001 : here_.front().network.address;
}

// Whoever is on the wire can take an address of any subnet that we have on it.
bool NetworkGuard::wire_trusted(const std::string& interface) const {
  return std::all_of(here_.begin(), here_.end(), [&](const Here& here) {
    return here.network.interface != interface || here.trusted();
  });
}

// Beyond all our subnets: over which of our networks it comes is not known, and what lies behind a
// known gateway is as wide as the Internet.
bool NetworkGuard::far_trusted(std::uint32_t ip) const {
  if (far_granted_.contains(ip)) return true;
  bool at_home = !here_.empty() && std::all_of(here_.begin(), here_.end(),
                                               [](const Here& here) { return here.trusted(); });
  if (at_home && typed_.contains(ip)) return true;
  return std::any_of(here_.begin(), here_.end(), [&](const Here& here) {
    const Network& network = here.network;
    return here.known && network.gateway != 0 &&
           is_known({ip, kOneAddress, network.gateway, network.gateway_mac});
  });
}

bool NetworkGuard::is_near(std::uint32_t ip) const {
  return std::any_of(here_.begin(), here_.end(),
                     [ip](const Here& here) { return here.network.contains(ip); });
}

bool NetworkGuard::strange_at(std::uint32_t ip) const {
  if ((first_run_ && first_here_) || is_own(ip)) return false;
  if (!is_near(ip)) return !far_trusted(ip);
  return std::any_of(here_.begin(), here_.end(), [&](const Here& here) {
    return here.network.contains(ip) && !wire_trusted(here.network.interface);
  });
}

// ---- nodes -------------------------------------------------------------------------------------

bool NetworkGuard::admits(const NodeId& node, std::uint32_t ip, const std::string& name, bool met,
                          Instant now) {
  if (!open_) return true;
  if (met || !strange_at(ip)) {
    strangers_.erase(node);
    return true;
  }
  if (strangers_.empty()) strangers_since_ = now;
  if (strangers_.size() >= kMaxStrangers && !strangers_.contains(node)) return false;
  Stranger& stranger = strangers_[node];
  if (!name.empty()) stranger.name = name;
  stranger.ip = ip;
  stranger.near = is_near(ip);
  stranger.last_heard = now;
  return false;
}

// Who is a stranger no more is let in; who was heard where we are no more is forgotten.
void NetworkGuard::review() {
  std::erase_if(strangers_,
                [this](const auto& item) { return item.second.near && !is_near(item.second.ip); });
  auto gone =
      std::erase_if(strangers_, [this](const auto& item) { return !strange_at(item.second.ip); });
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

Instant NetworkGuard::held_at() const {
  if (!blocks()) return kNever;
  Instant at = strangers_since_ + kGrace;
  // While the gateway is being asked nobody knows yet where this is.
  for (const Here& here : here_)
    if (!here.trusted()) at = std::max(at, here.since + kAsk);
  return at;
}

// ---- for people --------------------------------------------------------------------------------

std::string NetworkGuard::describe(std::uint32_t ip, Instant now) const {
  for (const Here& here : here_) {
    if (!here.network.contains(ip)) continue;
    std::string name = network_name(here.network);
    if (standing(here, now) != Standing::kUnknown)
      return str("this folder has not been on ", name, " before");
    return str("whether this is a network of this folder's, ", name,
               ", cannot be told: that router does not answer");
  }
  return str(ip_to_string(ip), " is on none of this machine's networks");
}

std::string NetworkGuard::reason(Instant now) const {
  if (!blocks()) return {};
  const auto& [node, first] = *strangers_.begin();
  std::string who = first.name.empty() ? "somebody" : printable(first.name, 64);
  who += str(" (", ip_to_string(first.ip), ")");
  if (strangers_.size() > 1) who += str(" and ", strangers_.size() - 1, " more");
  return str(describe(first.ip, now), ", and its group is open: ", who,
             ", heard there, may be a stranger; nothing is sent to it or taken from it. `lansync "
             "confirm network` lets in whoever is there; to keep strangers out: `lansync genpass > "
             "FILE` and start each node of the group with `--password-file FILE`");
}

std::vector<std::string> NetworkGuard::names() const {
  std::vector<std::string> names;
  for (const auto& [node, stranger] : strangers_) {
    std::string name = stranger.name.empty() ? "somebody" : stranger.name;
    names.push_back(str(printable(name, 64), " (", ip_to_string(stranger.ip), ")"));
  }
  return names;
}

std::vector<std::string> NetworkGuard::confirm(Instant now) {
  std::vector<std::string> let_in = names();
  for (const auto& [node, stranger] : strangers_) {
    std::set<std::string> wires;
    for (const Here& here : here_)
      if (here.network.contains(stranger.ip)) wires.insert(here.network.interface);
    for (Here& here : here_) {
      if (wires.contains(here.network.interface)) {
        learn(here, now);
      } else if (wires.empty() && here.known && here.network.gateway != 0) {
        add_known({stranger.ip, kOneAddress, here.network.gateway, here.network.gateway_mac});
      }
    }
    if (wires.empty()) far_granted_.insert(stranger.ip);
  }
  review();
  return let_in;
}

}  // namespace lansync
