// What a node keeps for people alone: nothing is decided by it, but for how long `wait` waits.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "roles/bars.h"
#include "roles/member_progress.h"
#include "roles/progress.h"
#include "roles/refusals.h"
#include "roles/unfinished.h"
#include "sync/replica.h"

namespace lansync {

struct PeopleView {
  // A member waits until all have what this hub had (Mark).
  struct AllMark {
    SessionId session = 0;
    std::uint64_t token = 0;
    std::uint64_t seq = 0;
    std::uint64_t term = 0;
    Instant until{};
    Instant tell_at{};  // who is waited for, not before
    bool all = true;    // else: what this disk cannot hold has to stand on another
  };
  // What the hub said of another member, to a `wait --all` of this node.
  struct Elsewhere {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    Obstacle obstacle = Obstacle::kNone;
    Instant at{};
  };
  static constexpr Duration kTellEach = 2s;
  static constexpr Duration kElsewhereLife = 5s;
  static constexpr std::size_t kMaxElsewhere = 16;
  static constexpr Duration kMarkLife = 10min;
  static constexpr std::size_t kMaxMarks = 1024;

  PeopleView(const std::string& group, bool open, int protocol) : refusals(group, open, protocol) {}

  Refusals refusals;
  MemberProgress members;
  Progress progress;
  Progress reading;  // of the folder, at the start
  Bars bars;
  Unfinished unfinished;
  Unfinished half_pushed;  // of members that left while this hub fetched
  Instant tell_holders_at{};
  std::string hub_name;   // of the hub that is followed, or was last
  Replica::Pending left;  // as of the last sample
  Instant next_sample{};
  std::vector<AllMark> marks;
  std::map<NodeId, Elsewhere> elsewhere;
};

}  // namespace lansync
