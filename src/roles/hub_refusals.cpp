// What a hub refuses, because its content cannot be had or before it has begun anything with it,
// and what it publishes without a copy of its own: the version of a path that its disk or its rules
// cannot have (sync/replica_obstacles.cpp).
#include <utility>

#include "base/log.h"
#include "roles/hub.h"

namespace lansync {
namespace {

constexpr std::size_t kMaxNotHere = 100'000;  // hints for those who look for content

}  // namespace

// This disk's own is named to the person here, and offered again when it or the group's version
// changes.
void Hub::refuse(const Offer& offer, const std::string& reason) {
  verdict(offer.session, VerdictKind::kRefuse, offer.item.name, nullptr, reason);
  if (offer.session == 0) replica_.refuse_push(offer.item.name, reason);
}

void Hub::note_not_here(const std::string& path) {
  const PathRecord& record = *replica_.index().find(path);
  if (!record.agreed_elsewhere() || !record.synced->is_file()) return;
  if (not_here_.size() >= kMaxNotHere) not_here_.clear();
  not_here_[record.synced->content] = path;
}

// What was agreed on without a copy and is withdrawn before it was published has promised nothing.
void Hub::forget_not_here(const std::string& path, const EntryPtr& entry, const EntryPtr& before) {
  const PathRecord* record = replica_.index().find(path);
  const bool agreed = record && entry && record->synced && record->agreed_elsewhere() &&
                      record->synced->version == entry->version;
  if (agreed) replica_.index().set_synced(path, before);
}

std::string Hub::not_here(const ContentId& content) const {
  auto at = not_here_.find(content);
  return at == not_here_.end() ? std::string() : at->second;
}

std::vector<std::string> Hub::describe_candidates() const {
  std::vector<std::string> out;
  for (const auto& [path, candidate] : candidates_) {
    std::string line =
        str(printable(path), candidate.entry ? "" : ", waits for its copy", ", session ",
            candidate.offer.session, ", offers behind it ", candidate.queue.size());
    if (candidate.offer.item.name != path)
      line += str(", for ", printable(candidate.offer.item.name));
    out.push_back(std::move(line));
  }
  return out;
}

void Hub::on_fetch_failed(const std::string& path, const std::string& reason) {
  auto at = candidates_.find(path);
  if (at == candidates_.end()) return;
  const Candidate& failed = at->second;
  if (failed.entry && failed.entry->is_file() && failed.before &&
      same_content(*failed.entry, *failed.before)) {
    // No new bytes: whoever holds them, the decision is made.
    replica_.set_known_synced(path, at->second.entry);
    replica_.commit_then([this, path] { on_settled(path); });
    return;
  }
  if (at->second.offer.session == 0) {
    give_up_copy(path, reason);
    return;
  }
  SessionId session = at->second.offer.session;
  std::string name = at->second.offer.item.name;
  if (auto copied = copy_for_.find(path); copied != copy_for_.end()) name = copied->second;
  run_queue(withdraw(path, false));
  // The pusher looks at its file again and pushes what is there now.
  verdict(session, VerdictKind::kRefuse, name, nullptr, reason);
}

// A conflict copy of what this disk showed, and a person replaced it before it could be made: its
// bytes are nowhere that we can ask, and nobody misses them. (With a copy that waits for ever the
// name that it was made for waits, too.)
void Hub::give_up_copy(const std::string& path, const std::string& reason) {
  const Candidate& candidate = candidates_.at(path);
  // A directory that was to be made for somebody's file, and cannot: the file says so.
  if (candidate.entry && candidate.entry->is_directory()) return run_queue(withdraw(path, false));
  const PathRecord* record = replica_.index().find(path);
  const bool copy = candidate.entry && candidate.entry->is_file() && !(record && record->live());
  if (!copy || replica_.has_bytes(candidate.entry->content, path)) return;
  std::optional<Offer> pushed;
  if (auto copied = copy_for_.find(path); copied != copy_for_.end()) {
    auto owner = candidates_.find(copied->second);
    if (owner != candidates_.end() && waits(owner->second, path)) pushed = owner->second.offer;
  }
  std::deque<Offer> behind = withdraw(path, false);
  // A directory takes its place, for the sake of what is made below it (hub_ancestors.cpp): that
  // goes on without the copy, or what is below would wait as long. (Seed 1031.)
  const PathRecord* named = pushed ? replica_.index().find(pushed->item.name) : nullptr;
  if (pushed && pushed->session == 0 && !(named && named->local == pushed->item.entry)) {
    propose(pushed->item.name, pushed->item.entry, *pushed);
    pushed.reset();
  }
  run_queue(std::move(behind));
  if (pushed) refuse(*pushed, reason);
}

std::map<std::string, EntryPtr> Hub::promised_by(SessionId session) const {
  std::map<std::string, EntryPtr> found;
  for (const auto& [path, candidate] : candidates_)
    if (candidate.offer.session == session && candidate.entry && candidate.entry->is_file())
      found[path] = candidate.entry;
  return found;
}

}  // namespace lansync
