// The hub: puts the group's changes in order. Its replica's remote tree is the group's tree.
//
// Invariant (DESIGN, Publication): a pushed version is shown to nobody before its content is
// verified and its index row durable on this node; until then it is a candidate, at most one a
// path, and everything else about that path waits behind it. Driven by roles/node on the control
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "roles/folded_saves.h"
#include "roles/outbox.h"
#include "sync/replica.h"
#include "sync/settlement.h"
#include "transport/message.h"

namespace lansync {

class Hub {
 public:
  Hub(Replica& replica, Outbox& outbox, Log& log);

  // Begins a reign: what this disk holds is the group's tree.
  void start(std::uint64_t term, std::uint64_t seq, Instant now);
  void stop();
  // The reign goes on with what this disk holds now: its own edits have other names.
  void restart(Instant now) { start(term_, seq_, now); }
  void set_term(std::uint64_t term) { term_ = term; }
  bool acting() const { return acting_; }
  std::uint64_t seq() const { return seq_; }
  // The sequence at which `path` was published, as far as this reign knows: who is in sync at it or
  // later has it.
  std::uint64_t published_at(const std::string& path) const;
  // Whose push it was, if it still has its session; 0: not known, or our own.
  SessionId published_by(const std::string& path) const;

  // Where the group has a content that this disk does not hold; "": it has, or nobody has said so.
  std::string not_here(const ContentId& content) const;

  // What was published after `seq`, by others than that session: of the last few thousand.
  struct Amount {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
  };
  Amount published_since(std::uint64_t seq, SessionId but) const;
  // Files of this node's own that it published after `seq`.
  std::uint64_t own_since(std::uint64_t seq) const;
  // Files whose content that session promised and has not given yet.
  std::map<std::string, EntryPtr> promised_by(SessionId session) const;

  // What this node knows of one that joins.
  struct Joiner {
    NodeId node;
    bool replica = false;  // it wants all content
    // As Update has them.
    std::uint64_t away = 0;
    std::uint64_t unsynced = 0;
  };
  void on_index_get(SessionId session, const Joiner& joiner, const IndexGet& message);
  // `may_rename`: a count of ours that we do not know leads to a new key before it is compared with
  // anything; else it is taken like any other.
  void on_push(SessionId session, const Push& message, bool may_rename = true);
  void on_member_down(SessionId session);
  void on_settled(const std::string& path);
  void on_fetch_failed(const std::string& path, const std::string& reason);
  // Publishes this disk's own edits, sends what has been gathered.
  void pump();
  bool has_members() const { return !members_.empty(); }
  bool is_member(SessionId session) const { return members_.contains(session); }
  bool idle() const { return candidates_.empty(); }
  const FoldedSaves& folded() const { return folded_; }
  // What members were told to be coming. For tests.
  std::size_t told_coming() const { return coming_.size(); }
  // True once: a member knows later edits of this node than its own index (a restored backup).
  bool take_identity_doubt() { return std::exchange(identity_doubt_, false); }
  // What is on its way to being published, one line each. For tests and oracles.
  std::vector<std::string> describe_candidates() const;

 private:
  // A push that waits for its turn, or for its content. session 0: our own disk.
  struct Offer {
    SessionId session = 0;
    PushItem item;
  };
  struct Candidate {
    Offer offer;
    // What will be published; null: waits for a conflict copy to be published first.
    EntryPtr entry;
    std::string waits_for;  // the name of that copy
    EntryPtr before;        // the published version meanwhile
    std::deque<Offer> queue;
  };
  struct Member {
    NodeId node;
    bool replica = false;
    std::vector<NamedEntry> updates;
    std::vector<NamedEntry> published;
    std::vector<ComingItem> coming;
    std::map<VerdictKind, std::vector<VerdictItem>> verdicts;
  };

  static bool waits(const Candidate& candidate, const std::string& copy) {
    return !candidate.entry && candidate.waits_for == copy;
  }
  void offer(Offer offer);
  void settle_offer(const Offer& offer);
  void take_conflict(const Offer& offer, const Settlement& settlement);
  // hub_ancestors.cpp
  bool waits_for_ancestor(const Offer& offer);
  void keep_what_gives_way(const AncestorChange& change);
  bool propose_ancestors(const std::string& path);
  void queue_behind(std::deque<Offer>& queue, Offer offer, std::size_t most);
  // False: there can be no directory above it.
  bool propose(const std::string& path, const EntryPtr& entry, const Offer& offer);
  void refuse(const Offer& offer, const std::string& reason);
  void publish(const std::string& path);
  std::deque<Offer> withdraw(const std::string& path, bool requeue);
  void run_queue(std::deque<Offer> queue);
  void give_up_copy(const std::string& path, const std::string& reason);
  bool replaced_here(const Candidate& candidate, const PathRecord& record) const;
  void tell_coming();
  void end_coming(const std::string& path, bool published);
  void announce(const std::string& path, const EntryPtr& entry, SessionId except);
  void verdict(SessionId session, VerdictKind kind, const std::string& name, EntryPtr entry,
               const std::string& detail);
  void flush(SessionId session, Member& member);
  void offer_own_edits();
  void follow_rules();
  void note_not_here(const std::string& path);
  void forget_not_here(const std::string& path, const EntryPtr& entry, const EntryPtr& before);
  EntryPtr published(const std::string& path) const;
  HubView view_of(const std::string& path) const;

  Replica& replica_;
  Outbox& outbox_;
  Log& log_;
  bool acting_ = false;
  bool identity_doubt_ = false;
  std::uint64_t rules_seen_ = 0;
  std::uint64_t term_ = 0;
  std::uint64_t seq_ = 0;
  std::map<SessionId, Member> members_;
  std::map<std::string, Candidate> candidates_;
  // Candidates whose large content is on its way here: told to the members, a few at a time.
  std::deque<std::string> may_come_;
  std::map<std::string, ComingItem> coming_;
  struct Published {
    std::uint64_t seq = 0;
    SessionId by = 0;
  };
  std::map<std::string, Published> published_at_;
  struct Recent {
    std::uint64_t seq = 0;
    SessionId by = 0;
    std::uint64_t bytes = 0;
  };
  std::deque<Recent> recent_;                  // by rising seq
  std::uint64_t published_before_ = 0;         // of what is not in published_at_
  std::map<ContentId, std::string> not_here_;  // published, and not held here
  // A conflict copy that was proposed for the sake of the offer on another path.
  std::map<std::string, std::string> copy_for_;
  FoldedSaves folded_;
};

}  // namespace lansync
