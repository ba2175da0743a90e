// What a hub is told of how far its members are: who has everything as of which of its sequences,
// who is behind by what, and what keeps it.
//
// Invariant: `reached` of a member only grows within a reign, and what a member that left had is
// remembered (`best`): a copy that stands elsewhere stands there also when its node is off. Driven
// by roles/node on the control thread; pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/network.h"
#include "transport/message.h"
#include "transport/session.h"

namespace lansync {

class MemberProgress {
 public:
  struct Told {
    std::uint64_t heard = 0;  // our sequence, as of the last word that it had from us
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    Obstacle obstacle = Obstacle::kNone;
  };

  void begin_reign();
  // `keeps`: it is a full replica, whose copies count for others.
  void on_ping(SessionId session, const Ping& ping, bool keeps);
  void on_down(SessionId session);

  // It was in sync with us at `seq` or later.
  bool has(SessionId session, std::uint64_t seq) const;
  // And nothing of it is held back there, cannot stand on its disk, or went with its folder.
  bool complete(SessionId session, std::uint64_t seq) const;
  // nullopt: it has said nothing of that in this reign.
  std::optional<Told> told(SessionId session) const;
  // The highest sequence at which any full replica had everything in this reign.
  std::uint64_t best() const { return best_; }

 private:
  struct Member {
    std::optional<std::uint64_t> reached;
    std::optional<Told> told;
  };
  std::map<SessionId, Member> members_;
  std::uint64_t best_ = 0;
};

// "it is paused there"; "" for kNone.
std::string to_words(Obstacle obstacle);
// A node that says so lacks something, whatever it had before.
bool lacks_something(Obstacle obstacle);

}  // namespace lansync
