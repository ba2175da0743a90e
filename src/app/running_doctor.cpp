// What RunningNode knows of the machine: which interfaces lead anywhere, and `doctor`.
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "app/firewall.h"
#include "app/running_node.h"
#include "platform/child_process.h"
#include "platform/machine_facts.h"
#include "transport/enet_tuning.h"

namespace lansync {
namespace {

// CONTRACT: commands answer at once; a firewall with 10,000 rules is listed within this.
constexpr Duration kToolsLimit = 1500ms;
// This long without an answer of the disk, no worker may be free to ask the machine's tools.
constexpr Duration kBusyWorkers = 3s;
constexpr std::uint64_t kGoodBuffer = 1024 * 1024;
constexpr std::uint64_t kGoodWatches = 65536;
constexpr std::size_t kNamesShown = 12;
constexpr std::uint32_t kLeastMtu = kEnetMtu + 4 + 28;  // checksum, UDP's and IP's headers

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kNamesShown; ++i)
    text += str(i == 0 ? "" : ", ", printable(names[i], 32));
  return text.empty() ? "none" : text;
}

std::uint64_t positive(std::int64_t value) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0));
}

std::string why_not_used(const SystemInterface& item, const std::vector<std::string>& wanted) {
  if (!item.is_up) return "it is down, or its cable is out";
  if (!wanted.empty()) return "not chosen with --interface";
  if (is_virtual_name(item.interface.name))
    return "a network of containers or virtual machines on this host";
  return item.is_point_to_point ? "point-to-point" : "it has no broadcast";
}

// What a person who sees it can do something about comes first: a cable, then an interface that
// this program leaves alone.
std::string no_network_text(const std::vector<SystemInterface>& all) {
  std::vector<std::string> down;
  std::string unused;
  for (const SystemInterface& item : all) {
    if (item.interface.is_loopback) continue;
    const std::string& name = item.interface.name;
    const bool lan = item.has_broadcast && !item.is_point_to_point && !is_virtual_name(name);
    if (!item.is_up && lan) {
      if (std::find(down.begin(), down.end(), name) == down.end()) down.push_back(name);
    } else if (unused.empty()) {
      unused = str(printable(name, 32), " is not used (", why_not_used(item, {}), "); ");
    }
  }
  if (!down.empty()) {
    return str("no network: ", joined(down),
               down.size() == 1 ? " is down, or its cable" : " are down, or their cables",
               down.size() == 1 ? " is out" : " are out",
               ": plug it in or join the Wi-Fi, and it goes on by itself");
  }
  return str("no network: this machine has no address (IPv4) on a LAN: ", unused,
             "plug in a cable or join a Wi-Fi, and it goes on by itself; nodes of this host alone "
             "find each other with --interface lo");
}

ToolOutput tool_output(const ChildOutput& child) {
  return {child.found, child.found && child.exit_code == 0, child.text};
}

// On a worker.
FirewallTools ask_tools() {
  std::vector<ChildOutput> outputs = run_children({{"nft", "-j", "list", "ruleset"},
                                                   {"iptables", "-S"},
                                                   {"firewall-cmd", "--state"},
                                                   {"ufw", "status"}},
                                                  kToolsLimit);
  FirewallTools tools;
  tools.nft = tool_output(outputs[0]);
  tools.iptables = tool_output(outputs[1]);
  tools.firewalld = tool_output(outputs[2]);
  tools.ufw = tool_output(outputs[3]);
  if (auto conf = read_small_file("/etc/ufw/ufw.conf")) tools.ufw_conf = *conf;
  return tools;
}

void add_limits(DoctorFacts& facts, const MachineFacts& machine, bool watched) {
  facts.receive_buffer = positive(machine.socket_receive_max);
  facts.send_buffer = positive(machine.socket_send_max);
  facts.watches_limit = positive(machine.inotify_watches);
  facts.instances_limit = positive(machine.inotify_instances);
  if (!watched) {
    facts.findings.push_back(
        {true,
         str("some directories are not watched (", facts.watches_used,
             " are, the limit for this user "
             "is ",
             facts.watches_limit, "): changes there are found by rescans, minutes later"),
         "sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512; the "
         "same "
         "lines in /etc/sysctl.d/90-lansync.conf keep them"});
  } else if (facts.watches_limit != 0 && facts.watches_limit < kGoodWatches) {
    facts.findings.push_back({false,
                              str("fs.inotify.max_user_watches is ", facts.watches_limit,
                                  ": a folder with more directories is not watched whole"),
                              "sudo sysctl fs.inotify.max_user_watches=524288"});
  }
  if (facts.receive_buffer < kGoodBuffer) {
    facts.findings.push_back({false,
                              str("net.core.rmem_max is ", facts.receive_buffer,
                                  " bytes: fast transfers lose datagrams"),
                              "sudo sysctl net.core.rmem_max=4194304"});
  }
  if (facts.send_buffer < kGoodBuffer / 8) {
    facts.findings.push_back({false, str("net.core.wmem_max is ", facts.send_buffer, " bytes"),
                              "sudo sysctl net.core.wmem_max=4194304"});
  }
}

}  // namespace

