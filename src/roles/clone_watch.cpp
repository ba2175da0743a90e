#include "roles/clone_watch.h"

#include <algorithm>
#include <utility>

namespace lansync {

void CloneWatch::add(const SessionInfo& newer, std::vector<SessionId> older, Instant now) {
  Waiting waiting;
  waiting.info = newer;
  waiting.older = std::move(older);
  waiting.since = now;
  waiting_[newer.id] = std::move(waiting);
}

std::vector<SessionId> CloneWatch::waiting_of(const NodeId& node) const {
  std::vector<SessionId> found;
  for (const auto& [id, waiting] : waiting_)
    if (waiting.info.node == node) found.push_back(id);
  return found;
}

bool CloneWatch::keep(SessionId session, Channel channel, ByteView bytes) {
  auto at = waiting_.find(session);
  if (at == waiting_.end()) return true;
  Waiting& waiting = at->second;
  if (waiting.packets.size() >= kMaxKept || waiting.bytes + bytes.size() > kMaxKeptBytes)
    return false;
  waiting.packets.push_back({channel, Bytes(bytes.begin(), bytes.end())});
  waiting.bytes += bytes.size();
  return true;
}

void CloneWatch::on_down(SessionId session) {
  waiting_.erase(session);
  for (auto& [id, waiting] : waiting_) std::erase(waiting.older, session);
}

std::vector<CloneWatch::Verdict> CloneWatch::step(Instant now,
                                                  const std::function<Instant(SessionId)>& heard) {
  std::vector<Verdict> verdicts;
  std::vector<SessionId> decided;
  for (auto& [id, waiting] : waiting_) {
    if (waiting.older.empty()) {
      verdicts.push_back({Verdict::Kind::kAdmit, waiting.info, std::move(waiting.packets)});
      decided.push_back(id);
      continue;
    }
    if (waiting.closing) continue;
    // What was on its way when this one came says nothing: it comes before an answer could.
    const Instant since = waiting.since;
    const bool answered = std::any_of(waiting.older.begin(), waiting.older.end(),
                                      [&](SessionId older) { return heard(older) > since; });
    if (answered) {
      verdicts.push_back({Verdict::Kind::kClone, waiting.info, {}});
      decided.push_back(id);
    } else if (now - waiting.since >= kPatience) {
      waiting.closing = true;
      for (SessionId older : waiting.older) {
        Verdict close;
        close.session.id = older;
        verdicts.push_back(std::move(close));
      }
    }
  }
  for (std::size_t i = 0; waiting_.size() - decided.size() > kMaxWaiting; ++i) {
    // The oldest of too many: it comes again.
    Verdict close;
    close.session.id = std::next(waiting_.begin(), static_cast<std::ptrdiff_t>(i))->first;
    verdicts.push_back(close);
    decided.push_back(close.session.id);
  }
  for (SessionId id : decided) waiting_.erase(id);
  return verdicts;
}

Instant CloneWatch::deadline() const {
  Instant next = kNever;
  for (const auto& [id, waiting] : waiting_) {
    if (waiting.older.empty()) return Instant{};
    if (!waiting.closing) next = std::min(next, waiting.since + kPatience);
  }
  return next;
}

}  // namespace lansync
