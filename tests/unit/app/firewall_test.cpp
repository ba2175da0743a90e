#include "app/firewall.h"

#include <algorithm>

#include "support/catch.h"

using namespace lansync;

namespace {

const FirewallQuestion kQuestion{{"eth0"}, 27800, 27801};

// As nft writes it: chains, then rules.
std::string ruleset(const std::string& policy, const std::string& rules,
                    const std::string& more = {}) {
  return R"({"nftables": [{"metainfo": {"version": "1.0.6"}},
    {"table": {"family": "inet", "name": "filter", "handle": 1}},
    {"chain": {"family": "inet", "table": "filter", "name": "input", "handle": 1, "type": "filter",
               "hook": "input", "prio": 0, "policy": ")" +
         policy + R"("}})" + more + rules + "]}";
}

std::string rule(const std::string& expressions, const std::string& chain = "input") {
  return R"(, {"rule": {"family": "inet", "table": "filter", "chain": ")" + chain +
         R"(", "expr": [)" + expressions + "]}}";
}

const std::string kEstablished =
    R"({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}, {"accept": null})";
const std::string kLoopback =
    R"({"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}, {"accept": null})";
const std::string kSsh =
    R"({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}, {"accept": null})";

FilterEffect effect(const std::string& json) {
  auto blocks = read_nft(json, kQuestion);
  return blocks.empty() ? FilterEffect::kPasses : blocks[0].effect;
}

}  // namespace

TEST_CASE("a filter whose policy drops, with holes for others only, drops our ports") {
  std::string json = ruleset("drop", rule(kEstablished) + rule(kLoopback) + rule(kSsh));
  auto blocks = read_nft(json, kQuestion);
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].effect == FilterEffect::kDrops);
  CHECK(blocks[0].chain == "inet filter input");
  CHECK(blocks[0].ports == std::vector<std::uint16_t>{27800, 27801, 27802});
  CHECK(blocks[0].interfaces == std::vector<std::string>{"eth0"});
}

TEST_CASE("a hole for our ports is seen: as a number, a set or a range, also in another chain") {
  auto ports = [](const std::string& right) {
    return rule(
        R"({"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": )" +
        right + R"(}}, {"accept": null})");
  };
  CHECK(effect(ruleset("drop", ports(R"({"range": [27800, 27802]})"))) == FilterEffect::kPasses);
  CHECK(effect(ruleset("drop", ports(R"({"set": [53, {"range": [27800, 27802]}]})"))) ==
        FilterEffect::kPasses);
  CHECK(effect(ruleset("accept", "")) == FilterEffect::kPasses);
  auto blocks = read_nft(ruleset("drop", ports("27800")), kQuestion);
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].ports == std::vector<std::uint16_t>{27801, 27802});
  std::string lan =
      R"(, {"chain": {"family": "inet", "table": "filter", "name": "lan", "handle": 2}})";
  std::string jump =
      R"({"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth*"}}, {"jump": {"target": "lan"}})";
  CHECK(effect(ruleset("drop", rule(jump) + rule(R"({"accept": null})", "lan"), lan)) ==
        FilterEffect::kPasses);
  CHECK(effect(ruleset("accept", rule(jump) + rule(R"({"drop": null})", "lan"), lan)) ==
        FilterEffect::kDrops);
}

TEST_CASE("a rule of all UDP drops, and one with a condition that is not known only may") {
  std::string udp =
      R"({"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "udp"}}, {"drop": null})";
  CHECK(effect(ruleset("accept", rule(udp))) == FilterEffect::kDrops);
  std::string from_one =
      R"({"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "10.0.0.9"}}, )";
  CHECK(effect(ruleset("accept", rule(from_one + R"({"drop": null})"))) == FilterEffect::kMayDrop);
  CHECK(effect(ruleset("drop", rule(from_one + R"({"accept": null})"))) == FilterEffect::kMayDrop);
  std::string invalid =
      R"({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "invalid"}}, {"drop": null})";
  CHECK(effect(ruleset("accept", rule(invalid))) == FilterEffect::kPasses);
  std::string sometimes =
      R"({"match": {"op": "<", "left": {"numgen": {"mode": "random", "mod": 100, "offset": 0}}, "right": 5}}, {"drop": null})";
  CHECK(effect(ruleset("accept", rule(sometimes))) == FilterEffect::kMayDrop);
}

TEST_CASE("rules that go in circles, are cut or are no rules at all do no harm") {
  std::string circle =
      R"(, {"chain": {"family": "inet", "table": "filter", "name": "a", "handle": 2}})";
  std::string to_a = R"({"jump": {"target": "a"}}, {"jump": {"target": "a"}})";
  std::string rules = rule(to_a);
  for (int i = 0; i < 8; ++i) rules += rule(to_a, "a");
  (void)effect(ruleset("drop", rules, circle));
  std::string whole = ruleset("drop", rule(kSsh));
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK(read_nft(whole.substr(0, size), kQuestion).empty());
  CHECK(read_nft(R"({"nftables": {"chain": 3}})", kQuestion).empty());
  CHECK(read_nft(R"({"nftables": [{"chain": {"hook": 7}}, {"rule": []}, 5]})", kQuestion).empty());
}

