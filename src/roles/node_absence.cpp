// The node's part about time apart: who was away for how long, what that makes of ages, and who was
// away for too long to push what the group may have deleted.
#include <algorithm>

#include "roles/node.h"

namespace lansync {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

// As messages have it: seconds and one more.
std::uint64_t told(std::optional<std::int64_t> ago_ns) {
  return ago_ns ? static_cast<std::uint64_t>(*ago_ns / kSecondNs) + 1 : 0;
}

std::optional<std::int64_t> heard(std::uint64_t told) {
  constexpr std::uint64_t kMost = 100ULL * 365 * 24 * 3600;
  if (told == 0) return std::nullopt;
  return static_cast<std::int64_t>(std::min(told - 1, kMost)) * kSecondNs;
}

}  // namespace

// In sync with this hub: what it had to tell has come, and what it had to hear is there.
bool Node::shares_with(SessionId id, const Peer& peer) const {
  return hub_->is_member(id) && !silent(id) && peer.hello && peer.hello->in_sync &&
         peer.hello->hub == node_;
}

std::uint64_t Node::away_of(const NodeId& node) const {
  return told(contacts_.seen_ago(node, replica_->observed_ns()));
}

std::uint64_t Node::unsynced_of(const NodeId& node) const {
  return told(contacts_.synced_ago(node, replica_->observed_ns()));
}

void Node::on_away(std::uint64_t away) {
  if (auto ago = heard(away)) replica_->observed_time().on_reported(*ago);
}

// Before anything is planned of what a hub says.
void Node::judge_absence(const Update& update) {
  on_away(update.away);
  const auto own = contacts_.shared_ago(replica_->observed_ns());
  const bool away =
      !contacts_.absence_confirmed() &&
      was_long_away(heard(update.unsynced), own, replica_->observed_time().unsure_ns());
  if (away) parts_.log.warn("away for over a year: files that the hub does not know are held");
  replica_->set_long_away(away);
}

void Node::note_contact(SessionId id, const Peer& peer) {
  if (!peer.hello) return;
  contacts_.note_seen(peer.info.node, replica_->observed_ns());
  if (shares_with(id, peer)) contacts_.note_synced(peer.info.node, replica_->observed_ns());
}

void Node::keep_contacts() {
  for (const auto& [id, peer] : sessions_) note_contact(id, peer);
  replica_->index().set_meta("contacts", contacts_.text());
}

void Node::on_suspended(Duration slept) { replica_->observed_time().on_suspended(slept); }

}  // namespace lansync