void RunningNode::bind_sessions(int fd) {
  const std::string& name = options_.interfaces[0];
  bool bound = setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name.c_str(),
                          static_cast<socklen_t>(name.size())) == 0;
  int error = bound ? 0 : errno;
  // A device that is not there yet is the network's problem, and said as that.
  if (error != 0 && error != ENODEV && error != bind_error_)
    log_.warn(str("sessions are not bound to ", printable(name), ": ", std::strerror(error)));
  bind_error_ = error;
}

NetworkFacts RunningNode::network_facts() const {
  NetworkFacts facts;
  const auto& used = interfaces_->interfaces();
  std::size_t lan = 0;
  for (const Interface& interface : used) {
    facts.interfaces.push_back(interface.index);
    facts.addresses.push_back(interface.address);
    if (!interface.is_loopback) ++lan;
  }
  const auto& wanted = options_.interfaces;
  bool loopback_asked = std::find(wanted.begin(), wanted.end(), "lo") != wanted.end();
  facts.lan = lan > 0 || (loopback_asked && !used.empty());
  if (!facts.lan) {
    const auto all = list_interfaces();
    if (wanted.empty()) {
      facts.problem = no_network_text(all ? *all : std::vector<SystemInterface>{});
      return facts;
    }
    std::vector<std::string> there;
    if (all) {
      for (const SystemInterface& item : *all)
        if (there.empty() || there.back() != item.interface.name)
          there.push_back(item.interface.name);
    }
    facts.problem = str("no network: ", joined(interfaces_->missing()),
                        " is not there, is down, or its cable is out (there are: ", joined(there),
                        "): connect it, and it goes on by itself, or start with another "
                        "--interface");
    return facts;
  }
  std::vector<std::string> deaf = beacons_->deaf();
  std::vector<std::string> names;
  for (const Interface& interface : used)
    if (!interface.is_loopback && (names.empty() || names.back() != interface.name))
      names.push_back(interface.name);
  const std::vector<std::string> mute = beacons_->mute();
  if (!mute.empty() && mute.size() >= names.size()) {
    facts.problem = str("nothing of this node goes out on ", joined(mute),
                        ": a firewall on this machine drops outgoing UDP ", kBeaconPort,
                        "; `lansync doctor` names it and the command");
  } else if (!deaf.empty() && deaf.size() == names.size()) {
    facts.problem = str("nothing comes in on ", joined(deaf),
                        ", not even this node's own beacons: a "
                        "firewall on this machine drops incoming UDP ",
                        kBeaconPort, "; `lansync doctor` names it and the command");
  }
  return facts;
}

void RunningNode::update_network(Instant now) { node_->on_network(network_facts(), now); }

// What this machine and the others may see differently: the length of packets, the net mask.
void RunningNode::add_differences(DoctorFacts& facts) const {
  std::string told;
  for (const Interface& interface : interfaces_->interfaces()) {
    if (interface.is_loopback || interface.name == told) continue;
    told = interface.name;
    std::uint32_t mtu = interface_mtu(interface.name);
    if (mtu == 0 || mtu >= kLeastMtu) continue;
    facts.findings.push_back(
        {true,
         str(interface.name, ": its MTU is ", mtu, ", and packets of this program have up to ",
             kLeastMtu, " bytes: longer ones are lost"),
         str("sudo ip link set ", interface.name, " mtu 1500 (or ", kLeastMtu,
             ", if what is behind it takes no more)")});
  }
  for (const auto& [ip, misfit] : beacons_->misfits()) {
    std::string ours;
    for (const Interface& interface : interfaces_->interfaces())
      if (interface.name == misfit.interface)
        ours += str(ours.empty() ? "" : ", ", ip_to_string(interface.address), '/',
                    std::popcount(interface.netmask));
    facts.findings.push_back(
        {misfit.outside,
         str(misfit.interface, ": ", ip_to_string(ip),
             " is on the same wire with another net mask ", "than this machine (", ours, ")",
             misfit.outside ? ": nothing that is sent from here arrives there" : ""),
         "give all machines of one LAN the same net mask: ip address shows it"});
  }
}

