#include "sync/fetcher.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "sync/fetch_item.h"

namespace lansync {

namespace {

constexpr Duration kFirstBackoff = 10s;
constexpr Duration kLastBackoff = 10min;
constexpr Duration kLately = 5s;
constexpr Duration kNoSpaceRetry = 3s;
constexpr Duration kCollectEvery = 10min;
// What an earlier run left is kept at least this long after a start, however old it is: the hub
// that still wants it has to be found first.
constexpr Duration kFoundGrace = 1h;
// Files in tmp that are not ours by name are cleared away only when nobody can still be at them.
constexpr std::int64_t kForeignAgeNs = 3600ll * 1'000'000'000;
constexpr std::size_t kMaxProgressLines = 64;

}  // namespace

Fetcher::Fetcher(FileSystem& fs, Executor& executor, const Clock& clock, FetcherOptions options)
    : fs_(fs),
      executor_(executor),
      clock_(clock),
      options_(options),
      alive_(std::make_shared<bool>(true)) {}

Fetcher::~Fetcher() = default;

Fetcher::ItemPtr Fetcher::find_item(const ContentId& content) const {
  auto at = items_.find(content);
  return at == items_.end() ? nullptr : at->second;
}

bool Fetcher::wants(const ContentId& content) const {
  ItemPtr item = find_item(content);
  return item && !item->dropped;
}

void Fetcher::want(const WantedContent& wanted) {
  if (ItemPtr item = find_item(wanted.content)) {
    if (!item->dropped) return;
    // Dropped a moment ago, and a job is still at it: it goes on as if nothing had been said.
    item->dropped = false;
    item->close_asked = false;
    ++wanted_files_;
    if (item->phase == FetchPhase::kFetching) enqueue(item);
    return;
  }
  auto item = std::make_shared<Item>();
  item->wanted = wanted;
  item->hearsay = wanted.hearsay;
  item->order = next_order_++;
  item->backoff = kFirstBackoff;
  item->rate_from = clock_.now();
  items_.emplace(wanted.content, item);
  ++wanted_files_;
  start(item);
}

void Fetcher::start(const ItemPtr& item) {
  const ContentId& content = item->wanted.content;
  item->phase = FetchPhase::kIdle;
  if (loading_ || suspended_ || releasing_.contains(content) || handed_out_.contains(content))
    return;
  auto partial = partials_.find(content);
  const bool found = partial != partials_.end();
  const bool same_size = found && partial->second.size == item->wanted.size;
  if (found) {
    item->on_disk = true;
    partials_.erase(partial);
  }
  if (!item->small()) {
    idle_large_.emplace(item->order, item);
    activation_due_ = true;
    return;
  }
  item->missing = RangeSet(0, item->wanted.size);
  item->recheck = same_size && item->wanted.size > 0;
  if (item->recheck || item->wanted.size == 0) {
    // Nothing to ask for: an empty file is made here, and one that an earlier run had finished but
    // not installed is read once more.
    item->phase = FetchPhase::kWriting;
    small_ready_.push_back(item);
    submit_small();
    return;
  }
  item->phase = FetchPhase::kFetching;
  enqueue(item);
}

void Fetcher::start_all() {
  std::vector<ItemPtr> idle;
  for (const auto& [content, item] : items_)
    if (item->phase == FetchPhase::kIdle && !item->dropped && !item->job_running)
      idle.push_back(item);
  std::sort(idle.begin(), idle.end(),
            [](const ItemPtr& a, const ItemPtr& b) { return a->order < b->order; });
  for (const ItemPtr& item : idle) start(item);
}

void Fetcher::drop(const ContentId& content) {
  ItemPtr item = find_item(content);
  if (!item || item->dropped) return;
  item->dropped = true;
  item->available.clear();
  item->waiting_too.clear();
  --wanted_files_;
  detach_transfers(item);
  dequeue(item);
  if (item->small()) {
    if (item->phase == FetchPhase::kWriting) return;  // small_done sees that it was dropped
    forget(item);
    return;
  }
  if (item->file) {
    flush_blocks(item);
    item->close_asked = true;
    step(item);
  } else if (!item->job_running) {
    keep_partial(*item);
    forget(item);
  }
}

void Fetcher::release(const ContentId& content) {
  handed_out_.erase(content);
  // Wanted again, and begun: its files are in use.
  if (ItemPtr item = find_item(content); item && item->phase != FetchPhase::kIdle) return;
  partials_.erase(content);
  if (!releasing_.insert(content).second) return;
  release_queue_.push_back(content);
  submit_release();
}

void Fetcher::set_sources(const ContentId& content, const std::vector<SourceId>& sources) {
  ItemPtr item = find_item(content);
  if (item && take_sources(item, sources)) item->same_round = false;
}

// Counted as a round of its own it found the same node again, each ten seconds. (Seeds 3562, 3953.)
void Fetcher::set_found_sources(const ContentId& content, const std::vector<SourceId>& sources) {
  ItemPtr item = find_item(content);
  if (!item) return;
  const bool failed = item->phase == FetchPhase::kBackoff;
  if (take_sources(item, sources) && failed) item->same_round = true;
}

// True: there are some among them that were not asked.
bool Fetcher::take_sources(const ItemPtr& item, const std::vector<SourceId>& sources) {
  std::set<SourceId> wanted(sources.begin(), sources.end());
  if (item->sources == wanted) return false;
  const bool more = std::any_of(wanted.begin(), wanted.end(), [&](SourceId id) {
    return sources_.contains(id) && !(item->sources && item->sources->contains(id));
  });
  if (more) retry_soon(item);
  item->sources = std::move(wanted);
  ask_everybody(*item);
  activation_due_ = true;
  if (item->phase == FetchPhase::kFetching && !item->dropped) enqueue(item);
  return more;
}

bool Fetcher::may_serve(const Item& item, SourceId source) const {
  return (!item.sources || item.sources->contains(source)) && !item.refused.contains(source);
}

std::vector<SourceId> Fetcher::candidates(const Item& item) const {
  std::vector<SourceId> found;
  if (item.sources) {
    for (SourceId id : *item.sources)
      if (sources_.contains(id) && may_serve(item, id)) found.push_back(id);
  } else {
    for (const auto& [id, source] : sources_)
      if (may_serve(item, id)) found.push_back(id);
  }
  if (item.blame.narrows()) {
    const Blame& blame = item.blame;
    std::vector<SourceId> asked;
    for (SourceId id : found) {
      const bool in = blame.only.empty() ? !blame.excluded.contains(id) : blame.only.contains(id);
      if (in) asked.push_back(id);
    }
    return asked;
  }
  if (item.attempts == 0 || found.empty()) return found;
  // After a mismatch one source alone gives the whole file, so that the next one has an author; one
  // that is not to blame yet goes before those that are.
  std::vector<SourceId> clean;
  for (SourceId id : found)
    if (!item.blamed.contains(id)) clean.push_back(id);
  const std::vector<SourceId>& pool = clean.empty() ? found : clean;
  return {pool[static_cast<std::size_t>(item.attempts - 1) % pool.size()]};
}

void Fetcher::dequeue(const ItemPtr& item) {
  if (item->in_common) {
    (item->small() ? common_.small : common_.large).erase(item->order);
    item->in_common = false;
  }
  for (SourceId id : item->in_sources) {
    auto at = sources_.find(id);
    if (at == sources_.end()) continue;
    (item->small() ? at->second.own.small : at->second.own.large).erase(item->order);
  }
  item->in_sources.clear();
}

void Fetcher::enqueue(const ItemPtr& item) {
  LS_ASSERT(item->phase == FetchPhase::kFetching);
  dequeue(item);
  if (item->missing.empty()) return;
  // Of a large one each range is asked of whoever has it (take_missing).
  const bool some_wait = item->small() && !item->waiting_too.empty();
  if (!item->sources && item->refused.empty() && item->attempts == 0 && !item->blame.narrows() &&
      !some_wait) {
    (item->small() ? common_.small : common_.large).emplace(item->order, item);
    item->in_common = true;
    if (!sources_.empty()) {
      item->close_asked = suspended_;
      return;
    }
  } else {
    item->in_sources = candidates(*item);
    // Who said "not yet" is asked again after a while (ask_not_yet), and not as fast as the line
    // goes.
    const bool waits = some_wait && std::erase_if(item->in_sources, [&](SourceId id) {
                                      auto said = item->available.find(id);
                                      return item->waiting_too.contains(id) &&
                                             said != item->available.end() && said->second.empty();
                                    }) > 0;
    for (SourceId id : item->in_sources) {
      Queues& own = sources_.at(id).own;
      (item->small() ? own.small : own.large).emplace(item->order, item);
    }
    if (!item->in_sources.empty() || item->open_transfers > 0 || waits) {
      // Its place was perhaps to be given up for want of a source; now there is one.
      item->close_asked = suspended_;
      return;
    }
    if (!item->refused.empty()) {
      fail(item, item->refused.begin()->second, false);
      return;
    }
  }
  // Nobody to ask. A large file gives its place to one that can be had.
  if (!item->small() && item->open_transfers == 0 && item->file) {
    item->close_asked = true;
    step(item);
  }
}

void Fetcher::add_source(SourceId source) {
  if (!sources_.try_emplace(source).second) return;
  activation_due_ = true;
  std::vector<ItemPtr> waiting;
  for (const auto& [content, item] : items_) {
    if (!item->sources || item->sources->contains(source)) retry_soon(item);
    if (item->phase != FetchPhase::kFetching || item->dropped) continue;
    if (!item->missing.empty()) waiting.push_back(item);
  }
  for (const ItemPtr& item : waiting) enqueue(item);
}

void Fetcher::remove_source(SourceId id) {
  auto at = sources_.find(id);
  if (at == sources_.end()) return;
  std::map<std::uint64_t, ItemPtr> touched = std::move(at->second.own.small);
  touched.merge(at->second.own.large);
  for (auto& [number, transfer] : at->second.transfers) {
    if (!transfer.item) continue;
    transfer.item->missing.add(transfer.outstanding);
    --transfer.item->open_transfers;
    touched.emplace(transfer.item->order, transfer.item);
  }
  sources_.erase(at);
  if (sources_.empty()) touched.insert(active_.begin(), active_.end());
  for (const auto& [order, item] : touched) {
    if (item->phase != FetchPhase::kFetching || item->dropped) continue;
    item->refused.erase(id);
    ask_everybody(*item);
    if (item->small()) {
      // A source that begins thousands of files and leaves could pile up their buffers; an honest
      // one sends them one after the other and leaves one or two.
      if (small_buffered_ > 2 * options_.window_bytes && !item->missing.empty()) restart(item);
      check_small(item);
    } else {
      flush_blocks(item);
    }
    if (item->phase == FetchPhase::kFetching) enqueue(item);
    if (!item->small()) step(item);
  }
}

void Fetcher::detach_transfers(const ItemPtr& item) {
  if (item->open_transfers == 0) return;
  for (auto& [id, source] : sources_) {
    for (auto& [number, transfer] : source.transfers) {
      if (transfer.item != item) continue;
      item->missing.add(transfer.outstanding);
      transfer.item.reset();
      --item->open_transfers;
    }
  }
  LS_ASSERT(item->open_transfers == 0);
}

void Fetcher::forget(const ItemPtr& item) {
  detach_transfers(item);
  dequeue(item);
  clear_received(*item);
  idle_large_.erase(item->order);
  active_.erase(item->order);
  retries_.erase({item->retry_at, item->order});
  backing_off_.erase(item->order);
  if (!item->dropped) --wanted_files_;
  items_.erase(item->wanted.content);
  activation_due_ = true;
}

void Fetcher::finish(const ItemPtr& item, const Md5& md5) {
  const ContentId content = item->wanted.content;
  handed_out_.insert(content);
  name_liars(*item);
  finished_.push_back({content, partial_name(content), md5, {}, item->last_source, item->via});
  forget(item);
}

void Fetcher::fail(const ItemPtr& item, Error error, bool discard) {
  const Instant now = clock_.now();
  const bool no_space = error.code == ErrorCode::kNoSpace;
  finished_.push_back({item->wanted.content, "", {}, std::move(error)});
  detach_transfers(item);
  dequeue(item);
  idle_large_.erase(item->order);
  if (!item->small() && !discard)
    flush_blocks(item);
  else
    clear_received(*item);
  item->phase = FetchPhase::kBackoff;
  item->retry_at = now + (no_space ? kNoSpaceRetry : item->backoff);
  if (!std::exchange(item->same_round, false))
    item->failed_at = no_space ? std::nullopt : std::optional(now);
  // Not for those that came before their time: a member that came and went twelve times in six
  // seconds made it ten minutes. (Simulator's seed 4264.)
  if (!std::exchange(item->early, false) && !no_space)
    item->backoff = std::min(item->backoff * 2, kLastBackoff);
  item->refused.clear();
  item->blamed.clear();
  item->attempts = 0;
  item->take_back.clear();
  // Who brought what stays known as long as it is there.
  Blame blame;
  if (!discard) blame.brought = std::move(item->blame.brought);
  item->blame = std::move(blame);
  retries_.insert({item->retry_at, item->order});
  backing_off_.emplace(item->order, item);
  if (item->small()) return;
  item->remove_asked = discard;
  item->close_asked = !discard;
  step(item);
}

// What failed is tried again when somebody comes who may have it, and not ten minutes later.
void Fetcher::retry_soon(const ItemPtr& item) {
  if (item->phase != FetchPhase::kBackoff || item->dropped) return;
  item->early = true;
  retries_.erase({item->retry_at, item->order});
  item->retry_at = clock_.now();
  retries_.insert({item->retry_at, item->order});
}

bool Fetcher::comes_from_others(const ContentId& content, SourceId asker) const {
  if (handed_out_.contains(content)) return true;
  const ItemPtr item = find_item(content);
  if (!item || item->dropped || item->phase == FetchPhase::kBackoff) return false;
  if (item->missing.empty() && item->open_transfers == 0 && item->phase != FetchPhase::kIdle)
    return true;  // it is here, and is being written
  const std::vector<SourceId> may = candidates(*item);
  return std::any_of(may.begin(), may.end(), [&](SourceId id) {
    auto said = item->available.find(id);
    const bool nothing = said != item->available.end() && said->second.empty();
    return id != asker && !nothing && !item->waiting_too.contains(id);
  });
}

void Fetcher::pause(const Error& error) {
  paused_until_ = clock_.now() + kNoSpaceRetry;
  pause_reason_ = error.detail;
}

void Fetcher::keep_partial(const Item& item) {
  if (!item.on_disk) return;
  const Instant now = clock_.now();
  partials_[item.wanted.content] = {item.wanted.size, !item.small(), now + options_.keep_partials};
  if (next_collect_ == kNever) next_collect_ = now + kCollectEvery;
}

void Fetcher::collect_partials(Instant now) {
  std::vector<ContentId> stale;
  for (const auto& [content, partial] : partials_)
    if (partial.collect_at <= now) stale.push_back(content);
  for (const ContentId& content : stale) release(content);
  next_collect_ = partials_.empty() ? kNever : now + kCollectEvery;
}

void Fetcher::load_partials() {
  loading_ = true;
  auto found = std::make_shared<std::vector<DirectoryItem>>();
  submit(
      [this, found] {
        // A directory that cannot be read has nothing to resume; what is then wrong with it shows
        // when the first file is made there.
        if (auto listed = fs_.list_temp()) *found = std::move(*listed);
      },
      [this, found] {
        loading_ = false;
        register_found(*found);
        start_all();
      });
}

void Fetcher::register_found(const std::vector<DirectoryItem>& found) {
  const Instant now = clock_.now();
  const std::int64_t wall = clock_.wall().ns;
  struct Pair {
    std::optional<FileStat> part, have;
  };
  std::map<ContentId, Pair> pairs;
  auto foreign = std::make_shared<std::vector<std::string>>();
  for (const DirectoryItem& item : found) {
    if (auto content = partial_content(item.name)) {
      auto& pair = pairs[*content];
      (item.name.ends_with(".part") ? pair.part : pair.have) = item.stat;
    } else if (!item.name.starts_with("x-") && item.stat.kind == FileKind::kFile &&
               item.stat.ctime_ns < wall - kForeignAgeNs) {
      foreign->push_back(item.name);
    }
  }
  for (const auto& [content, pair] : pairs) {
    // A small file has no sidecar; a large one is nothing without.
    if (!pair.part || (!pair.have && pair.part->size > kSmallBytes)) {
      release(content);
      continue;
    }
    const std::int64_t written =
        std::max(pair.part->mtime_ns, pair.have ? pair.have->mtime_ns : pair.part->mtime_ns);
    const Duration age{std::max<std::int64_t>(0, wall - written) / 1000};
    partials_[content] = {pair.part->size, pair.have.has_value(),
                          now + std::max(kFoundGrace, options_.keep_partials - age)};
  }
  if (!partials_.empty()) next_collect_ = now + kCollectEvery;
  if (foreign->empty()) return;
  submit(
      [this, foreign] {
        for (const std::string& name : *foreign) (void)fs_.remove_temp(name);
      },
      [] {});
}

// What the open large files have still to write: their temp files are sparse, so the disk does not
// know of it, and eight of them would each believe to fit.
std::uint64_t Fetcher::reserved_bytes() const {
  std::uint64_t bytes = options_.reserve_bytes;
  for (const auto& [order, item] : active_) {
    const std::uint64_t have = item->have.total();
    if (!item->dropped) bytes += item->wanted.size - have;
    for (const auto& [begin, write] : item->pending) bytes += write.data.size();
  }
  return bytes;
}

std::vector<FinishedContent> Fetcher::take_finished() { return std::exchange(finished_, {}); }

Instant Fetcher::deadline() const {
  Instant next = std::min(paused_until_, next_collect_);
  if (!retries_.empty()) next = std::min(next, retries_.begin()->first);
  if (!early_ends_.empty()) next = std::min(next, std::get<0>(*early_ends_.begin()));
  if (!not_yet_.empty()) next = std::min(next, std::get<0>(*not_yet_.begin()));
  return next;
}

void Fetcher::tick(Instant now) {
  if (paused_until_ <= now) {
    paused_until_ = kNever;
    pause_reason_.clear();
    submit_small();
    const std::map<std::uint64_t, ItemPtr> active = active_;
    for (const auto& [order, item] : active) step(item);
  }
  while (!retries_.empty() && retries_.begin()->first <= now) {
    ItemPtr item = backing_off_.at(retries_.begin()->second);
    retries_.erase(retries_.begin());
    backing_off_.erase(item->order);
    item->retry_at = kNever;
    // A job that still closes or removes its files starts it when it is done.
    item->phase = FetchPhase::kIdle;
    if (!item->job_running && !item->file && !item->dropped) start(item);
  }
  if (next_collect_ <= now) collect_partials(now);
  end_overdue(now);
  ask_not_yet(now);
}

void Fetcher::suspend() {
  suspended_ = true;
  const std::map<std::uint64_t, ItemPtr> active = active_;
  for (const auto& [order, item] : active) {
    detach_transfers(item);
    dequeue(item);
    flush_blocks(item);
    item->close_asked = true;
    step(item);
  }
}

std::uint64_t Fetcher::pending_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [content, item] : items_)
    if (!item->dropped) bytes += item->wanted.size - item->have.total();
  return bytes;
}

