// How the paths that want a content get it: a verified temp file for each, copied from this disk
// where it is here already (trash included), else fetched.
//
// Many paths may want one content: then one is fetched, and the others are copied from that in
// batches. Work for a path that waits is done when its turn has come, never for all that wait with
// it: 10,000 equal files once were planned 10,000 times each.
#include <algorithm>

#include "base/assert.h"
#include "sync/hash_file.h"
#include "sync/replica.h"

namespace lansync {
namespace {

constexpr Duration kReadyKept = 60s;
// A hub that fetches for longer than that says so anew, or is forgotten.
constexpr Duration kExpectedFor = 10min;
constexpr std::size_t kMaxExpected = 8;
constexpr std::string_view kCopyPrefix = "c-";
// What one job copies: some 20 ms of small files, or one large file.
constexpr std::size_t kCopiesPerJob = 256;
constexpr std::uint64_t kCopyBytesPerJob = 32 * 1024 * 1024;

Status verify_temp(FileSystem& files, const std::string& temp, const ContentId& wanted) {
  const auto digests = digests_of_file(files.open_temp(temp));
  if (!digests) return digests.error();
  if (digests->content != wanted) {
    return Error{ErrorCode::kChanged, "the local copy has other bytes than the index says"};
  }
  return {};
}

}  // namespace

WantedContent Replica::wanted_of(const std::string& path, const Entry& entry) {
  WantedContent wanted;
  wanted.content = entry.content;
  wanted.size = entry.size;
  wanted.md5 = entry.md5;
  wanted.name = path;
  return wanted;
}

void Replica::want_content(const std::string& path, const EntryPtr& entry) {
  const ContentId& content = entry->content;
  expected_.erase(content);
  if (auto at = waits_for_.find(path); at != waits_for_.end() && at->second != content) {
    drop_interest(path);
  }
  if (auto at = ready_.find(content); at != ready_.end()) {
    std::string temp = std::move(at->second.temps.back());
    at->second.temps.pop_back();
    if (at->second.temps.empty()) ready_.erase(at);
    queue_change({OperationKind::kFetch, path, entry}, DiskChange::Kind::kInstall, temp);
    drop_interest(path);
    return;
  }
  if (take_from_trash(path, entry)) return;
  WaitingPaths& waiting = waiting_[content];
  if (waiting.paths.empty()) waiting.wanted = wanted_of(path, *entry);
  waiting.paths.insert(path);
  waits_for_[path] = content;
  // Chosen now, so that a delete planned behind this spares what is copied from.
  if (begin_copy(content, path)) return;
  if (fetcher_.wants(content)) {
    fetcher_.set_sources(content, sources_of(content, path));
  } else if (!installing_.contains(content)) {
    fetch_waiting(content);
  }
}

void Replica::drop_interest(const std::string& path) {
  auto at = waits_for_.find(path);
  if (at == waits_for_.end()) return;
  ContentId content = at->second;
  waits_for_.erase(at);
  take_back_failure(path);
  auto waiting = waiting_.find(content);
  if (waiting == waiting_.end()) return;
  waiting->second.paths.erase(path);
  if (!waiting->second.paths.empty()) {
    to_serve_.insert(content);
    return;
  }
  waiting_.erase(waiting);
  unfetched_.forget(content);
  extra_sources_.erase(content);
  no_copy_.erase(content);
  if (!copying_.contains(content) && !asides_.contains(content)) fetcher_.drop(content);
}

// ---- before the hub publishes it
// ---------------------------------------------------------------

bool Replica::expect(const WantedContent& wanted, Instant now) {
  const ContentId& content = wanted.content;
  if (auto at = expected_.find(content); at != expected_.end()) {
    at->second = now + kExpectedFor;
    return true;
  }
  const bool too_large = options_.max_file_size != 0 && wanted.size > options_.max_file_size;
  if (!remote_known_ || frozen_ || paused_ || room_.waits() || short_of_room(now)) return false;
  if (!index_.wants_all() || too_large || rules_->ignored(wanted.name, false)) return false;
  if (expected_.size() >= kMaxExpected || fetcher_.is_coming(content)) return false;
  if (index_.find_content(content, wanted.name) || index_.trash().find_content(content))
    return false;
  expected_[content] = now + kExpectedFor;
  WantedContent unsure = wanted;
  unsure.hearsay = true;
  fetcher_.want(unsure);
  fetcher_.set_sources(content, sources_);
  return true;
}

void Replica::unexpect(ContentId content) {
  if (expected_.erase(content) == 0) return;
  if (!waiting_.contains(content) && !asides_.contains(content)) fetcher_.drop(content);
}

std::vector<ContentId> Replica::expected() const {
  std::vector<ContentId> out;
  for (const auto& [content, until] : expected_) out.push_back(content);
  return out;
}

void Replica::drop_overdue(Instant now) {
  for (const ContentId& content : expected()) {
    if (expected_.at(content) <= now) unexpect(content);
  }
}

// Whose content became available, or is not on its way any more: the next of those who wait for it
// have their turn.
void Replica::serve_waiting() {
  if (!remote_known_ || paused_ || frozen_) return;
  for (const ContentId& content : std::exchange(to_serve_, {})) {
    auto at = waiting_.find(content);
    if (at == waiting_.end() || serve_from_trash(content)) continue;
    const std::set<std::string>& paths = at->second.paths;
    if (auto ready = ready_.find(content); ready != ready_.end()) {
      if (take_unplanned(content, ready->second.temps.back())) {
        ready->second.temps.pop_back();
        if (ready->second.temps.empty()) ready_.erase(ready);
        to_serve_.insert(content);
        more_to_plan_ = true;
        continue;
      }
      // They take it, or drop out of those who wait: both come here again.
      std::size_t turns = ready->second.temps.size();
      for (auto path = paths.begin(); path != paths.end() && turns > 0; ++path) {
        if (is_unplanned(*path)) continue;
        plan_.insert(*path);
        more_to_plan_ = true;
        --turns;
      }
    } else if (!begin_copy(content, *paths.begin()) && !installing_.contains(content)) {
      fetch_waiting(content);
    }
  }
}

void Replica::fetch_waiting(const ContentId& content) {
  const WaitingPaths& waiting = waiting_.at(content);
  const std::string& path = *waiting.paths.begin();
  fetcher_.want(waiting.wanted);
  fetcher_.set_sources(content, sources_of(content, path));
}

// ---- copies on this disk -----------------------------------------------------------------------

// What is on this disk already is copied and verified anew, never sent (DESIGN, Renames and
// copies). False: it is not here.
bool Replica::begin_copy(const ContentId& content, const std::string& hint) {
  if (copying_.contains(content)) return true;
  if (no_copy_.contains(content)) return false;
  LocalCopy copy;
  const auto waiting = waiting_.find(content);
  const bool cramped = waiting != waiting_.end() && waiting->second.cramped;
  const auto trash = index_.trash().find_content(content);
  if (trash && waiting != waiting_.end() && may_leave_trash(*trash) &&
      (cramped || was_renamed(*trash, waiting->second.paths))) {
    copy.from = *trash;
    copy.from_trash = copy.move = true;
  } else if (auto from = index_.find_content(content, hint)) {
    if (cramped && waits_for_old_name(*from, hint)) return true;
    copy.from = *from;
    ++copied_from_[copy.from];
  } else if (trash) {
    copy.from = *trash;
    copy.from_trash = true;
  } else {
    return false;
  }
  copying_.emplace(content, std::move(copy));
  copies_due_.insert(content);
  return true;
}

bool Replica::has_bytes(const ContentId& content, const std::string& path) const {
  if (no_copy_.contains(content)) return false;
  return index_.find_content(content, path) || index_.trash().find_content(content);
}

void Replica::end_copy(const ContentId& content) {
  const LocalCopy copy = std::move(copying_.at(content));
  copying_.erase(content);
  to_serve_.insert(content);
  if (copy.from_trash || --copied_from_[copy.from] > 0) return;
  copied_from_.erase(copy.from);
  plan_.insert(copy.from);
}

void Replica::start_copies() {
  for (const ContentId& content : std::exchange(copies_due_, {})) {
    auto at = waiting_.find(content);
    if (at == waiting_.end()) {
      end_copy(content);
      continue;
    }
    if (copying_.at(content).move) {
      start_move(content);
      continue;
    }
    const WaitingPaths& waiting = at->second;
    const std::uint64_t fit = kCopyBytesPerJob / std::max<std::uint64_t>(waiting.wanted.size, 1);
    const std::size_t count = std::min<std::size_t>(
        {waiting.paths.size(), kCopiesPerJob,
         static_cast<std::size_t>(std::clamp<std::uint64_t>(fit, 1, kCopiesPerJob))});
    auto job = std::make_shared<CopyJob>();
    // A name of its own for each: the copy before may still wait to be installed.
    for (std::size_t i = 0; i < count; ++i)
      job->temps.push_back(
          str(kCopyPrefix, to_hex(content).substr(0, 40), '-', std::to_string(++copy_counter_)));
    executor_.submit(
        JobClass::kBulk,
        [this, content, copy = copying_.at(content), job] {
          for (const std::string& temp : job->temps) {
            Status& status = job->status;
            status = copy.from_trash ? files_.copy_trash_to_temp(copy.from, temp)
                                     : files_.copy_to_temp(copy.from, temp);
            if (status) status = verify_temp(files_, temp, content);
            if (!status) {
              (void)files_.remove_temp(temp);
              return;
            }
            ++job->made;
          }
        },
        [this, content, job] {
          job->temps.resize(job->made);
          on_copied(content, *job);
        });
  }
}

void Replica::on_copied(const ContentId& content, const CopyJob& job) {
  if (!job.status && !make_do_without_copy(content, job.status.error())) {
    // The source is not what the index says: look at it again, and have the bytes sent.
    const LocalCopy& copy = copying_.at(content);
    const PathRecord* from = index_.find(copy.from);
    const bool moved = !copy.from_trash && index_.trash().find_content(content) &&
                       !(from && from->live() && from->local->content == content);
    // Gone to the trash meanwhile, and copied from there.
    if (!moved) no_copy_.insert(content);
    if (!copy.from_trash) due_.insert(copy.from);
  }
  end_copy(content);
  for (const std::string& temp : job.temps) on_content_ready(content, temp);
}

// ---- what came
// -----------------------------------------------------------------------------------

void Replica::take_fetched() {
  for (const FinishedContent& finished : fetcher_.take_finished()) {
    if (finished.status) {
      if (events_) events_->on_fetched(finished.content, finished.source, finished.via);
      extra_sources_.erase(finished.content);
      on_content_ready(finished.content, finished.temp_name);
      continue;
    }
    if (auto aside = asides_.find(finished.content); aside != asides_.end()) {
      const AsideDone done = aside->second.done;
      done(finished.status.error());
    }
    auto at = waiting_.find(finished.content);
    if (at == waiting_.end()) continue;
    note_short(finished.status.error());
    // What could not be copied because it was just being moved to the trash, say, can be now.
    if (no_copy_.erase(finished.content) > 0) to_serve_.insert(finished.content);
    const std::string why = unfetched_.on_failed(finished.content, finished.status.error());
    // The fetcher goes on by itself; the hub has to know that a push has no content.
    std::vector<std::string> paths(at->second.paths.begin(), at->second.paths.end());
    for (const std::string& path : paths) {
      if (receive_failed(path, finished.status.error())) continue;
      if (repairs_.contains(path)) {
        drop_interest(path);
        end_repair(path, finished.status);
        continue;
      }
      std::string said = why;
      const PathRecord* record = index_.find(path);
      const bool named = record && record->remote && !record->remote->author_name.empty();
      if (named && unfetched_.nobody_has(finished.content))
        said += str(" (this version was made on ", printable(record->remote->author_name, 64), ')');
      note_problem(path, said);
      unfetched_.said(path, said);
      if (events_) events_->on_fetch_failed(path, why);
    }
  }
}

void Replica::on_content_ready(const ContentId& content, const std::string& temp) {
  if (!give_aside(content, temp) && !take_unplanned(content, temp)) keep_ready(content, temp);
}

// What nobody who is here has is waited for by nobody.
bool Replica::waits_for_content() const {
  if (unfetched_.empty()) return !waiting_.empty();
  return !std::all_of(waiting_.begin(), waiting_.end(),
                      [this](const auto& item) { return unfetched_.nobody_has(item.first); });
}

bool Replica::nobody_has(const std::string& path) const {
  if (unfetched_.empty()) return false;
  auto at = waits_for_.find(path);
  return at != waits_for_.end() && unfetched_.nobody_has(at->second);
}

// Something else may have been said of it meanwhile, and stays.
void Replica::take_back_failure(const std::string& path) {
  const std::string said = unfetched_.take_said(path);
  if (said.empty()) return;
  if (auto at = problems_.find(path); at != problems_.end() && at->second == said)
    clear_problem(path);
}

// For those whom no plan leads here: a path that waits to be repaired, a file that is received.
bool Replica::take_unplanned(const ContentId& content, const std::string& temp) {
  for (const auto& [path, repair] : repairs_) {
    auto at = waits_for_.find(path);
    if (at == waits_for_.end() || at->second != content || !install_repair(path, temp)) continue;
    drop_interest(std::string(path));
    return true;
  }
  return install_received(content, temp);
}

// One temp file has its name, or failed to get it.
void Replica::on_installed(const ContentId& content) {
  auto at = installing_.find(content);
  LS_ASSERT(at != installing_.end());
  if (--at->second == 0) installing_.erase(at);
  to_serve_.insert(content);
}

void Replica::keep_ready(const ContentId& content, const std::string& temp) {
  ReadyTemps& ready = ready_[content];
  if (std::find(ready.temps.begin(), ready.temps.end(), temp) == ready.temps.end())
    ready.temps.push_back(temp);
  ready.since = clock_.now();
  to_serve_.insert(content);
}

void Replica::prune_ready(Instant now) {
  for (auto at = ready_.begin(); at != ready_.end();) {
    if (now - at->second.since < kReadyKept || expected_.contains(at->first)) {
      ++at;
      continue;
    }
    for (const std::string& temp : at->second.temps) release_temp(at->first, temp);
    to_serve_.insert(at->first);
    at = ready_.erase(at);
  }
}

// A fetched temp file is the fetcher's to clear, a copy is ours.
void Replica::release_temp(const ContentId& content, const std::string& temp) {
  if (!temp.starts_with(kCopyPrefix)) {
    fetcher_.release(content);
    return;
  }
  executor_.submit(
      JobClass::kDisk, [this, temp] { (void)files_.remove_temp(temp); }, [] {});
}

}  // namespace lansync
