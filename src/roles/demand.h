// What people ask of single files: `get` brings absent content here, `drop` frees the space of
// content that another node keeps. Also answers other nodes that are about to drop theirs.
//
// Invariant: a file is dropped only after a full replica in sync has said, after the question, that
// the content stands on its disk. Driven by roles/node on the control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "roles/node_control.h"
#include "roles/outbox.h"
#include "sync/replica.h"

namespace lansync {

// The node's company at this moment.
struct DemandView {
  bool hub = false;           // this node is hub
  SessionId hub_session = 0;  // else: of the hub, once joined; 0: none
  bool in_sync = false;
  std::vector<SessionId> full_replicas;  // hub: members that keep everything and are in sync
  bool sources = false;                  // somebody is there who may have content
  bool hub_is_full = false;              // what the hub does not hold, nobody does
};

class Demand {
 public:
  using Done = NodeControl::Callback<ActionReport>;

  Demand(Replica& replica, Outbox& outbox, Log& log)
      : replica_(replica), outbox_(outbox), log_(log) {}

  void set_view(DemandView view) { view_ = std::move(view); }
  // `token` names it in cancel(); what was asked for stays so.
  void get(NodeControl::Token token, const std::vector<std::string>& names, Instant now, Done done);
  void drop(NodeControl::Token token, const std::vector<std::string>& names, Instant now,
            Done done);
  void cancel(NodeControl::Token token);

  void on_settled(const std::string& path);
  void on_fetch_failed(const std::string& path, const std::string& reason, Instant now);
  // False: it has no place here (the peer's fault).
  bool on_holds(SessionId session, const Holds& message, Instant now);
  void on_session_down(SessionId session, Instant now);
  // That member asked who else holds it, and was told: it has freed its own copy, or is about to.
  bool has_let_go(SessionId session, const ContentId& content) const {
    return let_go_.contains({session, content});
  }
  // A member asks this on-demand hub for content that is not here: who asks twice has found nobody
  // else. It is fetched and kept for the group.
  void on_request(const std::string& name, const ContentId& content, Instant now);
  void pump(Instant now);
  Instant deadline() const;

 private:
  struct Get {
    NodeControl::Token token = 0;
    std::set<std::string> open;
    std::map<std::string, std::string> failed;  // why
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    std::vector<std::string> names;  // of those files
    struct Refusal {
      ContentId content;  // another version may be had
      Instant at{};       // the first time
      std::string reason;
    };
    std::map<std::string, Refusal> refused;
    Instant alone_since = kNever;
    Done done;
  };
  struct Drop {
    NodeControl::Token token = 0;
    std::map<std::string, ContentId> open;      // not yet asked, asked, or being removed
    std::map<std::string, std::string> failed;  // why
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    std::vector<std::string> names;  // of those files
    std::uint64_t removing = 0;
    bool asking = false;
    Done done;
  };
  // A question under way: ours, or one of a member that this hub passes on.
  struct Question {
    std::set<SessionId> asked;
    std::vector<ContentId> hashes;
    std::set<ContentId> held;
    Instant until{};
    std::function<void(const std::set<ContentId>& held)> done;
  };

  void ask(std::vector<ContentId> hashes, Instant now,
           std::function<void(const std::set<ContentId>& held)> done);
  void answer(SessionId session, const Holds& question, Instant now);
  void ask_next(NodeControl::Token token, Instant now);
  void on_answer(NodeControl::Token token, const std::map<std::string, ContentId>& asked,
                 const std::set<ContentId>& held);
  void settle_get(Get& get, const std::string& path, std::string why);
  void check_get(Get& get, Instant now);
  void check_gets(Instant now);
  void check_drops(Instant now);
  void finish_question(std::uint64_t token);
  void note_let_go(SessionId session, const std::vector<ContentId>& hashes);

  Replica& replica_;
  Outbox& outbox_;
  Log& log_;
  DemandView view_;
  std::map<NodeControl::Token, Get> gets_;
  std::map<NodeControl::Token, Drop> drops_;
  std::map<std::uint64_t, Question> questions_;
  std::uint64_t next_question_ = 1;
  Instant next_check_{};
  std::set<std::pair<SessionId, ContentId>> let_go_;
  std::map<ContentId, Instant> missed_;  // asked of this hub in vain, first when
};

}  // namespace lansync
