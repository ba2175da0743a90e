// The node's part about what is held: whose word counts, and what became of it.
#include "roles/node.h"

namespace lansync {

const char* to_string(HoldKind kind) {
  switch (kind) {
    case HoldKind::kDeletes:
      return "deletes";
    case HoldKind::kNetwork:
      return "network";
    case HoldKind::kRoom:
      return "room";
    case HoldKind::kAbsence:
      return "absence";
    case HoldKind::kStrays:
      return "strays";
    case HoldKind::kName:
      return "name";
  }
  return "deletes";
}

// ---- RunKeys
// ----------------------------------------------------------------------------------------

PublicKey Node::own_public_key() const { return signer_.public_key(); }

Signature Node::sign(ByteView message) const { return signer_.sign(message); }

bool Node::has_met(const PublicKey& key) const {
  if (key == signer_.public_key()) return true;
  std::optional<PublicKey> met = met_keys_.find(node_id_of(key));
  return met && *met == key;
}

bool Node::is_hub_session(SessionId session) const {
  return session != 0 && session == client_->hub();
}

// ---- what is held
// -----------------------------------------------------------------------------------

void Node::start_holds() {
  decisions_ = std::make_unique<RunDecisions>(*replica_, *outbox_, *this, parts_.clock, parts_.log);
  mender_ = std::make_unique<RunMender>(*replica_, *undo_, *decisions_, *this);
  holds_ = std::make_unique<HeldThings>(*replica_, *decisions_, parts_.clock);
}

void Node::step_holds(Instant now) {
  holds_->tick(now);
  if (decisions_->take_rejected()) mender_->wake(now);
  mender_->tick(now);
}

std::vector<HoldReport> Node::holds() { return holds_->list(*guard_, now_); }

void Node::note_shown() { holds_->note_shown(); }

std::string Node::held_reason(const std::vector<HoldReport>& held) const {
  std::string reason;
  std::uint64_t deletes = 0;
  std::size_t number = 0;
  std::string runs;
  for (const HoldReport& one : held) {
    if (one.kind != HoldKind::kDeletes) {
      reason += str(reason.empty() ? "" : "; ", one.says);
      continue;
    }
    deletes += one.number;
    ++number;
    runs += str(runs.empty() ? "" : ", ", one.says, " (run ", one.run, ')');
  }
  if (deletes == 0) return reason;
  const char* are = deletes == 1 ? " is held" : " are held";
  if (!reason.empty()) reason += "; ";
  reason += number == 1 ? str(runs, are) : str(deletes, " deletes", are, ": ", runs);
  return str(reason,
             ": `lansync confirm deletes` lets them go, `lansync reject` brings the files back");
}

Result<ActionReport> Node::confirm_network() {
  if (!guard_->blocks()) return Error{ErrorCode::kNotFound, "no network is held"};
  const std::vector<std::string> names = guard_->confirm(now_);
  guard_step(now_);
  update_self(now_);
  std::string who;
  for (const std::string& name : names) who += str(who.empty() ? "" : ", ", name);
  return ActionReport{str("let in: ", who, ", and whoever else comes on this network"),
                      names.size(), names};
}

NodeControl::Token Node::confirm(HoldKind kind, const std::string& run,
                                 Callback<ActionReport> done) {
  const Token token = next_token_++;
  switch (kind) {
    case HoldKind::kDeletes:
      holds_->confirm_deletes(token, run, std::move(done));
      return token;
    case HoldKind::kNetwork:
      done(confirm_network());
      return token;
    case HoldKind::kRoom:
      done(holds_->confirm_room());
      return token;
    case HoldKind::kAbsence: {
      Result<ActionReport> report = holds_->confirm_absence();
      if (report) {
        contacts_.confirm_absence();
        keep_contacts();
      }
      done(std::move(report));
    }
      return token;
    case HoldKind::kStrays:
      done(Error{ErrorCode::kNotFound, "no strays are held: this node is no store"});
      return token;
    case HoldKind::kName:
      done(Error{ErrorCode::kNotFound, "no damaged copy is held: this node is no store"});
      return token;
  }
  return token;
}

NodeControl::Token Node::reject(const std::string& run, Callback<RejectReport> done) {
  const Token token = next_token_++;
  std::string marker = str("marker-", to_hex(boot_).substr(0, 8), '-', token);
  if (!parts_.host.place_marker(marker)) marker.clear();
  holds_->reject(token, run, marker, now_, std::move(done));
  return token;
}

}  // namespace lansync
