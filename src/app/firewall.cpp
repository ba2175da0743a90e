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

// Whether a rule applies to the datagram that is asked about: perhaps, where a condition is not
// understood or depends on what is not known (the source).
enum class Match { kNo, kPerhaps, kYes };

struct Packet {
  std::uint16_t port;
  std::string interface;
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
    if (key == "l4proto") return negated(holds_word(right, {"udp"}), op);
    if (key == "iifname" || key == "iif") return negated(holds_word(right, {packet.interface}), op);
    if (key == "nfproto") return negated(holds_word(right, {"ipv4"}), op);
    return Match::kPerhaps;
  }
  if (const json& payload = at(left, "payload"); payload.is_object()) {
    std::string protocol = text(payload, "protocol");
    std::string field = text(payload, "field");
    bool transport = field == "dport" || field == "sport";
    if (transport && protocol != "udp" && protocol != "th") return Match::kNo;
    if (field == "dport") return negated(holds_number(right, packet.port), op);
    if (protocol == "ip" && field == "protocol") return negated(holds_word(right, {"udp"}), op);
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

std::vector<std::uint16_t> our_ports(const FirewallQuestion& question) {
  return {question.beacon_port, question.port, static_cast<std::uint16_t>(question.port + 1)};
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
    // prerouting runs before input and may drop as well.
    std::string hook = text(*chain, "hook");
    if ((family != "ip" && family != "inet") || (hook != "input" && hook != "prerouting")) continue;
    if (text(*chain, "type") != "filter") continue;
    FilterBlock block;
    block.chain = str(family, " ", text(*chain, "table"), " ", text(*chain, "name"));
    for (const std::string& interface : question.interfaces) {
      for (std::uint16_t port : our_ports(question)) {
        FilterEffect effect = effect_of(rules, *chain, {port, interface});
        if (effect == FilterEffect::kPasses) continue;
        block.effect = std::max(block.effect, effect);
        add_once(block.ports, port);
        add_once(block.interfaces, interface);
      }
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
    if (word == "-p") match = known(value == "udp" || value == "all");
    if (word == "-i") match = holds_word(json(value), {packet.interface});
    if (word == "--dport" || word == "--dports") match = holds_ports(value, packet.port);
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
  bool drop_policy = false;
  bool maybe_accepted = false;
  bool maybe_dropped = false;
  for (const auto& words : lines) {
    if (words.size() >= 3 && words[0] == "-P" && words[1] == "INPUT")
      drop_policy = words[2] == "DROP" || words[2] == "REJECT";
    if (words.size() < 4 || words[0] != "-A" || words[1] != "INPUT") continue;
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
  FilterBlock block;
  block.chain = "ip filter INPUT";
  for (const std::string& interface : question.interfaces) {
    for (std::uint16_t port : our_ports(question)) {
      FilterEffect effect = iptables_effect(lines, {port, interface});
      if (effect == FilterEffect::kPasses) continue;
      block.effect = std::max(block.effect, effect);
      add_once(block.ports, port);
      add_once(block.interfaces, interface);
    }
  }
  if (block.effect == FilterEffect::kPasses) return {};
  return {block};
}

namespace {

bool uses_ufw(const FirewallTools& tools) {
  return tools.ufw_conf.find("ENABLED=yes") != std::string::npos ||
         tools.ufw.text.find("Status: active") != std::string::npos;
}

bool uses_firewalld(const FirewallTools& tools) {
  return tools.firewalld.text.starts_with("running");
}

std::string nft_advice(const std::string& chain, const FirewallQuestion& question) {
  std::string lan = str(question.beacon_port, ", ", question.port, "-", question.port + 1);
  return str("sudo nft insert rule ", chain, " udp dport '{ ", lan,
             " }' accept; the same line in /etc/nftables.conf keeps it");
}

std::string iptables_advice(const FirewallQuestion& question) {
  return str("sudo iptables -I INPUT -p udp -m multiport --dports ", question.beacon_port, ",",
             question.port, ":", question.port + 1, " -j ACCEPT");
}

}  // namespace

std::string firewall_advice(const FirewallTools& tools, const FirewallQuestion& question) {
  std::string session = str(question.port, ":", question.port + 1);
  if (uses_ufw(tools)) {
    return str("sudo ufw allow ", question.beacon_port, "/udp && sudo ufw allow ", session,
               "/udp && sudo ufw allow ", question.port, "/tcp");
  }
  if (uses_firewalld(tools)) {
    return str("sudo firewall-cmd --permanent --add-port=", question.beacon_port,
               "/udp --add-port=", question.port, "-", question.port + 1,
               "/udp --add-port=", question.port, "/tcp && sudo firewall-cmd --reload");
  }
  for (const FilterBlock& block : read_nft(tools.nft.text, question)) {
    bool of_iptables = block.chain == "ip filter INPUT";
    return of_iptables ? iptables_advice(question) : nft_advice(block.chain, question);
  }
  if (!read_iptables(tools.iptables.text, question).empty()) return iptables_advice(question);
  return str("let incoming UDP ", question.beacon_port, " and ", question.port, "-",
             question.port + 1, " (and TCP ", question.port, ") through the firewall");
}

FirewallReport examine_firewall(const FirewallTools& tools, const FirewallQuestion& question) {
  FirewallReport report;
  std::vector<FilterBlock> blocks;
  bool read = false;
  if (tools.nft.ran) {
    blocks = read_nft(tools.nft.text, question);
    read = true;
  }
  // Legacy iptables is not in nft's list; what is in both is said once.
  if (tools.iptables.ran && blocks.empty()) {
    blocks = read_iptables(tools.iptables.text, question);
    read = true;
  }
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
             sure ? " drops" : " may drop", " what comes in for UDP ", ports, " on ",
             printable(where, 200), ": chain ", printable(block.chain, 200)),
         firewall_advice(tools, question)});
  }
  if (read) {
    report.summary = blocks.empty() ? "lets our ports in, as far as its rules were understood"
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
