// A second session of a key that has one already, under another boot id: a node that was killed
// and is back, or a copy of it that is at work beside it. The older session is asked; if nothing
// comes of it for a second it was the same node's past (DESIGN, Identity).
//
// Invariant: of one key at most one session is let in, and a session that waits is let in or told
// to be a clone after kPatience, never both; what it says meanwhile is kept, within bounds. Pure;
// driven by roles/node, which alone opens and closes sessions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "transport/session.h"

namespace lansync {

class CloneWatch {
 public:
  static constexpr Duration kPatience = 1s;
  static constexpr std::size_t kMaxWaiting = 64;
  static constexpr std::size_t kMaxKept = 16;  // packets; nobody says much before an answer
  static constexpr std::size_t kMaxKeptBytes = 64 * 1024;

  struct Packet {
    Channel channel;
    Bytes bytes;
  };
  struct Verdict {
    enum class Kind : std::uint8_t {
      kAdmit,  // `session` is the node now, and said `packets`
      kClone,  // another one answers under its key: it has to be told, and closed
      kClose,  // an older session that is silent, or one too many
    };
    Kind kind = Kind::kClose;
    SessionInfo session;  // kClose: only its id is set
    std::vector<Packet> packets;
  };

  // `older`: sessions of the same key, let in or waiting themselves. Not empty.
  void add(const SessionInfo& newer, std::vector<SessionId> older, Instant now);
  bool waits(SessionId session) const { return waiting_.contains(session); }
  std::vector<SessionId> waiting_of(const NodeId& node) const;
  // False: it says too much.
  bool keep(SessionId session, Channel channel, ByteView bytes);
  // A session is gone, whichever it was.
  void on_down(SessionId session);
  // `heard`: when anything authenticated last came on a session.
  std::vector<Verdict> step(Instant now, const std::function<Instant(SessionId)>& heard);
  Instant deadline() const;

 private:
  struct Waiting {
    SessionInfo info;
    std::vector<SessionId> older;  // still up
    Instant since{};
    bool closing = false;  // the older ones are being closed
    std::vector<Packet> packets;
    std::size_t bytes = 0;
  };
  std::map<SessionId, Waiting> waiting_;  // by age: ids rise
};

}  // namespace lansync
