// What people have said of runs of deletes, in the whole group: "let these go", "undo that run"
// (DESIGN, Deletes). Each word is signed with the key of the node where it was given, is kept here,
// and goes to every node that does not know it yet, before the tombstones that it is about.
//
// Invariant: a word counts only if its signature is good, its key is one that this folder has met
// (or the hub that this node follows has taken it), and its leaves are those that it names. Driven
// by roles/node on the control thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "roles/outbox.h"
#include "sync/replica.h"
#include "transport/message.h"

namespace lansync {

// What the node knows of keys. Implemented by roles/node.
class RunKeys {
 public:
  virtual ~RunKeys() = default;
  virtual PublicKey own_public_key() const = 0;
  virtual Signature sign(ByteView message) const = 0;
  virtual bool has_met(const PublicKey& key) const = 0;
  // That session is with the hub which this node follows.
  virtual bool is_hub_session(SessionId session) const = 0;
};

// What a word's signature is over.
Bytes signed_part(const RunRecord& record);

class RunDecisions {
 public:
  static constexpr std::size_t kMaxWords = 512;
  // Of all confirmed runs: 64 MB. The oldest go first, and what they let go is held again.
  static constexpr std::size_t kMaxLeaves = std::size_t{1} << 22;
  static constexpr std::int64_t kRejectedNs = 30LL * 24 * 3600 * 1'000'000'000;

  RunDecisions(Replica& replica, Outbox& outbox, const RunKeys& keys, const Clock& clock, Log& log);

  // Before the replica starts.
  void load(const std::map<std::string, std::string>& meta);
  // A person's word, given on this node.
  void confirm(const Replica::Confirmed& confirmed);
  void reject(RunId run, std::uint64_t number);
  const std::set<RunId>& rejected() const { return rejected_; }
  // Confirmed by whomever and not rejected since, the latest first.
  std::vector<RunRecord> let_go() const;
  // True once after a run was rejected, by whomever.
  bool take_rejected() { return std::exchange(news_, false); }

  void on_session_up(SessionId session);  // after hello
  void on_session_down(SessionId session);
  void on_known(SessionId session, const RunsKnown& message);
  // False: the peer's fault.
  bool on_word(SessionId session, const RunWord& message);
  // Forgets what nobody needs any more.
  void prune();

 private:
  struct Word {
    RunRecord record;
    std::vector<DeleteLeaf> leaves;
  };
  using WordId = std::uint64_t;
  static WordId id_of(const RunRecord& record);
  static std::string meta_key(WordId id);

  bool taken(SessionId session, const RunRecord& record) const;
  void give(Word word);
  void accept(Word word, SessionId from);
  void apply(const Word& word);
  void send(SessionId session, const Word& word);
  void forget(WordId id);
  void make_room();

  Replica& replica_;
  Outbox& outbox_;
  const RunKeys& keys_;
  const Clock& clock_;
  Log& log_;
  std::map<WordId, Word> words_;
  std::size_t leaves_ = 0;
  std::set<RunId> rejected_;
  bool news_ = false;
  // What each node that we talk to knows.
  std::map<SessionId, std::set<WordId>> known_;
  // On its way here: one at a time from each.
  std::map<SessionId, Word> coming_;
};

}  // namespace lansync
