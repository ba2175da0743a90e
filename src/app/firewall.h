// What this machine's packet filter does to our ports, as far as its own tools tell, and the
// command that lets us through.
//
// Invariant: conservative. "Drops" is said only where every datagram to or from that port is
// dropped whoever is at the other end; a rule with a condition that is not understood here makes it
// "may drop". Pure: the tools' output comes in as text (RunningNode runs them).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "roles/node_control.h"

namespace lansync {

// What is asked of the filter: a new UDP datagram to, and one from, each of these ports on each
// interface.
struct FirewallQuestion {
  std::vector<std::string> interfaces;
  std::uint16_t beacon_port = 0;
  std::uint16_t port = 0;  // N/udp, N/tcp, and (N+1)/udp
};

// A tool's output; `ran` false: it is not on this machine, or it was refused.
struct ToolOutput {
  bool found = false;
  bool ran = false;
  std::string text;
};

struct FirewallTools {
  ToolOutput nft;        // nft -j list ruleset
  ToolOutput iptables;   // iptables -S (asked where nft tells nothing)
  ToolOutput firewalld;  // firewall-cmd --state
  ToolOutput ufw;        // ufw status
  std::string ufw_conf;  // /etc/ufw/ufw.conf, which everybody may read
};

enum class FilterEffect { kPasses, kMayDrop, kDrops };

// One base chain that stops some of our ports.
struct FilterBlock {
  FilterEffect effect = FilterEffect::kPasses;
  std::string chain;  // "inet filter input"
  bool out = false;   // what goes out; else what comes in
  bool tcp = false;   // N/tcp too
  std::vector<std::uint16_t> ports;
  std::vector<std::string> interfaces;
};

// Of the JSON of `nft -j list ruleset`. Empty also for what is no such JSON.
std::vector<FilterBlock> read_nft(std::string_view json, const FirewallQuestion& question);
// Of `iptables -S`. At most two blocks, of INPUT and OUTPUT.
std::vector<FilterBlock> read_iptables(std::string_view rules, const FirewallQuestion& question);

struct FirewallReport {
  std::string summary;  // one line for people
  std::vector<DoctorFinding> findings;
};
FirewallReport examine_firewall(const FirewallTools& tools, const FirewallQuestion& question);
// The command that lets us through, for the tool in use on this machine.
std::string firewall_advice(const FirewallTools& tools, const FirewallQuestion& question,
                            bool out = false);

}  // namespace lansync
