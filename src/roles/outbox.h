// Messages on their way to one session each: a queue above ENet's, because ENet 1.3.17 walks its
// whole outgoing list on every call (reliability.md §3), so only little may be handed to it at a
// time.
//
// Invariant: messages of a session leave in the order in which they were put in. Driven by
// roles/node.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "transport/message.h"
#include "transport/session.h"

namespace lansync {

class Outbox {
 public:
  // Packets of one session in the transport's hands, whosever they are. Content fills up to the
  // first; were that messages' end too, an answer would wait until all content was sent.
  static constexpr std::size_t kContentInHand = 300;
  static constexpr std::size_t kMaxInHand = kContentInHand + 64;

  explicit Outbox(SessionTransport& transport) : transport_(transport) {}

  // Urgent messages (hello, claim, ping, bye) overtake nothing of their own channel but do not wait
  // behind a listing: they go on channel kHandshake at once.
  void send_urgent(SessionId session, const Message& message);
  void send(SessionId session, const Message& message);
  void drop(SessionId session) { queues_.erase(session); }
  // Hands on what there is room for.
  void pump();
  bool empty(SessionId session) const;
  // Put in and not handed on: what a session that reads slowly, or not at all, costs.
  std::uint64_t waiting_bytes(SessionId session) const;
  // When something went out on it last: who sends nothing else has to ping.
  Instant last_sent(SessionId session) const;
  void set_now(Instant now) { now_ = now; }
  void forget(SessionId session);

 private:
  SessionTransport& transport_;
  struct Queue {
    std::deque<Bytes> messages;
    std::uint64_t bytes = 0;
  };
  std::map<SessionId, Queue> queues_;
  std::map<SessionId, Instant> last_sent_;
  Instant now_{};
};

}  // namespace lansync
