// A member that follows a hub: joins with digests, pushes what its disk has, takes what the hub
// says.
//
// Invariant: between the digest of our tree and the end of the hub's answer the local tree does not
// change (Replica::freeze_versions), so that "this bucket is equal" stays true. Driven by
// roles/node.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "roles/outbox.h"
#include "sync/replica.h"
#include "transport/message.h"

namespace lansync {

class Client {
 public:
  Client(Replica& replica, Outbox& outbox, Log& log);

  // A session with the hub is up. Joins as soon as the first scan is done.
  // `away`: what the hub is told of how long it was not seen (IndexGet).
  void follow(SessionId hub, std::uint64_t term, std::uint64_t away = 0);
  void leave();
  bool following() const { return hub_ != 0; }
  SessionId hub() const { return hub_; }
  bool joined() const { return joined_; }
  // The hub's sequence as of the last message of it.
  std::uint64_t seq() const { return seq_; }
  // Highest count that the group has seen of our node id; set when a join ends.
  std::optional<std::uint64_t> take_count_seen();

  // False: the message has no place here (the peer's fault).
  bool on_update(const Update& update, Instant now);
  void on_verdict(const Verdict& verdict, Instant now);
  void on_done(const std::vector<NamedEntry>& published, Instant now);
  void pump(Instant now);
  Instant deadline() const;
  bool idle() const { return in_flight_.empty() && joined_; }
  // The hub has said nothing for 15 s on something that was pushed to it.
  bool unanswered(Instant now) const;
  // Everything is done but for what the hub refused for now.
  bool only_refused(Instant now) const;
  // All of these have been refused so often that only a person will change it.
  bool refusals_stand() const;
  // Pushes that the hub refused, with its reason.
  const std::map<std::string, std::string>& refused() const { return refused_; }

 private:
  void begin_join();
  void end_join(Instant now);
  void push(Instant now);
  void note_answered(Instant now);
  Duration refused_delay(const std::string& path, const EntryPtr& entry);
  void ask_again(Instant now);
  void send(std::vector<PushItem> items);
  PushItem item_of(const std::string& path) const;

  Replica& replica_;
  Outbox& outbox_;
  Log& log_;
  SessionId hub_ = 0;
  std::uint64_t term_ = 0;
  std::uint64_t hub_away_ = 0;
  bool asked_ = false;
  bool joined_ = false;
  std::uint32_t round_ = 0;  // of index_get: answers to an earlier one are late
  std::uint64_t seq_ = 0;
  std::uint64_t rules_seen_ = 0;
  std::optional<std::uint64_t> count_seen_;

  // The answer to index_get, gathered.
  std::uint32_t bucket_count_ = 1;
  std::vector<bool> differing_;
  std::map<std::string, EntryPtr> listing_;
  // Whose delete was held when the digest was made: it stood for the version before. A person may
  // confirm or reject while the answer is on its way.
  std::set<std::string> held_;

  bool push_due_ = false;
  struct InFlight {
    EntryPtr entry;
    Instant ask_again;  // a verdict that has not come by then may be lost
    Duration patience;
  };
  std::map<std::string, InFlight> in_flight_;
  Instant next_ask_again_ = kNever;       // not later than the first of theirs
  std::set<std::string> unanswered_;      // of them, those without a verdict
  std::optional<Instant> waiting_since_;  // for a verdict on any of them
  // A refused version is not pushed again before `until`; another version at once.
  struct Refused {
    EntryPtr entry;
    Instant until;
  };
  std::map<std::string, Refused> wait_until_;
  // How long the next refusal of a version keeps it back: ever longer, up to a minute.
  struct Patience {
    EntryPtr entry;
    Duration next;
  };
  std::map<std::string, Patience> patience_;
  std::map<std::string, std::string> refused_;
};

}  // namespace lansync
