#include "sync/applier.h"

#include "sync/hash_file.h"

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
    if (!change.expected || !(*now == *change.expected)) {
      outcome.status = Error{ErrorCode::kChanged, change.path + " is not what it was"};
      return outcome;
    }
    outcome.status = files.move_to_trash(change.path, *now, change.trash);
    if (!outcome.status) return outcome;
    outcome.displaced = true;
  }
  if (Status made = files.make_directory(change.path, change.entry->mode); !made) {
    outcome.status = made.error();
    outcome.unsure = outcome.displaced;
    return outcome;
  }
  auto stat = files.stat(change.path);
  if (stat) {
    outcome.stat = *stat;
  } else if (stat.error().code != ErrorCode::kNotFound) {
    outcome.status = stat.error();
  }
  // Gone again: it was made, and whoever removed or renamed it in that moment has deleted it. (As a
  // failure it was made once more: simulator's seeds 1866, 2661.) The empty stat has it looked at.
  return outcome;
}

// Between its two steps the path is empty, as on a disk that cannot exchange two names; what a kill
// leaves then is in the trash, and the journal tells whose hand it was.
DiskOutcome install_from_trash(FileSystem& files, const DiskChange& change,
                               const std::optional<FileStat>& expected) {
  DiskOutcome outcome;
  if (expected) {
    outcome.status = files.move_to_trash(change.path, *expected, change.trash);
    if (!outcome.status) return outcome;
    outcome.displaced = true;
  }
  auto installed = files.install_trash(change.lies, change.path, change.lies_stat);
  if (!installed) {
    outcome.status = installed.error();
    // It is not there any more: its content is got in another way.
    if (installed.error().code == ErrorCode::kNotFound)
      outcome.status = Error{ErrorCode::kCorrupt, installed.error().detail};
    if (outcome.displaced) outcome.displaced = !files.restore_from_trash(change.trash, change.path);
    outcome.unsure = true;
    return outcome;
  }
  outcome.stat = *installed;
  if (installed->mode == change.entry->mode && installed->mtime_ns == change.entry->mtime_ns)
    return outcome;
  auto set =
      files.set_metadata(change.path, change.entry->mode, change.entry->mtime_ns, *installed);
  if (set) outcome.stat = *set;
  // A person was at it since: what is there now is looked at. (Simulator's seed 3455: removed.)
  if (!set && (set.error().code == ErrorCode::kNotFound || set.error().code == ErrorCode::kChanged))
    outcome.stat = FileStat{};
  return outcome;
}

bool has_content(const Result<std::unique_ptr<ReadFile>>& file, const ContentId& wanted) {
  const auto digests = digests_of_file(file);
  return digests && digests->content == wanted;
}

