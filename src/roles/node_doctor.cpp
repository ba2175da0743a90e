// Why others are not found, or do not answer: the node's part of `doctor`, and of the reason that
// `status` shows. The machine's part (interfaces, firewall, limits) is the host's.
#include <algorithm>

#include "roles/node.h"

namespace lansync {
namespace {

constexpr Duration kMissingTold = 1h;
constexpr Duration kLonely = 10s;  // CONTRACT, The node
constexpr Duration kHeardLately = 80s;
constexpr std::int64_t kClockDifference = 60;  // seconds
constexpr std::size_t kMaxFindings = 100;

// Left out because a person or the rules of this program say so: nothing is wrong.
bool is_by_choice(const std::string& problem) {
  return problem.find("--max-file-size") != std::string::npos ||
         problem.find("socket, pipe or device") != std::string::npos;
}

// When a path that cannot stand here is tried again, for people; "": somebody has to do something.
std::string tried_again(const Replica& replica, const std::string& path) {
  const PathRecord* record = replica.index().find(path);
  if (!record || !record->remote || !replica.obstacles().stands(path)) return {};
  // What this disk, or an option, rules out is not tried before one of them is another.
  if (replica.obstacles().blocks(path, record->remote->version, kNever - 1s)) return {};
  return "; tried again by itself within some minutes (large ones: within ten), by `lansync wait` "
         "or `lansync rescan` at once";
}

std::string seconds_text(std::int64_t seconds) {
  if (seconds < 120) return str(seconds, " s");
  if (seconds < 7200) return str(seconds / 60, " minutes");
  return seconds < 172800 ? str(seconds / 3600, " hours") : str(seconds / 86400, " days");
}

// Whoever was heard by an interface that is gone is silent for no other reason than that: with a
// cable out, no firewall is looked for.
std::vector<SilentNode> silent_here(const Election& election, const Discovery& discovery,
                                    const NetworkFacts& network, Instant now) {
  if (!network.lan) return {};
  std::vector<SilentNode> silent = election.silent(now);
  std::erase_if(silent, [&](const SilentNode& one) {
    for (const auto& [node, neighbour] : discovery.neighbours()) {
      if (neighbour.address != one.address) continue;
      return std::none_of(
          neighbour.paths.begin(), neighbour.paths.end(), [&](const NeighbourPath& path) {
            const auto& used = network.interfaces;
            return std::find(used.begin(), used.end(), path.interface) != used.end();
          });
    }
    return false;  // its address was typed
  });
  return silent;
}

}  // namespace

// A hub without members says why it may be without them.
std::string Node::lonely_reason() const {
  // A firewall of this machine that lets nothing in is known at once; the rest takes its time.
  if (!network_.problem.empty()) return network_.problem;
  std::vector<SilentNode> silent = silent_here(*election_, *discovery_, network_, now_);
  if (!silent.empty()) {
    return str(why_silent(silent.front(), election_->ports()), ": ",
               silence_advice(silent.front(), election_->ports()));
  }
  if (std::string missing = missing_text(); !missing.empty()) return missing;
  if (now_ - alone_since_ < kLonely) return {};
  return "nobody else was heard for 10 s or more; if another node runs, `lansync doctor` here and "
         "there says why";
}

// Of those that said no goodbye. They may be off, or asleep: that is said, and nothing more.
std::string Node::missing_text() const {
  const Lost* last = nullptr;
  NodeId who;
  std::size_t others = 0;
  for (const auto& [node, lost] : lost_) {
    if (!lost.silent || now_ - lost.since >= kMissingTold) continue;
    if (last != nullptr) ++others;
    if (last == nullptr || lost.since > last->since) {
      last = &lost;
      who = node;
    }
  }
  if (last == nullptr) return {};
  return str(printable(name_of(who), 64), " (", ip_to_string(last->row.address.ip), ")",
             others > 0 ? str(" and ", others, " more were") : std::string(" was"),
             " here and said no goodbye, and for ", seconds_text((now_ - last->since) / 1s),
             " nothing is heard any more: switched off, asleep or gone, or a firewall or a cable "
             "keeps them apart; if it runs there, `lansync doctor` here and there says why");
}

// Somebody in a session, or a hub of this group that is heard, does not answer.
std::string Node::silent_text() const {
  if (!network_.problem.empty()) return network_.problem;
  for (const auto& [id, peer] : sessions_) {
    if (!peer.hello || !silent(id)) continue;
    return str(printable(name_of(peer.info.node), 64), " (", ip_to_string(peer.info.address.ip),
               ") has been silent for ", seconds_text((now_ - transport_->last_heard(id)) / 1s),
               ": it stands still, or what it sends does not arrive here");
  }
  std::vector<SilentNode> silent = silent_here(*election_, *discovery_, network_, now_);
  if (silent.empty() || !silent.front().is_hub) return {};
  return str(why_silent(silent.front(), election_->ports()), ": ",
             silence_advice(silent.front(), election_->ports()));
}

NodeControl::Token Node::doctor(Callback<DoctorFacts> done) {
  Token token = next_token_++;
  examinations_[token] = std::move(done);
  parts_.host.doctor([this, token](DoctorFacts facts) {
    auto at = examinations_.find(token);
    if (at == examinations_.end()) return;
    Callback<DoctorFacts> answer = std::move(at->second);
    examinations_.erase(at);
    add_findings(facts);
    answer(std::move(facts));
  });
  return token;
}

void Node::add_findings(DoctorFacts& facts) {
  const WallTime wall = parts_.clock.wall();
  std::size_t heard = 0;
  for (const auto& [node, neighbour] : discovery_->neighbours()) {
    if (now_ - neighbour.last_heard >= kHeardLately) continue;
    ++heard;
    for (InterfaceFacts& row : facts.interfaces) {
      row.members_heard += std::any_of(
          neighbour.paths.begin(), neighbour.paths.end(),
          [&](const NeighbourPath& path) { return path.interface == row.index && row.used; });
    }
    const Beacon& beacon = neighbour.beacon;
    std::int64_t sent = wall.ns / 1'000'000'000 - (now_ - neighbour.last_heard) / 1s;
    std::int64_t ahead = std::int64_t{beacon.time} - sent;
    if (beacon.time != 0 && std::abs(ahead) > kClockDifference &&
        facts.findings.size() < kMaxFindings) {
      facts.findings.push_back(
          {true,
           str("the clock of ", printable(beacon.name, 64), " is ", seconds_text(std::abs(ahead)),
               ahead > 0 ? " ahead of this machine's" : " behind this machine's",
               ": versions do not depend on it, but the times of files and of conflict copies do"),
           "on the one that is wrong: sudo timedatectl set-ntp true"});
    }
  }
  // Where this machine itself lets nothing through, nobody else is to mend anything.
  for (const SilentNode& silent : silent_here(*election_, *discovery_, network_, now_)) {
    if (!network_.problem.empty()) break;
    if (facts.findings.size() >= kMaxFindings) break;
    facts.findings.push_back(
        {true, why_silent(silent, election_->ports()), silence_advice(silent, election_->ports())});
  }
  add_state_findings(facts);
  const std::string missing =
      sessions_.empty() && heard == 0 && network_.problem.empty() ? missing_text() : std::string();
  if (!missing.empty()) facts.findings.push_back({true, missing, ""});
  if (sessions_.empty() && heard == 0 && network_.problem.empty() && missing.empty()) {
    bool strangers = discovery_->counters().other_group > 0;
    facts.findings.push_back(
        {true,
         str("no other node of the group ", printable(config_.group, 64), " is heard on UDP ",
             facts.beacon_port, strangers ? ", though nodes of other groups are" : ""),
         str("is lansync running there, on the same network, with the same --group? `lansync "
             "doctor` there says whether it hears this node. Guest Wi-Fi and some switches keep "
             "their users apart: then start one with --peer and the other's address, port ",
             facts.port)});
  }
  for (const Carriage::Trouble& trouble : carriage_->troubles()) {
    auto at = sessions_.find(trouble.session);
    if (at == sessions_.end() || !at->second.hello || !network_.lan) continue;
    if (facts.findings.size() >= kMaxFindings) break;
    const char* transport = trouble.via == kViaLane ? "/udp" : "/tcp";
    facts.findings.push_back(
        {true,
         str("the ", via_name(trouble.via), " to ", printable(at->second.hello->name), " (",
             ip_to_string(at->second.info.address.ip), ", port ", trouble.port, transport,
             ") does not get through: ", trouble.why, "; content goes by enet, more slowly"),
         str("let ", trouble.own_port, transport, " in here and ", trouble.port, transport,
             " there, e.g. `sudo ufw allow ", trouble.own_port, transport, "`")});
  }
  for (const std::string& cannot : describe(parts_.files.limits())) {
    if (facts.findings.size() >= kMaxFindings) break;
    facts.findings.push_back({false, str("the disk of this folder ", cannot), ""});
  }
  if (std::string folded = hub_->folded().text(replica_->index(), replica_->observed_ns());
      !folded.empty() && facts.findings.size() < kMaxFindings)
    facts.findings.push_back({false, std::move(folded), ""});
  for (const auto& [path, reason] : replica_->problems()) {
    if (facts.findings.size() >= kMaxFindings) break;
    facts.findings.push_back(
        {!is_by_choice(reason),
         str(printable(path), ": ", printable(reason), tried_again(*replica_, path)),
         str("`lansync why '", printable(path), "'` says who has it")});
  }
}

// What `status` complains about is a problem here too, whatever else was found: nothing is right
// with a node that is kept out, stands still, or waits for a person.
void Node::add_state_findings(DoctorFacts& facts) {
  auto add = [&facts](const std::string& what, const std::string& advice) {
    const bool told =
        std::any_of(facts.findings.begin(), facts.findings.end(), [&](const DoctorFinding& one) {
          return one.problem && (what.find(one.what) != std::string::npos || one.what == what);
        });
    if (!told && !what.empty() && facts.findings.size() < kMaxFindings)
      facts.findings.push_back({true, what, advice});
  };
  const Complaint out = kept_out();
  add(out.what, out.advice);
  for (const Complaint& refused : people_.refusals.turned_away(now_)) {
    if (out.what.empty()) add(refused.what, refused.advice);
  }
  if (std::string notice = version_notice(); notice != out.what) add(notice, "");
  add(people_.unfinished.text(), "");
  add(people_.half_pushed.text(), "");
  add(held_elsewhere(), "");
  std::string reason;
  const NodeState state = state_and_reason(holds(), reason);
  // The machine's part has said it in its own words.
  if (reason == network_.problem && !facts.findings.empty()) return;
  const bool told = !out.what.empty() && reason.find(out.what) != std::string::npos;
  const bool stands = state != NodeState::kInSync && state != NodeState::kSyncing;
  if ((stands && !told) || !fetcher_->pause_reason().empty()) add(reason, "");
  if (!hub_->acting() && only_here() > 0 && reason.find(only_here_text()) == 0) add(reason, "");
  bool moves = false;
  const std::string behind = behind_reason(moves);
  if (!behind.empty() && !moves) add(behind, "");
  // A pipe is nobody's fault, but for the group's file whose place it has.
  if (const std::uint64_t files = cannot_hold(); files > 0)
    add(str(files, files == 1 ? " file" : " files", " of the group cannot stand on this disk"),
        "`lansync why` says which and why");
}

}  // namespace lansync
