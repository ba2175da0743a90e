#include "sim/run_watch.h"

#include "base/bytes.h"
#include "sim/node.h"

namespace lansync::sim {
namespace {

constexpr Duration kMending = 50s;

bool is_gone(const EntryPtr& entry) { return entry && entry->is_tombstone(); }

std::set<RunId> held_by(const Replica& replica) {
  std::set<RunId> runs;
  for (const Replica::HeldDeletes& held : replica.held_runs()) runs.insert(held.run.run);
  return runs;
}

// Also those that have gone out.
std::set<RunId> known_to(const Replica& replica) {
  std::set<RunId> runs = held_by(replica);
  for (const auto& [path, record] : replica.index().paths()) {
    for (const EntryPtr& entry : {record.local, record.remote}) {
      if (is_gone(entry) && entry->run != 0) runs.insert(entry->run);
    }
  }
  return runs;
}

}  // namespace

std::set<RunId> RunWatch::named(SimNode& node, const std::string& run) {
  const Replica& replica = node.node().replica();
  std::set<RunId> runs = run.empty() ? held_by(replica) : known_to(replica);
  std::erase_if(runs, [&](RunId id) {
    ByteWriter bytes;
    bytes.u64(id);
    return !to_hex(bytes.bytes()).starts_with(run);
  });
  return runs;
}

void RunWatch::on_confirmed(SimNode& node, const std::string& run) {
  const Replica& replica = node.node().replica();
  for (const RunId id : named(node, run)) {
    for (const std::string& path : replica.paths_of_run(id)) {
      const PathRecord* record = replica.index().find(path);
      // What has gone out already needs nobody's word, and gets none.
      const bool heard_of = record && record->live() && !is_gone(record->remote);
      if (heard_of || replica.waits_for_word(path)) deletes_.on_let_go(path);
    }
    // A run of which nothing is held any more is over with it. (Seed 2305.)
    deletes_.judge(node);
  }
}

void RunWatch::undo(RunId run, SimNode& node) {
  for (const std::string& path : node.node().replica().paths_of_run(run)) history_.on_undone(path);
}

void RunWatch::on_rejected(SimNode& node, const std::string& run, Instant now) {
  for (const RunId id : named(node, run)) {
    mended_at_ = now + kMending;
    rejected_.insert(id);
    for (const std::string& path : of_those_off_[id]) history_.on_undone(path);
  }
  look();
}

void RunWatch::look() {
  for (SimNode* node : running_()) {
    for (const RunId id : rejected_) undo(id, *node);
  }
}

void RunWatch::on_ending(SimNode& node) {
  const Replica& replica = node.node().replica();
  for (const RunId id : held_by(replica)) {
    std::set<std::string> paths = replica.paths_of_run(id);
    if (rejected_.contains(id)) undo(id, node);
    of_those_off_[id].merge(paths);
  }
}

}  // namespace lansync::sim