// What was renamed leaves the trash again at once, if it stands under its new name: that is looked
// at last, because a person may be at it while the other is read; and read, because a stat tells
// nothing of a write within the tick in which the new name was made. (Simulator's seed 587.) What a
// disk has damaged in silence does not stand there, and is kept. (Seed 229.)
DiskOutcome move_away(FileSystem& files, const DiskChange& change) {
  DiskOutcome outcome;
  outcome.status =
      files.move_to_trash(change.path, change.expected.value_or(FileStat{}), change.trash);
  outcome.displaced = outcome.status.has_value();
  if (!outcome.displaced || change.stands_at.empty()) return outcome;
  const ContentId& content = change.displaces.content;
  if (!has_content(files.open_trash(change.trash), content) ||
      !has_content(files.open_file(change.stands_at), content))
    return outcome;
  auto there = files.stat(change.stands_at);
  outcome.unkept =
      there && *there == change.stands_stat && files.remove_trash(change.trash).has_value();
  outcome.displaced = !outcome.unkept;
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
      auto expected = was_directory ? std::nullopt : change.expected;
      if (!change.lies.empty()) return install_from_trash(files, change, expected);
      outcome =
          take(change.kind == DiskChange::Kind::kInstall
                   ? files.install_temp(change.temp, change.path, expected, change.trash)
                   : files.make_symlink(change.entry->target, change.path, expected, change.trash),
               expected.has_value() && !change.trash.empty());
      outcome.unsure = !outcome.status && was_directory;
      return outcome;
    }
    case DiskChange::Kind::kRenameFold: {
      const FileStat was = change.expected.value_or(FileStat{});
      outcome.status = files.rename_fold(change.from, change.path, was);
      if (!outcome.status) return outcome;
      auto now = files.stat(change.path);
      if (!now) return take(now.error(), false);
      if (now->kind == FileKind::kSymlink) return take(*now, false);
      std::optional<std::int64_t> mtime;
      if (change.entry->is_file()) mtime = change.entry->mtime_ns;
      return take(files.set_metadata(change.path, change.entry->mode, mtime, *now), false);
    }
    case DiskChange::Kind::kMakeDirectory:
      return make_directory(files, change);
    case DiskChange::Kind::kSetMetadata: {
      std::optional<std::int64_t> mtime;
      if (change.entry->is_file()) mtime = change.entry->mtime_ns;
      return take(files.set_metadata(change.path, change.entry->mode, mtime,
                                     change.expected.value_or(FileStat{})),
                  false);
    }
    case DiskChange::Kind::kTrash:
      return move_away(files, change);
    case DiskChange::Kind::kRemoveDirectory:
      outcome.status = files.remove_directory(change.path);
      return outcome;
  }
  return outcome;
}

void prepare(FileSystem& files, DiskBatch& batch) {
  Status root = files.check_root();
  bool installs = false;
  for (std::size_t i = 0; i < batch.changes.size(); ++i) {
    if (!root) {
      batch.outcomes[i].status = root.error();
    } else if (batch.changes[i].kind == DiskChange::Kind::kInstall &&
               batch.changes[i].lies.empty()) {
      batch.outcomes[i].status = prepare_temp(files, batch.changes[i]);
      installs = true;
    }
  }
  if (!root || !installs) return;
  // Content before names: a name that survives a power cut must not show an empty file (ALICE).
  Status synced = files.sync_all();
  if (synced) return;
  for (std::size_t i = 0; i < batch.changes.size(); ++i) {
    DiskOutcome& outcome = batch.outcomes[i];
    if (!outcome.status || batch.changes[i].kind != DiskChange::Kind::kInstall) continue;
    if (!batch.changes[i].lies.empty()) continue;
    outcome.status = synced.error();
    outcome.content_lost = true;
  }
}

void apply(FileSystem& files, DiskBatch& batch) {
  // Once more: the index has been written meanwhile.
  Status root = files.check_root();
  bool changed = false;
  for (std::size_t i = 0; i < batch.changes.size(); ++i) {
    DiskOutcome& outcome = batch.outcomes[i];
    if (!outcome.status) continue;
    if (!root) {
      outcome.status = root.error();
      continue;
    }
    outcome = apply_one(files, batch.changes[i]);
    if (!outcome.status && outcome.status.error().code == ErrorCode::kIo) outcome.unsure = true;
    changed = true;
  }
  if (!changed) return;
  // The index says so only when the names are durable too. If they are not, nothing may be claimed.
  if (Status names = files.sync_all(); !names) {
    for (DiskOutcome& outcome : batch.outcomes) {
      if (!outcome.status) continue;
      outcome.status = names.error();
      outcome.unsure = true;
    }
  }
}

}  // namespace

void prepare_batch(FileSystem& files, Executor& executor, std::shared_ptr<DiskBatch> batch,
                   std::function<void()> done) {
  batch->outcomes.resize(batch->changes.size());
  executor.submit(
      JobClass::kDisk, [batch, &files] { prepare(files, *batch); }, std::move(done));
}

void apply_batch(FileSystem& files, Executor& executor, std::shared_ptr<DiskBatch> batch,
                 std::function<void()> done) {
  executor.submit(
      JobClass::kDisk, [batch, &files] { apply(files, *batch); }, std::move(done));
}

}  // namespace lansync
