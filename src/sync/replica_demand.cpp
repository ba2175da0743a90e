// Content on demand: which absent files are wanted after all, and how the space of one that is here
// is freed without anybody taking its absence for a delete.
#include "base/assert.h"
#include "base/log.h"
#include "base/rel_path.h"
#include "sync/conflict_name.h"
#include "sync/hash_file.h"
#include "sync/replica.h"

namespace lansync {

std::vector<std::string> Replica::files_at(const std::string& name) const {
  std::vector<std::string> out;
  auto take = [&](const std::string& path, const PathRecord& record) {
    const EntryPtr& entry = record.remote ? record.remote : record.known();
    if (entry && entry->is_file()) out.push_back(path);
  };
  if (const PathRecord* record = index_.find(name)) take(name, *record);
  const std::string prefix = name.empty() ? std::string() : name + '/';
  const auto& paths = index_.paths();
  for (auto at = paths.lower_bound(prefix); at != paths.end() && at->first.starts_with(prefix);
       ++at) {
    take(at->first, at->second);
  }
  return out;
}

void Replica::ask_for(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!record || !record->absent()) return;
  // What is asked for has to outlast the hub's word, which is not kept on disk.
  if (!record->synced) index_.set_synced(path, record->remote);
  index_.set_wanted(path, PathRecord::kAskedFor);
  plan_.insert(path);
}

void Replica::unask(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (!record || record->wanted == PathRecord::kNotAsked) return;
  index_.set_wanted(path, PathRecord::kNotAsked);
  problems_.erase(path);
  plan_.insert(path);
}

void Replica::keep_for_group(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (index_.wants_all() || !record || record->live()) return;
  if (record->wanted == PathRecord::kNotAsked) index_.set_wanted(path, PathRecord::kHubKeeps);
  plan_.insert(path);
}

void Replica::unkeep(const std::string& path) {
  const PathRecord* record = index_.find(path);
  if (record && record->wanted == PathRecord::kHubKeeps) unask(path);
}

bool Replica::is_here(const std::string& path) const {
  const PathRecord* record = index_.find(path);
  if (!record || !record->live() || !record->local->is_file() || busy_.contains(path)) return false;
  // Heard to be gone: till its timer has run the index has it still.
  if (guard_.run_of(path) != 0 &&
      (hints_.contains(path) || timer_.waiting(path) || due_.contains(path)))
    return false;
  return !record->remote || record->local->version == record->remote->version;
}

bool Replica::is_on_its_way(const std::string& path) const {
  auto at = waits_for_.find(path);
  return at != waits_for_.end() && fetcher_.comes_from_others(at->second, 0);
}

bool Replica::too_large(const std::string& path) const {
  const PathRecord* record = index_.find(path);
  const EntryPtr entry = record ? record->remote : nullptr;
  return options_.max_file_size != 0 && entry && entry->size > options_.max_file_size;
}

Status Replica::may_drop(const std::string& path) const {
  const PathRecord* record = index_.find(path);
  if (!record || !record->live() || !record->local->is_file()) {
    return Error{ErrorCode::kNotFound, "no such file is on this disk"};
  }
  if (path == IgnoreRules::kFileName)
    return Error{ErrorCode::kRefused, "the rules of the folder are obeyed here too, and stay"};
  if (!remote_known_)
    return Error{ErrorCode::kChanged, "no hub is here to say that a full replica has it"};
  bool agreed = record->remote && record->synced &&
                record->local->version == record->remote->version &&
                record->synced->version == record->remote->version &&
                same_on_disk(*record->local, *record->remote);
  if (!agreed) return Error{ErrorCode::kChanged, "this version is not on the hub yet"};
  if (busy_.contains(path) || hints_.contains(path) || due_.contains(path) ||
      racy_.contains(path) || timer_.waiting(path)) {
    return Error{ErrorCode::kChanged, "it was changed a moment ago: try again"};
  }
  if (copied_from_.contains(path)) {
    return Error{ErrorCode::kChanged, "it is being copied from: try again"};
  }
  return {};
}

