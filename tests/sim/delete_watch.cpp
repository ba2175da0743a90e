#include "sim/delete_watch.h"

#include <algorithm>
#include <iterator>

#include "base/log.h"
#include "sim/node.h"
#include "sync/delete_guard.h"

namespace lansync::sim {
namespace {

bool is_over(const MaxDeletes& limit, std::uint64_t count, std::uint64_t files) {
  if (count == 0) return false;
  if (!limit.count && !limit.percent) return false;
  if (limit.count && count <= *limit.count) return false;
  return !limit.percent || count * 100 > *limit.percent * files;
}

// A run begins when its first delete is decided on, and that is carried out some jobs later. (Seed
// 588: a conflict copy came in between; 5363: a file that the node was just pushing.)
constexpr Duration kDecided = 2s;
constexpr Duration kLooks = 250ms;

// The new name of a renamed file is there a moment before the old one goes.
constexpr Duration kRenamed = 5s;

std::string ms(Instant when) { return str(when.time_since_epoch() / 1ms, " ms"); }

}  // namespace

void DeleteWatch::on_started(SimNode& node) {
  judge(node);
  folders_[node.name()].looked = kNever;
}

// What a person made and nobody has yet is there, and is not in sync. (Seed 182.) What is so at the
// first look was so before.
void DeleteWatch::on_turn(SimNode& node, Instant now) {
  Folder& folder = folders_[node.name()];
  const bool first = folder.looked == kNever;
  if (!first && now - folder.looked < kLooks) return;
  folder.looked = now;
  look_at_held(folder.held, node, now);
  std::map<std::string, Instant> before = std::exchange(folder.in_sync, {});
  for (const auto& [path, record] : node.node().replica().index().paths()) {
    if (!record.synced || !record.synced->is_file()) continue;
    const auto at = before.find(path);
    folder.in_sync.emplace(path, at != before.end() ? at->second : first ? now - kDecided : now);
  }
}

void DeleteWatch::look_at_held(Held& held, SimNode& node, Instant now) {
  std::uint64_t number = 0;
  const Replica& replica = node.node().replica();
  if (replica.held_deletes() > 0) {
    for (const Replica::HeldDeletes& one : replica.held_runs())
      if (one.theirs) number += one.run.number;
  }
  if (number > held.number) {
    if (held.number == 0 || now - held.last > DeleteGuard::kRunGap) held.since = now;
    held.last = now;
  }
  held.number = number;
}

// One reappearance excuses one delete (DESIGN, Deletes), and one whose path lives again is none
// (CONTRACT, Guards; seed 1638: made anew 1.5 s later). A directory or link in its place does not
// give the file back, and its delete begins the run that a node counts in. (Seed 1871.)
bool DeleteWatch::forgive(Run& run, const std::string& path, const SeenFile& now, Instant when) {
  auto at = run.gone.find(path);
  if (at != run.gone.end() && now.kind == FileKind::kFile) {
    run.gone.erase(at);
    return false;
  }
  if (now.kind != FileKind::kFile || now.bytes.empty()) return true;
  for (at = run.gone.begin(); at != run.gone.end(); ++at) {
    const Gone& gone = at->second;
    if (at->first == path || gone.bytes != now.bytes) continue;
    if (when - gone.when > DeleteGuard::kRunGap) continue;
    run.gone.erase(at);
    return true;
  }
  return false;
}

// The new name may have been written over before the old one goes. (Seed 1589: a renamed file was
// edited elsewhere while its new name travelled and its old one did not yet.)
bool DeleteWatch::take_came(Folder& folder, const std::string& path, const SeenFile& what,
                            Instant when) {
  std::deque<Came>& came = folder.came;
  while (!came.empty() && when - came.front().when > DeleteGuard::kRunGap) came.pop_front();
  const auto at = std::find_if(came.rbegin(), came.rend(), [&](const Came& one) {
    return one.path != path && one.bytes == what.bytes;
  });
  if (at == came.rend()) return false;
  came.erase(std::next(at).base());
  return true;
}

void DeleteWatch::on_changed(SimNode& node, const std::string& path,
                             const std::optional<SeenFile>& now, Instant when) {
  Folder& folder = folders_[node.name()];
  if (now && now->kind == FileKind::kFile) {
    folder.files.try_emplace(path, when);
  } else {
    folder.files.erase(path);
  }
  if (now) folder.damaged.erase(path);
  if (now && !forgive(folder.run, path, *now, when))
    folder.came.push_back({when, path, now->bytes});
}

void DeleteWatch::on_damaged(const std::string& node, const std::string& path,
                             const SeenFile& before) {
  folders_[node].damaged.try_emplace(path, before);
}

SeenFile DeleteWatch::undamaged(const std::string& node, const std::string& path,
                                const SeenFile& what) {
  auto damaged = folders_[node].damaged.extract(path);
  return damaged.empty() ? what : std::move(damaged.mapped());
}

void DeleteWatch::on_let_go(const std::string& path) {
  for (auto& [name, folder] : folders_) folder.let_go.insert(path);
}

void DeleteWatch::on_deleted(SimNode& node, const std::string& path, const SeenFile& what,
                             bool elsewhere, Instant when) {
  Folder& folder = folders_[node.name()];
  auto at = folder.files.find(path);
  if (at == folder.files.end()) return;
  const Instant since = at->second;
  if (folder.let_go.erase(path) > 0) {
    folder.files.erase(at);
    return;
  }
  const bool over = when - folder.run.last > DeleteGuard::kRunGap ||
                    when - folder.run.begin > DeleteGuard::kRunLength;
  if ((folder.run.gone.empty() && !folder.run.doubtful) || over) {
    judge(node);
    // What it holds keeps its run open, and began it. (Seed 3456: three were held of five, and ten
    // that came afterwards and went within the minute were none of that run.)
    const Held& held = folder.held;
    const bool open = held.number > 0 && when - held.last <= DeleteGuard::kRunGap;
    folder.run.begin = open ? std::min(held.since, when) : when;
    folder.run.files = folder.files.size();
    folder.run.in_sync.clear();
    for (const auto& [in_sync, since_when] : folder.in_sync) {
      if (since_when + kDecided <= folder.run.begin) folder.run.in_sync.insert(in_sync);
    }
  }
  folder.files.erase(at);
  Run& run = folder.run;
  if (elsewhere) return;
  // What has come since is no loss of what was there, and a move is none. The node may see that
  // otherwise by a moment, and then what comes after is in no run of its. (Seed 1871.)
  if (since + kDecided > run.begin || !run.in_sync.contains(path)) {
    if (run.gone.empty() && folder.in_sync.contains(path)) {
      run.doubtful = true;
      run.last = when;
    }
    return;
  }
  const bool moved = std::any_of(folder.came.begin(), folder.came.end(), [&](const Came& one) {
    return one.path != path && one.bytes == what.bytes && when - one.when <= kRenamed;
  });
  if (take_came(folder, path, what, when)) {
    // Of what came longer ago the node may know that it is no new name, and then its run has begun
    // with this. (Seed 3883: what came in sync after it, and went, was none of that run.)
    if (moved || !run.gone.empty()) return;
    run.doubtful = true;
    run.last = when;
    return;
  }
  run.last = when;
  run.gone[path] = {what.bytes, when};
}

void DeleteWatch::on_dropped(SimNode& node, const std::string& path) {
  folders_[node.name()].files.erase(path);
}

void DeleteWatch::judge(SimNode& node) {
  const Run run = std::exchange(folders_[node.name()].run, {});
  if (!is_over(node.options().max_deletes, run.gone.size(), run.files)) return;
  std::string names;
  for (const auto& [path, gone] : run.gone) {
    names += str(names.empty() ? "" : ", ", printable(path), " at ", ms(gone.when));
  }
  report_(str("I7: ", node.name(), " let others delete ", run.gone.size(), " of ", run.files,
              " files unasked since ", ms(run.begin), ": ", names));
}

}  // namespace lansync::sim
