// The group's trash: what sync displaced on this node, and on the members that can be asked. A file
// that a person deletes here is in everybody's trash but ours, so undoing it is a matter of asking.
//
// Invariant: nothing comes back by being sent; the node in whose trash it lies puts it into its own
// folder, and it goes to the others as any edit does. Driven by roles/node on the control thread: a
// member asks its hub, and the hub its members.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "roles/node_control.h"
#include "roles/outbox.h"
#include "sync/replica.h"
#include "transport/message.h"

namespace lansync {

// What the node knows of its sessions.
class UndoLinks {
 public:
  virtual ~UndoLinks() = default;
  virtual NodeId self() const = 0;
  virtual bool acts_as_hub() const = 0;
  // A hub: its members; a member: its hub.
  virtual std::vector<SessionId> undo_peers() const = 0;
  virtual SessionId session_with(const NodeId& node) const = 0;
  virtual std::string shown_name(const NodeId& node) const = 0;
};

class Undo {
 public:
  static constexpr Duration kListPatience = 2s;      // for members that do not answer
  static constexpr Duration kRestorePatience = 60s;  // to bring back what lies on a slow disk
  static constexpr Duration kArrivalPatience = 10s;  // for what came back elsewhere to be here
  static constexpr std::size_t kMaxRows = 100'000;   // of one answer
  static constexpr std::size_t kMaxAsked = 1024;     // under way at once for others

  template <typename T>
  using Callback = NodeControl::Callback<T>;
  using Rows = std::vector<TrashReport>;

  Undo(Replica& replica, Outbox& outbox, const UndoLinks& links, const Clock& clock);

  using Found = std::function<void(std::vector<FoundTrash>, std::string error)>;
  // What lies in the trashes of all of just the versions that this run deleted; and brings some of
  // it back where it lies, unless something stands in its place by now.
  void find_of_run(RunId run, Found done);
  void bring_back_missing(const std::vector<FoundTrash>& rows, std::function<void()> done);

  void list(std::optional<WallTime> since, Callback<Rows> done);
  void restore(const TrashRestore& what, Callback<Rows> done);

  void on_get(SessionId session, const TrashGet& message);
  void on_rows(SessionId session, const TrashRows& message);
  void on_restore(SessionId session, const RestoreTrash& message);
  void on_session_down(SessionId session);
  void tick(Instant now);
  Instant deadline() const;

 private:
  // Rows that are being gathered from others, for whoever wants them.
  struct Gathering {
    std::set<SessionId> waiting;
    std::vector<FoundTrash> rows;
    std::string error;  // the last that somebody gave
    Instant until;
    Found done;
  };
  // What is to come back, and what it may replace: the content that whoever asks sees there.
  struct Chosen {
    FoundTrash row;
    std::optional<ContentId> over;
  };
  // A restore whose files are on their way here from where they came back.
  struct Arrival {
    Rows rows;
    Instant until;
    Callback<Rows> done;
  };

  std::vector<FoundTrash> own_rows(const std::string& path) const;
  std::vector<FoundTrash> own_rows_of_run(RunId run) const;
  void gather(const std::string& path, RunId run, SessionId except, Found done);
  void choose(const TrashRestore& what, const std::optional<ContentId>& seen,
              const std::vector<FoundTrash>& rows, Callback<Rows> done);
  void bring_back(const std::vector<Chosen>& chosen, Callback<Rows> done);
  void restore_own(const std::vector<std::string>& names, const std::optional<ContentId>& over,
                   Found done);
  void ask_restore(SessionId session, const NodeId& node, const std::vector<std::string>& names,
                   const std::optional<ContentId>& over, Found done);
  void restore_at(const NodeId& node, const std::vector<std::string>& names,
                  const std::optional<ContentId>& over, const Found& done);
  void answer(SessionId session, std::uint64_t token, const std::vector<FoundTrash>& rows,
              const std::string& error);
  void finish_if_done(std::uint64_t token);
  TrashReport report_of(const FoundTrash& row) const;

  Replica& replica_;
  Outbox& outbox_;
  const UndoLinks& links_;
  const Clock& clock_;
  std::uint64_t next_token_ = 1;
  std::map<std::uint64_t, Gathering> gatherings_;
  std::vector<Arrival> arrivals_;
};

}  // namespace lansync
