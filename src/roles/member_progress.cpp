#include "roles/member_progress.h"

#include <algorithm>

namespace lansync {

void MemberProgress::begin_reign() {
  members_.clear();
  best_ = 0;
}

void MemberProgress::on_ping(SessionId session, const Ping& ping, bool keeps) {
  Member& member = members_[session];
  member.told = Told{ping.heard, ping.files, ping.bytes, ping.obstacle};
  if (ping.seq == 0) return;
  member.reached = std::max(member.reached.value_or(0), ping.seq - 1);
  // In sync, and without a copy of what it cannot hold.
  if (keeps && ping.obstacle != Obstacle::kCannot) best_ = std::max(best_, *member.reached);
}

void MemberProgress::on_down(SessionId session) { members_.erase(session); }

bool MemberProgress::has(SessionId session, std::uint64_t seq) const {
  auto at = members_.find(session);
  return at != members_.end() && at->second.reached && *at->second.reached >= seq;
}

bool MemberProgress::complete(SessionId session, std::uint64_t seq) const {
  const std::optional<Told> last = told(session);
  return has(session, seq) && last && !lacks_something(last->obstacle);
}

std::optional<MemberProgress::Told> MemberProgress::told(SessionId session) const {
  auto at = members_.find(session);
  return at == members_.end() ? std::nullopt : at->second.told;
}

std::string to_words(Obstacle obstacle) {
  switch (obstacle) {
    case Obstacle::kNone:
      return "";
    case Obstacle::kPaused:
      return "it is paused there (`lansync resume` there goes on)";
    case Obstacle::kHeld:
      return "it waits for a person's word there (`lansync status` there says what is held)";
    case Obstacle::kNoRoom:
      return "there is no room on its disk";
    case Obstacle::kError:
      return "it stands still there (`lansync status` there says why)";
    case Obstacle::kCannot:
      return "it cannot hold that (`lansync why` there says what and why)";
  }
  return "";
}

bool lacks_something(Obstacle obstacle) {
  return obstacle == Obstacle::kHeld || obstacle == Obstacle::kError ||
         obstacle == Obstacle::kCannot;
}

}  // namespace lansync