TEST_CASE("iptables' rules are read in their order") {
  auto effect_of = [](const std::string& rules) {
    auto blocks = read_iptables(rules, kQuestion);
    return blocks.empty() ? FilterEffect::kPasses : blocks[0].effect;
  };
  const std::string closed =
      "-P INPUT DROP\n-P FORWARD DROP\n-A INPUT -i lo -j ACCEPT\n"
      "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
      "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n";
  CHECK(effect_of(closed) == FilterEffect::kDrops);
  CHECK(effect_of(closed + "-A INPUT -p udp -m multiport --dports 27800,27801:27802 -j ACCEPT\n") ==
        FilterEffect::kPasses);
  CHECK(effect_of(closed + "-A INPUT -s 10.0.0.0/8 -j ACCEPT\n") == FilterEffect::kMayDrop);
  CHECK(effect_of("-P INPUT ACCEPT\n-A INPUT -p udp -j DROP\n") == FilterEffect::kDrops);
  CHECK(effect_of("-P INPUT ACCEPT\n-A INPUT ! -i lo -p udp -j REJECT --reject-with x\n") ==
        FilterEffect::kDrops);
  const auto out = read_iptables("-P INPUT ACCEPT\n-A OUTPUT -o eth0 -p udp -j DROP\n", kQuestion);
  REQUIRE(out.size() == 1);
  CHECK(out[0].out);
  CHECK(out[0].effect == FilterEffect::kDrops);
  CHECK(effect_of("-P INPUT ACCEPT\n-A INPUT -j my-chain\n") == FilterEffect::kMayDrop);
  CHECK(effect_of("") == FilterEffect::kPasses);
}

TEST_CASE("what a filter drops of what goes out is seen, and TCP is named and opened beside UDP") {
  const std::string out_chain =
      R"(, {"chain": {"family": "inet", "table": "filter", "name": "out", "type": "filter",
          "hook": "output", "prio": 0, "policy": "accept"}})";
  const std::string all =
      R"({"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": ["tcp", "udp"]}}}, {"drop": null})";
  FirewallTools tools;
  tools.nft = {true, true, ruleset("accept", rule(all, "out"), out_chain)};
  FirewallReport report = examine_firewall(tools, kQuestion);
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].problem);
  CHECK(report.findings[0].what.find("drops what goes out from UDP 27800, 27801, 27802 and TCP "
                                     "27801 on eth0: chain inet filter out") != std::string::npos);
  CHECK(report.findings[0].advice.find("inet filter out udp sport '{ 27800, 27801-27802 }'") !=
        std::string::npos);
  CHECK(report.findings[0].advice.find("inet filter out tcp sport 27801 accept") !=
        std::string::npos);
  // Both directions: each with its own command.
  tools.nft.text = ruleset("accept", rule(all) + rule(all, "out"), out_chain);
  report = examine_firewall(tools, kQuestion);
  REQUIRE(report.findings.size() == 2);
  CHECK(report.findings[0].advice.find("inet filter input udp dport") != std::string::npos);
  CHECK(report.findings[1].advice.find("inet filter out udp sport") != std::string::npos);
  // By the other end's port: sure of beacons, and of sessions where the other has the usual one.
  const std::string theirs =
      R"({"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 27800}}, {"drop": null})";
  auto blocks = read_nft(ruleset("accept", rule(theirs, "out"), out_chain), kQuestion);
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].effect == FilterEffect::kDrops);
  CHECK(blocks[0].ports == std::vector<std::uint16_t>{27800});
  CHECK_FALSE(blocks[0].tcp);
}

TEST_CASE("a chain before all others, at the device, is read as well") {
  const std::string early =
      R"({"nftables": [{"chain": {"family": "netdev", "table": "w", "name": "in", "type": "filter",
          "hook": "ingress", "dev": "eth0", "policy": "accept"}}, {"rule": {"family": "netdev",
          "table": "w", "chain": "in", "expr": [{"match": {"op": "==", "left": {"payload":
          {"protocol": "udp", "field": "dport"}}, "right": 27801}}, {"drop": null}]}}]})";
  auto blocks = read_nft(early, kQuestion);
  REQUIRE(blocks.size() == 1);
  CHECK(blocks[0].effect == FilterEffect::kDrops);
  CHECK(blocks[0].ports == std::vector<std::uint16_t>{27801});
  CHECK(read_nft(early, {{"eth1"}, 27800, 27801}).empty());
}

TEST_CASE("the command that mends it is the one of the tool in use") {
  FirewallTools tools;
  tools.nft = {true, true, ruleset("drop", rule(kSsh))};
  CHECK(firewall_advice(tools, kQuestion).find("nft insert rule inet filter input") !=
        std::string::npos);
  tools.firewalld = {true, true, "running\n"};
  CHECK(firewall_advice(tools, kQuestion).find("--add-port=27800/udp") != std::string::npos);
  tools.ufw_conf = "# comment\nENABLED=yes\n";
  CHECK(firewall_advice(tools, kQuestion).find("ufw allow 27801:27802/udp") != std::string::npos);
  FirewallReport report = examine_firewall(tools, kQuestion);
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].problem);
  CHECK(report.findings[0].what.find("ufw") != std::string::npos);

  FirewallTools closed;
  closed.nft = {true, false, "Operation not permitted (you must be root)\n"};
  CHECK(examine_firewall(closed, kQuestion).findings.empty());
  CHECK(examine_firewall(closed, kQuestion).summary.find("root") != std::string::npos);
  closed.ufw_conf = "ENABLED=yes\n";
  REQUIRE(examine_firewall(closed, kQuestion).findings.size() == 1);
  CHECK_FALSE(examine_firewall(closed, kQuestion).findings[0].problem);
  CHECK(examine_firewall({}, kQuestion).findings.empty());
}