// The index first: a crash between the two leaves a file that is on the disk and not in the index,
// which is found and known again. The other way round its absence would pass for a delete.
void Replica::drop(const std::string& path, std::function<void(Status)> done) {
  LS_ASSERT(may_drop(path));
  const PathRecord before = *index_.find(path);
  busy_.insert(path);
  index_.set_local(path, nullptr, FileStat{});
  commit_then([this, path, before, done = std::move(done)] {
    auto status = std::make_shared<Status>();
    executor_.submit(
        JobClass::kDisk,
        [this, path, before, status] {
          *status = files_.check_root();
          if (!*status) return;
          *status = files_.move_to_trash(path, before.stat, {});
        },
        [this, path, before, status, done] {
          busy_.erase(path);
          plan_.insert(path);
          const PathRecord* now = index_.find(path);
          if (!*status && (!now || !now->local)) {
            // Somebody was faster: what stands there is a successor of the version that was here.
            index_.set_local(path, before.local, before.stat);
            due_.insert(path);
          }
          done(*status);
        });
  });
}

// ---- aside
// -------------------------------------------------------------------------------------------

Status Replica::fetch_aside(const std::string& path, const EntryPtr& entry,
                            std::vector<SourceId> sources, AsideDone done) {
  const ContentId& content = entry->content;
  if (asides_.contains(content)) {
    return Error{ErrorCode::kBusy, "it is being downloaded already: wait for that"};
  }
  // What the folder fetches already is taken along.
  if (!waiting_.contains(content)) {
    fetcher_.want(wanted_of(path, *entry));
    fetcher_.set_sources(content, sources.empty() ? sources_ : sources);
  }
  asides_[content] = {std::move(sources), std::move(done)};
  return {};
}

void Replica::drop_aside(const ContentId& content) {
  if (asides_.erase(content) == 0) return;
  const bool wanted = waiting_.contains(content) || expected_.contains(content);
  if (!wanted && !copying_.contains(content)) fetcher_.drop(content);
}

// True: the temp file is taken. What the folder waits for comes first; the one who wanted it aside
// finds it there.
bool Replica::give_aside(const ContentId& content, const std::string& temp) {
  auto at = asides_.find(content);
  if (at == asides_.end()) return false;
  const AsideDone done = std::move(at->second.done);
  const bool folder = waiting_.contains(content);
  asides_.erase(at);
  done(folder ? std::string() : temp);
  return !folder;
}

void Replica::read_anew(const std::string& path, std::function<void(const Status&)> done) {
  const PathRecord* record = index_.find(path);
  if (!record || !record->live() || !record->local->is_file()) {
    done(Error{ErrorCode::kNotFound, "no such file is on this disk"});
    return;
  }
  auto status = std::make_shared<Status>();
  executor_.submit(
      JobClass::kBulk,
      [this, path, wanted = record->local->content, status] {
        const auto digests = digests_of_file(files_.open_file(path));
        if (!digests) {
          *status = digests.error();
        } else if (digests->content != wanted) {
          *status = Error{ErrorCode::kCorrupt,
                          "its bytes are not those that were verified: it was changed a moment "
                          "ago, or the disk has lost them"};
        }
      },
      [this, path, status, done = std::move(done)] {
        if (!*status) on_content_changed(path);
        done(*status);
      });
}

void Replica::note_absent(const std::string& path, const EntryPtr& entry) {
  index_.set_local(path, nullptr, FileStat{});
  index_.set_synced(path, entry);
  settled_.push_back(path);
  // Who does not have the folder's rules cannot obey them. And bytes of its own that lost a
  // conflict stay on this disk till a person drops them, which takes another holder: else those of
  // the hub would be the only ones outside a trash, or (it may be unable to hold them) there would
  // be none.
  const bool own_loser = entry->author == short_id(options_.node) && parse_conflict_name(path) &&
                         has_bytes(entry->content, path);
  if (path == IgnoreRules::kFileName || own_loser) ask_for(path);
}

Replica::Absent Replica::absent() const {
  Absent out;
  for (const auto& [path, record] : index_.paths()) {
    if (!record.absent()) continue;
    ++out.files;
    out.bytes = sum_of(out.bytes, (record.remote ? record.remote : record.synced)->size);
  }
  return out;
}

void Replica::look_for(std::vector<NamedContent> contents,
                       std::function<void(std::vector<bool>)> done) {
  struct Look {
    std::vector<std::optional<LocatedContent>> places;
    std::vector<bool> found;
  };
  auto look = std::make_shared<Look>();
  for (const NamedContent& one : contents) look->places.push_back(locate(one.content, one.path));
  executor_.submit(
      JobClass::kDisk,
      [this, look] {
        for (const auto& place : look->places) {
          bool there = false;
          if (place) {
            auto stat = files_.stat(place->path);
            there = stat && *stat == place->stat;
          }
          look->found.push_back(there);
        }
      },
      [look, done = std::move(done)] { done(std::move(look->found)); });
}

}  // namespace lansync