DoctorFacts RunningNode::machine_facts() const {
  DoctorFacts facts;
  facts.port = endpoint_->port();
  facts.beacon_port = kBeaconPort;
  NetworkFacts network = network_facts();
  if (!network.lan)
    facts.findings.push_back(
        {true, network.problem, "`ip address` and `nmcli device` show what this machine has"});
  auto all = list_interfaces();
  const auto& used = interfaces_->interfaces();
  if (all) {
    for (const SystemInterface& item : *all) {
      InterfaceFacts row;
      row.name = item.interface.name;
      row.index = item.interface.index;
      row.address =
          str(ip_to_string(item.interface.address), '/', std::popcount(item.interface.netmask));
      row.used = std::find(used.begin(), used.end(), item.interface) != used.end();
      if (!row.used) row.why_not = why_not_used(item, options_.interfaces);
      auto counted = beacons_->counters().find(row.name);
      if (counted != beacons_->counters().end()) {
        const auto& counters = counted->second;
        row.beacons_sent = counters.sent;
        row.beacons_heard = counters.heard;
        row.own_heard = counters.echoed;
        if (counters.last_errno != 0) row.send_error = std::strerror(counters.last_errno);
        // What a packet filter refuses is said with the command that mends it.
        if (row.used && counters.last_errno != 0 && counters.last_errno != EPERM) {
          facts.findings.push_back(
              {true, str(row.name, ": beacons cannot be sent: ", row.send_error), ""});
        }
      }
      facts.interfaces.push_back(std::move(row));
    }
  }
  if (!options_.port_given && facts.port != options_.port) {
    facts.findings.push_back({false,
                              str("port ", options_.port,
                                  " is in use by another program (perhaps another lansync); this "
                                  "node uses ",
                                  facts.port, ": a firewall has to let that in"),
                              str("ss -ulpn sport = :", options_.port, " shows which")});
  }
  add_differences(facts);
  facts.watches_used = watcher_ ? watcher_->watch_count() : 0;
  add_limits(facts, read_machine_facts(), watcher_ && !watcher_->degraded());
  return facts;
}

void RunningNode::doctor(std::function<void(DoctorFacts)> done) {
  if (std::max(disk_->waits(), workers_->waits()) >= kBusyWorkers) {
    loop_->post([this, done = std::move(done)] {
      DoctorFacts facts = machine_facts();
      facts.firewall = "was not asked, because the disk is slow to answer";
      done(std::move(facts));
    });
    return;
  }
  auto tools = std::make_shared<FirewallTools>();
  workers_->submit(
      JobClass::kBulk, [tools] { *tools = ask_tools(); },
      [this, tools, done = std::move(done)] {
        DoctorFacts facts = machine_facts();
        FirewallQuestion question{{}, facts.beacon_port, facts.port};
        for (const Interface& interface : interfaces_->interfaces()) {
          if (!interface.is_loopback || options_.interfaces.size() == 1)
            question.interfaces.push_back(interface.name);
        }
        for (const std::string& name : beacons_->deaf()) {
          // An interface whose cable is out hears nothing either, and needs no firewall for that.
          const auto& all = question.interfaces;
          if (std::find(all.begin(), all.end(), name) == all.end()) continue;
          facts.findings.push_back(
              {true,
               str(name,
                   ": beacons go out and nothing comes in, not even our own: a firewall on "
                   "this machine drops incoming UDP ",
                   kBeaconPort, ", and probably UDP ", question.port, "-", question.port + 1),
               firewall_advice(*tools, question)});
        }
        for (const std::string& name : beacons_->mute()) {
          facts.findings.push_back(
              {true,
               str(name, ": beacons cannot be sent (", std::strerror(EPERM),
                   "): a firewall on this machine drops outgoing UDP ", kBeaconPort,
                   ", and probably UDP ", question.port, "-", question.port + 1),
               firewall_advice(*tools, question, true)});
        }
        FirewallReport firewall = examine_firewall(*tools, question);
        facts.firewall = firewall.summary;
        for (DoctorFinding& finding : firewall.findings)
          facts.findings.push_back(std::move(finding));
        done(std::move(facts));
      });
}

}  // namespace lansync