const RangeSet* Fetcher::on_disk(const ContentId& content) const {
  ItemPtr item = find_item(content);
  if (!item || item->dropped || !item->file || item->phase != FetchPhase::kFetching) return nullptr;
  return &item->on_disk_ranges;
}

std::vector<WantedContent> Fetcher::fetching_large(std::uint64_t least) const {
  std::vector<WantedContent> out;
  for (const auto& [order, item] : active_) {
    if (!item->dropped && item->phase == FetchPhase::kFetching && item->missing.total() >= least)
      out.push_back(item->wanted);
  }
  return out;
}

void Fetcher::retry_failed() {
  for (const auto& [content, item] : items_) retry_soon(item);
}

// A moment only: others are looked for once a round, and rounds come ever more rarely.
std::vector<WantedContent> Fetcher::lately_failed() const {
  const Instant now = clock_.now();
  std::map<std::uint64_t, ItemPtr> lately;
  const auto look_at = [&](const ItemPtr& item) {
    if (item && !item->dropped && item->failed_at && now - *item->failed_at < kLately)
      lately.emplace(item->order, item);
  };
  // Also of those that go on with one who was found: he may have nothing, and the next one be just
  // coming. (Simulator's seed 3482: two who lacked the same file found each other first.)
  for (const auto& [order, item] : backing_off_) look_at(item);
  for (const auto& [order, item] : active_) look_at(item);
  for (const auto& [when, content, source] : not_yet_) look_at(find_item(content));
  std::vector<ItemPtr> failed;
  failed.reserve(lately.size());
  for (const auto& [order, item] : lately) failed.push_back(item);
  std::stable_sort(failed.begin(), failed.end(),
                   [](const ItemPtr& a, const ItemPtr& b) { return a->backoff < b->backoff; });
  std::vector<WantedContent> out;
  out.reserve(failed.size());
  for (const ItemPtr& item : failed) out.push_back(item->wanted);
  return out;
}

std::uint64_t Fetcher::charged_bytes(SourceId source) const {
  auto at = sources_.find(source);
  return at == sources_.end() ? 0 : at->second.charged;
}

std::vector<TransferProgress> Fetcher::progress() const {
  const Instant now = clock_.now();
  std::vector<TransferProgress> lines;
  auto add = [&](const Item& item) {
    std::uint64_t done = item.have.total();
    for (const auto& [index, block] : item.blocks) done += block.got_count * kContentChunk;
    const bool stale = now - item.rate_from > 5s;
    lines.push_back({item.wanted.name, true, item.last_source, item.wanted.size,
                     std::min(done, item.wanted.size), stale ? 0.0 : item.rate, item.via});
  };
  for (const auto& [order, item] : active_) {
    if (lines.size() >= kMaxProgressLines) return lines;
    if (!item->dropped) add(*item);
  }
  for (const auto& [id, source] : sources_) {
    for (const auto& [number, transfer] : source.transfers) {
      if (lines.size() >= kMaxProgressLines) return lines;
      if (transfer.item && transfer.small) add(*transfer.item);
    }
  }
  return lines;
}

}  // namespace lansync
