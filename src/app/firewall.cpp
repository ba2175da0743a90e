#include "app/firewall.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>

#include "base/log.h"

namespace lansync {
namespace {

using nlohmann::json;

constexpr const char* kIptablesIn = "ip filter INPUT";
constexpr const char* kIptablesOut = "ip filter OUTPUT";

// Whether a rule applies to the datagram that is asked about: perhaps, where a condition is not
// understood or depends on what is not known (the source).
enum class Match { kNo, kPerhaps, kYes };

// One that comes in to a port of ours, or goes out from one.
struct Packet {
  std::uint16_t port;
  std::string interface;
  bool out = false;
  bool tcp = false;
  bool beacon = false;

  const char* protocol() const { return tcp ? "tcp" : "udp"; }
};

using ChainKey = std::tuple<std::string, std::string, std::string>;  // family, table, name

struct Ruleset {
  std::map<ChainKey, std::vector<const json*>> rules;
  std::vector<const json*> chains;
};

const json& at(const json& object, const char* key) {
  static const json nothing;
  if (!object.is_object()) return nothing;
  auto found = object.find(key);
  return found == object.end() ? nothing : *found;
}

std::string text(const json& object, const char* key) {
  const json& value = at(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

Match both(Match a, Match b) { return std::min(a, b); }
Match known(bool applies) { return applies ? Match::kYes : Match::kNo; }

// A value, {"set": [...]} or {"range": [a, b]}, against a number.
Match holds_number(const json& right, std::uint32_t wanted, int depth = 0) {
  if (depth > 4) return Match::kPerhaps;
  if (right.is_number_unsigned()) return known(right.get<std::uint64_t>() == wanted);
  if (const json& range = at(right, "range"); range.is_array() && range.size() == 2) {
    if (!range[0].is_number_unsigned() || !range[1].is_number_unsigned()) return Match::kPerhaps;
    return known(range[0].get<std::uint64_t>() <= wanted &&
                 wanted <= range[1].get<std::uint64_t>());
  }
  const json& set = right.is_array() ? right : at(right, "set");
  if (!set.is_array()) return Match::kPerhaps;
  Match any = Match::kNo;
  for (const json& item : set) any = std::max(any, holds_number(item, wanted, depth + 1));
  return any;
}

// A word, or a set of them, against those of which one has to be in it.
Match holds_word(const json& right, const std::vector<std::string>& wanted) {
  auto one = [&](const json& word) {
    if (!word.is_string()) return Match::kPerhaps;
    std::string name = word.get<std::string>();
    for (const std::string& want : wanted) {
      if (name == want) return Match::kYes;
      if (name.ends_with('*') && want.starts_with(name.substr(0, name.size() - 1)))
        return Match::kYes;
    }
    return Match::kNo;
  };
  const json& set = right.is_array() ? right : at(right, "set");
  if (!set.is_array()) return one(right);
  Match any = Match::kNo;
  for (const json& item : set) any = std::max(any, one(item));
  return any;
}

Match negated(Match match, const std::string& op) {
  if (op != "!=" || match == Match::kPerhaps) return match;
  return match == Match::kYes ? Match::kNo : Match::kYes;
}

Match match_expression(const json& match, const Packet& packet) {
  const json& left = at(match, "left");
  const json& right = at(match, "right");
  std::string op = text(match, "op");
  if (op != "==" && op != "!=" && op != "in") return Match::kPerhaps;
  if (const json& meta = at(left, "meta"); meta.is_object()) {
    std::string key = text(meta, "key");
    if (key == "l4proto") return negated(holds_word(right, {packet.protocol()}), op);
    const bool in = key == "iifname" || key == "iif";
    if (in || key == "oifname" || key == "oif")
      return in == packet.out ? Match::kNo : negated(holds_word(right, {packet.interface}), op);
    if (key == "nfproto") return negated(holds_word(right, {"ipv4"}), op);
    return Match::kPerhaps;
  }
  if (const json& payload = at(left, "payload"); payload.is_object()) {
    std::string protocol = text(payload, "protocol");
    std::string field = text(payload, "field");
    bool transport = field == "dport" || field == "sport";
    if (transport && protocol != packet.protocol() && protocol != "th") return Match::kNo;
    // The port at our end; the other end's is perhaps the same.
    if (field == (packet.out ? "sport" : "dport"))
      return negated(holds_number(right, packet.port), op);
    if (transport && !packet.tcp) {
      Match other = holds_number(right, packet.port);
      if (other == Match::kYes && !packet.beacon) other = Match::kPerhaps;
      return negated(other, op);
    }
    if (protocol == "ip" && field == "protocol")
      return negated(holds_word(right, {packet.protocol()}), op);
    return protocol == "ip6" || protocol.starts_with("icmp") ? Match::kNo : Match::kPerhaps;
  }
  // A first datagram: of no connection yet.
  if (const json& ct = at(left, "ct"); ct.is_object() && text(ct, "key") == "state")
    return negated(holds_word(right, {"new"}), op);
  return Match::kPerhaps;
}

enum class Outcome { kContinues, kAccepted, kMayDrop, kDropped };

class Walk {
 public:
  Walk(const Ruleset& rules, const Packet& packet) : rules_(rules), packet_(packet) {}

  Outcome chain(const ChainKey& key, int depth) {
    auto found = rules_.rules.find(key);
    if (found == rules_.rules.end() || depth > 16) return Outcome::kContinues;
    Outcome perhaps = Outcome::kContinues;
    for (const json* rule : found->second) {
      if (++steps_ > 20000) return Outcome::kMayDrop;
      Outcome outcome = this->rule(*rule, key, depth);
      if (outcome == Outcome::kMayDrop) perhaps = Outcome::kMayDrop;
      if (returned_) {
        returned_ = false;
        break;
      }
      if (outcome == Outcome::kDropped) return maybe_accepted_ ? Outcome::kMayDrop : outcome;
      if (outcome == Outcome::kAccepted)
        return perhaps == Outcome::kMayDrop ? Outcome::kMayDrop : outcome;
    }
    return perhaps;
  }
  bool maybe_accepted() const { return maybe_accepted_; }

 private:
  Outcome rule(const json& rule, const ChainKey& key, int depth) {
    Match match = Match::kYes;
    const json& parts = at(rule, "expr");
    if (!parts.is_array()) return Outcome::kContinues;
    for (const json& part : parts) {
      if (!part.is_object() || part.empty()) continue;
      std::string kind = part.begin().key();
      if (kind == "match") {
        match = both(match, match_expression(part.begin().value(), packet_));
      } else if (kind == "limit" || kind == "vmap" || kind == "xt" || kind == "quota") {
        // A verdict map, and what iptables' own modules test: not looked into.
        match = both(match, Match::kPerhaps);
      }
      if (match == Match::kNo) return Outcome::kContinues;
      if (kind == "vmap") return note(Outcome::kMayDrop, Match::kPerhaps);
      if (kind == "accept") return note(Outcome::kAccepted, match);
      if (kind == "drop" || kind == "reject") return note(Outcome::kDropped, match);
      if (kind == "return") {
        returned_ = match == Match::kYes;
        return Outcome::kContinues;
      }
      if (kind == "jump" || kind == "goto") {
        ChainKey target{std::get<0>(key), std::get<1>(key), text(part.begin().value(), "target")};
        Outcome there = chain(target, depth + 1);
        // Who went there does not come back to this chain.
        returned_ = kind == "goto" && match == Match::kYes && there == Outcome::kContinues;
        return note(there, match);
      }
    }
    return Outcome::kContinues;
  }

  Outcome note(Outcome outcome, Match match) {
    if (match == Match::kYes) return outcome;
    if (outcome == Outcome::kAccepted) maybe_accepted_ = true;
    if (outcome == Outcome::kDropped || outcome == Outcome::kMayDrop) return Outcome::kMayDrop;
    return Outcome::kContinues;
  }

  const Ruleset& rules_;
  const Packet& packet_;
  bool maybe_accepted_ = false;
  bool returned_ = false;
  int steps_ = 0;
};

Ruleset sort_rules(const json& document) {
  Ruleset out;
  const json& items = at(document, "nftables");
  if (!items.is_array()) return out;
  for (const json& item : items) {
    if (const json& chain = at(item, "chain"); chain.is_object()) out.chains.push_back(&chain);
    if (const json& rule = at(item, "rule"); rule.is_object()) {
      out.rules[{text(rule, "family"), text(rule, "table"), text(rule, "chain")}].push_back(&rule);
    }
  }
  return out;
}

// Over UDP; a carrier that goes without TCP is slower and nothing else.
std::vector<Packet> our_packets(const FirewallQuestion& question, const std::string& interface,
                                bool out) {
  return {{question.beacon_port, interface, out, false, true},
          {question.port, interface, out},
          {static_cast<std::uint16_t>(question.port + 1), interface, out}};
}

template <typename T>
void add_once(std::vector<T>& list, const T& item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

FilterEffect effect_of(const Ruleset& rules, const json& chain, const Packet& packet) {
  Walk walk(rules, packet);
  ChainKey key{text(chain, "family"), text(chain, "table"), text(chain, "name")};
  switch (walk.chain(key, 0)) {
    case Outcome::kAccepted:
      return FilterEffect::kPasses;
    case Outcome::kDropped:
      return FilterEffect::kDrops;
    case Outcome::kMayDrop:
      return FilterEffect::kMayDrop;
    case Outcome::kContinues:
      break;
  }
  if (text(chain, "policy") != "drop") return FilterEffect::kPasses;
  return walk.maybe_accepted() ? FilterEffect::kMayDrop : FilterEffect::kDrops;
}

}  // namespace

std::vector<FilterBlock> read_nft(std::string_view text_of_rules,
                                  const FirewallQuestion& question) {
  json document = json::parse(text_of_rules, nullptr, false);
  Ruleset rules = sort_rules(document);
  std::vector<FilterBlock> blocks;
  for (const json* chain : rules.chains) {
    std::string family = text(*chain, "family");
    std::string hook = text(*chain, "hook");
    // What runs before input and after output may drop as well.
    const bool in = hook == "input" || hook == "prerouting" || hook == "ingress";
    const bool out = hook == "output" || hook == "postrouting" || hook == "egress";
    const bool device = family == "netdev" || hook == "ingress" || hook == "egress";
    if (family != "ip" && family != "inet" && family != "netdev") continue;
    if ((!in && !out) || text(*chain, "type") != "filter") continue;
    FilterBlock block;
    block.out = out;
    block.chain = str(family, " ", text(*chain, "table"), " ", text(*chain, "name"));
    for (const std::string& interface : question.interfaces) {
      // Older tools do not say to which device such a chain belongs.
      const json& owner = at(*chain, "dev");
      if (device && !owner.is_null() && holds_word(owner, {interface}) == Match::kNo) continue;
      const FilterEffect most =
          device && owner.is_null() ? FilterEffect::kMayDrop : FilterEffect::kDrops;
      for (const Packet& packet : our_packets(question, interface, out)) {
        FilterEffect effect = std::min(most, effect_of(rules, *chain, packet));
        if (effect == FilterEffect::kPasses) continue;
        block.effect = std::max(block.effect, effect);
        add_once(block.ports, packet.port);
        add_once(block.interfaces, interface);
      }
      block.tcp = block.tcp || effect_of(rules, *chain, {question.port, interface, out, true}) ==
                                   FilterEffect::kDrops;
    }
    if (block.effect != FilterEffect::kPasses) blocks.push_back(std::move(block));
  }
  return blocks;
}

namespace {

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  std::size_t begin = 0;
  while (begin < line.size()) {
    std::size_t end = std::min(line.find(' ', begin), line.size());
    if (end > begin) words.emplace_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

// "27800", "27800:27810", or several of them with commas.
Match holds_ports(const std::string& list, std::uint16_t port) {
  std::size_t begin = 0;
  while (begin <= list.size()) {
    std::size_t end = std::min(list.find(',', begin), list.size());
    std::string item = list.substr(begin, end - begin);
    std::uint32_t first = 0;
    auto [rest, failed] = std::from_chars(item.data(), item.data() + item.size(), first);
    if (failed != std::errc()) return Match::kPerhaps;
    std::uint32_t last = first;
    if (*rest == ':') std::from_chars(rest + 1, item.data() + item.size(), last);
    if (first <= port && port <= last) return Match::kYes;
    begin = end + 1;
  }
  return Match::kNo;
}

struct IptablesRule {
  Match match = Match::kYes;
  std::string target;
};

IptablesRule read_rule(const std::vector<std::string>& words, const Packet& packet) {
  IptablesRule rule;
  bool negate = false;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::string& word = words[i];
    std::string value = i + 1 < words.size() ? words[i + 1] : "";
    Match match = Match::kPerhaps;
    if (word == "!") {
      negate = true;
      continue;
    }
    if (word == "-j" || word == "-g") {
      rule.target = value;
      break;
    }
    if (word == "-m") {
      ++i;
      continue;
    }
    if (word == "-p") match = known(value == packet.protocol() || value == "all");
    if (word == (packet.out ? "-o" : "-i")) match = holds_word(json(value), {packet.interface});
    const std::string port = packet.out ? "--sport" : "--dport";
    if (word == port || word == port + "s") match = holds_ports(value, packet.port);
    if (word == "--ctstate" || word == "--state")
      match = known(value.find("NEW") != std::string::npos);
    if (negate) match = negated(match, "!=");
    negate = false;
    rule.match = both(rule.match, match);
    ++i;
  }
  return rule;
}

FilterEffect iptables_effect(const std::vector<std::vector<std::string>>& lines,
                             const Packet& packet) {
  const char* chain = packet.out ? "OUTPUT" : "INPUT";
  bool drop_policy = false;
  bool maybe_accepted = false;
  bool maybe_dropped = false;
  for (const auto& words : lines) {
    if (words.size() >= 3 && words[0] == "-P" && words[1] == chain)
      drop_policy = words[2] == "DROP" || words[2] == "REJECT";
    if (words.size() < 4 || words[0] != "-A" || words[1] != chain) continue;
    IptablesRule rule = read_rule(words, packet);
    if (rule.match == Match::kNo) continue;
    bool sure = rule.match == Match::kYes;
    if (rule.target == "ACCEPT") {
      if (sure) return maybe_dropped ? FilterEffect::kMayDrop : FilterEffect::kPasses;
      maybe_accepted = true;
    } else if (rule.target == "DROP" || rule.target == "REJECT") {
      if (sure) return maybe_accepted ? FilterEffect::kMayDrop : FilterEffect::kDrops;
      maybe_dropped = true;
    } else if (rule.target != "LOG") {
      maybe_accepted = maybe_dropped = true;  // another chain: not followed
    }
  }
  if (drop_policy) return maybe_accepted ? FilterEffect::kMayDrop : FilterEffect::kDrops;
  return maybe_dropped ? FilterEffect::kMayDrop : FilterEffect::kPasses;
}

}  // namespace

std::vector<FilterBlock> read_iptables(std::string_view rules, const FirewallQuestion& question) {
  std::vector<std::vector<std::string>> lines;
  while (!rules.empty()) {
    std::size_t end = std::min(rules.find('\n'), rules.size());
    lines.push_back(words_of(rules.substr(0, end)));
    rules.remove_prefix(std::min(end + 1, rules.size()));
  }
  std::vector<FilterBlock> blocks;
  for (const bool out : {false, true}) {
    FilterBlock block;
    block.out = out;
    block.chain = out ? kIptablesOut : kIptablesIn;
    for (const std::string& interface : question.interfaces) {
      for (const Packet& packet : our_packets(question, interface, out)) {
        FilterEffect effect = iptables_effect(lines, packet);
        if (effect == FilterEffect::kPasses) continue;
        block.effect = std::max(block.effect, effect);
        add_once(block.ports, packet.port);
        add_once(block.interfaces, interface);
      }
      block.tcp = block.tcp || iptables_effect(lines, {question.port, interface, out, true}) ==
                                   FilterEffect::kDrops;
    }
    if (block.effect != FilterEffect::kPasses) blocks.push_back(std::move(block));
  }
  return blocks;
}

namespace {

bool uses_ufw(const FirewallTools& tools) {
  return tools.ufw_conf.find("ENABLED=yes") != std::string::npos ||
         tools.ufw.text.find("Status: active") != std::string::npos;
}

bool uses_firewalld(const FirewallTools& tools) {
  return tools.firewalld.text.starts_with("running");
}

std::string nft_advice(const FilterBlock& block, const FirewallQuestion& question) {
  const char* end = block.out ? "sport" : "dport";
  auto insert = [&](const std::string& match) {
    return str("sudo nft insert rule ", block.chain, " ", match, " accept");
  };
  std::string lines = insert(str("udp ", end, " '{ ", question.beacon_port, ", ", question.port,
                                 "-", question.port + 1, " }'"));
  if (block.tcp) lines += str(" && ", insert(str("tcp ", end, " ", question.port)));
  return str(lines, "; the same in /etc/nftables.conf keeps it");
}

std::string iptables_advice(const FilterBlock& block, const FirewallQuestion& question) {
  const std::string chain = str("sudo iptables -I ", block.out ? "OUTPUT" : "INPUT");
  const char* end = block.out ? "sport" : "dport";
  std::string lines = str(chain, " -p udp -m multiport --", end, "s ", question.beacon_port, ",",
                          question.port, ":", question.port + 1, " -j ACCEPT");
  if (block.tcp) lines += str(" && ", chain, " -p tcp --", end, " ", question.port, " -j ACCEPT");
  return lines;
}

std::string block_advice(const FirewallTools& tools, const FilterBlock& block,
                         const FirewallQuestion& question) {
  std::string session = str(question.port, ":", question.port + 1);
  const char* allow = block.out ? "sudo ufw allow out " : "sudo ufw allow ";
  if (uses_ufw(tools)) {
    return str(allow, question.beacon_port, "/udp && ", allow, session, "/udp && ", allow,
               question.port, "/tcp");
  }
  if (uses_firewalld(tools) && !block.out) {
    return str("sudo firewall-cmd --permanent --add-port=", question.beacon_port,
               "/udp --add-port=", question.port, "-", question.port + 1,
               "/udp --add-port=", question.port, "/tcp && sudo firewall-cmd --reload");
  }
  if (block.chain.empty()) {
    return str("let ", block.out ? "outgoing" : "incoming", " UDP ", question.beacon_port, " and ",
               question.port, "-", question.port + 1, " (and TCP ", question.port,
               ") through the firewall");
  }
  const bool of_iptables = block.chain == kIptablesIn || block.chain == kIptablesOut;
  return of_iptables ? iptables_advice(block, question) : nft_advice(block, question);
}

// Both tools' answers; legacy iptables is not in nft's list, and what is in both is said once.
std::vector<FilterBlock> read_tools(const FirewallTools& tools, const FirewallQuestion& question) {
  std::vector<FilterBlock> blocks;
  if (tools.nft.ran) blocks = read_nft(tools.nft.text, question);
  if (tools.iptables.ran && blocks.empty()) blocks = read_iptables(tools.iptables.text, question);
  return blocks;
}

}  // namespace

std::string firewall_advice(const FirewallTools& tools, const FirewallQuestion& question,
                            bool out) {
  for (const FilterBlock& block : read_tools(tools, question))
    if (block.out == out) return block_advice(tools, block, question);
  FilterBlock unknown;
  unknown.out = out;
  return block_advice(tools, unknown, question);
}

FirewallReport examine_firewall(const FirewallTools& tools, const FirewallQuestion& question) {
  FirewallReport report;
  const std::vector<FilterBlock> blocks = read_tools(tools, question);
  const bool read = tools.nft.ran || tools.iptables.ran;
  std::string manager = uses_ufw(tools) ? "ufw" : uses_firewalld(tools) ? "firewalld" : "";
  for (const FilterBlock& block : blocks) {
    std::string ports;
    for (std::uint16_t port : block.ports) ports += str(ports.empty() ? "" : ", ", port);
    std::string where;
    for (const std::string& name : block.interfaces) where += str(where.empty() ? "" : ", ", name);
    bool sure = block.effect == FilterEffect::kDrops;
    report.findings.push_back(
        {sure,
         str("the firewall of this machine", manager.empty() ? "" : str(" (", manager, ")"),
             sure ? " drops" : " may drop",
             block.out ? " what goes out from UDP " : " what comes in for UDP ", ports,
             block.tcp ? str(" and TCP ", question.port) : std::string(), " on ",
             printable(where, 200), ": chain ", printable(block.chain, 200)),
         block_advice(tools, block, question)});
  }
  if (read) {
    report.summary = blocks.empty()
                         ? "lets our ports in and out, as far as its rules were understood"
                         : str("stops us in ", printable(blocks[0].chain, 200));
    return report;
  }
  bool any = tools.nft.found || tools.iptables.found || !manager.empty();
  report.summary = any ? "its rules can be read by root only" : "no tool for it on this machine";
  if (!manager.empty()) {
    report.findings.push_back({false,
                               str(manager,
                                   " is active on this machine; whether it lets our ports "
                                   "in can be seen by root only"),
                               firewall_advice(tools, question)});
  }
  return report;
}

}  // namespace lansync
