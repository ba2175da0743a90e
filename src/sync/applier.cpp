#include "sync/applier.h"

#include <memory>

namespace lansync {
namespace {

Status prepare_temp(FileSystem& files, const DiskChange& change) {
  auto temp = files.open_temp(change.temp);
  // Told apart from a target whose directory is gone: there the content is kept for the next try.
  if (!temp && temp.error().code == ErrorCode::kNotFound) {
    return Error{ErrorCode::kCorrupt, temp.error().detail};
  }
  if (!temp) return temp.error();
  return (*temp)->set_metadata(change.entry->mode, change.entry->mtime_ns);
}

// A chmod or touch since the last look changes ctime (and mode) only: that is the local edit of
// another moment, and is found by the next examination; the bytes are what must not be lost.
std::optional<FileStat> expected_now(FileSystem& files, const DiskChange& change) {
  if (!change.expected) return std::nullopt;
  auto now = files.stat(change.path);
  if (now && now->same_file_bytes(*change.expected)) return *now;
  return change.expected;
}

DiskOutcome take(Result<FileStat> result, bool displaced) {
  DiskOutcome outcome;
  if (!result) {
    outcome.status = result.error();
  } else {
    outcome.stat = *result;
    outcome.displaced = displaced;
  }
  return outcome;
}

// A directory that stands where a file, a symlink or nothing should be goes only if it is empty.
Status clear_directory(FileSystem& files, const DiskChange& change) {
  auto now = files.stat(change.path);
  if (!now || now->kind != FileKind::kDirectory) return {};
  return files.remove_directory(change.path);
}

DiskOutcome make_directory(FileSystem& files, const DiskChange& change) {
  DiskOutcome outcome;
  auto now = files.stat(change.path);
  if (now && now->kind == FileKind::kDirectory) {
    // Somebody made it meanwhile: that is agreement.
    return take(files.set_metadata(change.path, change.entry->mode, std::nullopt, *now), false);
  }
  if (now) {
    if (!change.expected || !now->same_file_bytes(*change.expected)) {
      outcome.status = Error{ErrorCode::kChanged, change.path + " is not what it was"};
      return outcome;
    }
    outcome.status = files.move_to_trash(change.path, *now, change.trash);
    if (!outcome.status) return outcome;
    outcome.displaced = true;
  }
  if (Status made = files.make_directory(change.path, change.entry->mode); !made) {
    outcome.status = made.error();
    return outcome;
  }
  auto stat = files.stat(change.path);
  if (stat) {
    outcome.stat = *stat;
  } else {
    outcome.status = stat.error();
  }
  return outcome;
}

DiskOutcome apply_one(FileSystem& files, const DiskChange& change) {
  DiskOutcome outcome;
  switch (change.kind) {
    case DiskChange::Kind::kInstall:
    case DiskChange::Kind::kMakeSymlink: {
      if (Status cleared = clear_directory(files, change); !cleared) {
        outcome.status = cleared.error();
        return outcome;
      }
      bool was_directory = change.expected && change.expected->kind == FileKind::kDirectory;
      auto expected = was_directory ? std::nullopt : expected_now(files, change);
      return take(
          change.kind == DiskChange::Kind::kInstall
              ? files.install_temp(change.temp, change.path, expected, change.trash)
              : files.make_symlink(change.entry->target, change.path, expected, change.trash),
          expected.has_value() && !change.trash.empty());
    }
    case DiskChange::Kind::kMakeDirectory:
      return make_directory(files, change);
    case DiskChange::Kind::kSetMetadata: {
      auto expected = expected_now(files, change);
      std::optional<std::int64_t> mtime;
      if (change.entry->is_file()) mtime = change.entry->mtime_ns;
      return take(
          files.set_metadata(change.path, change.entry->mode, mtime, expected.value_or(FileStat{})),
          false);
    }
    case DiskChange::Kind::kTrash: {
      auto expected = expected_now(files, change);
      outcome.status =
          files.move_to_trash(change.path, expected.value_or(FileStat{}), change.trash);
      outcome.displaced = outcome.status.has_value();
      return outcome;
    }
    case DiskChange::Kind::kRemoveDirectory:
      outcome.status = files.remove_directory(change.path);
      return outcome;
  }
  return outcome;
}

std::vector<DiskOutcome> apply_all(FileSystem& files, const std::vector<DiskChange>& changes) {
  std::vector<DiskOutcome> outcomes(changes.size());
  Status root = files.check_root();
  bool installs = false;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (!root) {
      outcomes[i].status = root.error();
    } else if (changes[i].kind == DiskChange::Kind::kInstall) {
      outcomes[i].status = prepare_temp(files, changes[i]);
      installs = true;
    }
  }
  if (!root) return outcomes;
  // Content before names: a name that survives a power cut must not show an empty file (ALICE).
  Status synced;
  if (installs) synced = files.sync_all();
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (!outcomes[i].status) continue;
    if (!synced && changes[i].kind == DiskChange::Kind::kInstall) {
      outcomes[i].status = synced.error();
      outcomes[i].content_lost = true;
      continue;
    }
    outcomes[i] = apply_one(files, changes[i]);
  }
  // The index says so only when the names are durable too. If they are not, nothing may be claimed.
  if (Status names = files.sync_all(); !names) {
    for (DiskOutcome& outcome : outcomes) {
      if (outcome.status) outcome.status = names.error();
    }
  }
  return outcomes;
}

struct Batch {
  std::vector<DiskChange> changes;
  std::vector<DiskOutcome> outcomes;
  std::function<void(std::vector<DiskChange>, std::vector<DiskOutcome>)> done;
};

}  // namespace

void run_apply(FileSystem& files, Executor& executor, std::vector<DiskChange> changes,
               std::function<void(std::vector<DiskChange>, std::vector<DiskOutcome>)> done) {
  auto batch = std::make_shared<Batch>(Batch{std::move(changes), {}, std::move(done)});
  executor.submit(
      JobClass::kDisk, [batch, &files] { batch->outcomes = apply_all(files, batch->changes); },
      [batch] { batch->done(std::move(batch->changes), std::move(batch->outcomes)); });
}

}  // namespace lansync
