#include "sync/provider.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "sync/partial_file.h"
#include "sync/provide_item.h"

namespace lansync {

Provider::Provider(FileSystem& fs, Executor& executor, const Clock& clock, ContentLocator& locator,
                   ContentSink& sink)
    : fs_(fs),
      executor_(executor),
      clock_(clock),
      locator_(locator),
      sink_(sink),
      alive_(std::make_shared<bool>(true)) {}

Provider::~Provider() = default;

bool Provider::serves(SourceId source) const { return sources_.contains(source); }

bool Provider::valid(const RangeRequest& request) const {
  if (request.ranges.size() > kMaxRangesPerRequest) return false;
  if (request.ranges.empty()) return request.size == 0;
  // In order and apart, so that a request never asks for more than the file holds.
  std::uint64_t last_end = 0;
  for (const ByteRange& range : request.ranges) {
    if (range.begin >= range.end || range.end > request.size || range.begin < last_end)
      return false;
    if (range.begin % kContentChunk != 0) return false;
    if (range.end % kContentChunk != 0 && range.end != request.size) return false;
    last_end = range.end;
  }
  return true;
}

bool Provider::on_request(SourceId id, const RangeRequest& request) {
  Source& source = sources_[id];
  if (!valid(request) || source.transfers.size() >= kMaxRequests ||
      source.ranges + request.ranges.size() > kMaxRangesInAll ||
      !source.transfers.insert(request.transfer).second) {
    ++counters_.violations;
    tidy(id);
    return false;
  }
  std::optional<LocatedContent> located = locator_.locate(request.content, request.name);
  if (!located || located->size != request.size) {
    serve_partial(id, source, request);
    return true;
  }
  source.ranges += request.ranges.size();
  Request queued{request.transfer, located->path,  located->stat, located->md5,
                 located->size,    request.ranges, located->open};
  if (request.size <= kSmallBytes) {
    source.small.push_back(std::move(queued));
    return true;
  }
  queue_large(source, request.content, std::move(queued), false);
  return true;
}

// What this node is fetching itself: ranges that are on disk here do not change any more while it
// is being fetched, and whoever gets them verifies the whole.
void Provider::serve_partial(SourceId id, Source& source, const RangeRequest& request) {
  const RangeSet* here = on_disk_ ? on_disk_(request.content) : nullptr;
  bool all = here != nullptr && request.size > kSmallBytes;
  for (const ByteRange& range : request.ranges) all = all && here->contains(range.begin, range.end);
  if (!all) {
    const bool comes = coming_ && coming_(id, request.content);
    refuse(source.small_units, request.transfer, comes ? "not_yet" : "gone");
    return;
  }
  source.ranges += request.ranges.size();
  queue_large(source, request.content,
              Request{request.transfer,
                      partial_name(request.content),
                      {},
                      {},
                      request.size,
                      request.ranges,
                      {}},
              true);
}

void Provider::queue_large(Source& source, const ContentId& content, Request&& queued,
                           bool partial) {
  // Behind the requests for the same content, if the index still means the same file.
  for (const StreamPtr& stream : source.streams) {
    if (stream->failed || stream->content != content || stream->path != queued.path ||
        stream->partial != partial || !(stream->stat == queued.stat))
      continue;
    stream->requests.push_back(std::move(queued));
    return;
  }
  auto stream = std::make_shared<Stream>();
  stream->content = content;
  stream->path = queued.path;
  stream->open = queued.open;
  stream->stat = queued.stat;
  stream->md5 = queued.md5;
  stream->size = queued.size;
  stream->partial = partial;
  stream->rate_from = clock_.now();
  stream->requests.push_back(std::move(queued));
  source.streams.push_back(std::move(stream));
}

bool Provider::still_on_disk(const ContentId& content, ByteRange range) const {
  const RangeSet* here = on_disk_ ? on_disk_(content) : nullptr;
  return here != nullptr && here->contains(range.begin, range.end);
}

// An end that is not ok, behind what is in `queue`.
void Provider::refuse(std::deque<Unit>& queue, std::uint32_t transfer, const char* reason) {
  Unit unit;
  unit.transfer = transfer;
  unit.ends = true;
  unit.result.transfer = transfer;
  unit.result.ok = false;
  unit.result.reason = reason;
  queue.push_back(std::move(unit));
}

void Provider::on_source_down(SourceId id) {
  auto at = sources_.find(id);
  if (at == sources_.end()) return;
  // Reads that are under way give back their part when they are done (they find no source).
  for (const auto* queue : {&at->second.small_units, &at->second.units})
    for (const Unit& unit : *queue) buffered_ -= unit.reserved;
  sources_.erase(at);
}

void Provider::tidy(SourceId id) {
  auto at = sources_.find(id);
  if (at == sources_.end()) return;
  const Source& source = at->second;
  if (source.transfers.empty() && source.small_jobs == 0 && source.streams.empty())
    sources_.erase(at);
}

void Provider::pump() {
  // Each round begins behind the one served last, so that the buffers in all are shared in turns.
  std::vector<SourceId> order;
  for (auto it = sources_.upper_bound(last_served_); it != sources_.end(); ++it)
    order.push_back(it->first);
  for (auto it = sources_.begin(); it != sources_.end() && it->first <= last_served_; ++it)
    order.push_back(it->first);
  for (SourceId id : order) {
    auto at = sources_.find(id);
    if (at == sources_.end()) continue;
    Source& source = at->second;
    while (emit(id, source)) {
    }
    read_ahead(id, source);
    tidy(id);
  }
  if (!order.empty()) last_served_ = order.front();
}

// ---- sending -----------------------------------------------------------------------------------

// Sends one chunk, or an end; false if there is nothing to send or no room.
bool Provider::emit(SourceId id, Source& source) {
  if (source.small_units.empty() && source.units.empty()) return false;
  if (!sink_.has_room(id)) return false;
  // Small files go first, but not into the middle of a block that has been begun.
  const bool block_begun = !source.units.empty() && source.units.front().sent > 0;
  const bool small = !source.small_units.empty() && !block_begun;
  std::deque<Unit>& queue = small ? source.small_units : source.units;
  Unit& unit = queue.front();
  if (unit.begins) {
    sink_.begin(id, unit.transfer, unit.name, unit.size);
    unit.begins = false;
  }
  bool waits = false;
  if (unit.stream && unit.sent == 0 && emit_block(id, unit, waits)) {
    // Gone whole.
  } else if (waits) {
    return false;
  } else if (const std::size_t zeros = unit.stream ? hole_at(unit) : 0; zeros > 0) {
    const std::uint64_t begin = unit.offset + unit.sent;
    sink_.hole(id, unit.transfer, {begin, begin + zeros});
    unit.sent += zeros;
    unit.stream->sent = unit.offset + unit.sent;
  } else if (unit.sent < unit.data.size()) {
    const std::size_t bytes = std::min<std::size_t>(static_cast<std::size_t>(kContentChunk),
                                                    unit.data.size() - unit.sent);
    const std::uint64_t number = (unit.offset + unit.sent) / kContentChunk;
    sink_.chunk(id, unit.transfer, number, ByteView(unit.data).subspan(unit.sent, bytes));
    unit.sent += bytes;
    ++counters_.chunks_sent;
    counters_.payload_sent += bytes;
    if (unit.stream) {
      // Where it is in the file: a receiver asks in windows, so a count of bytes would begin anew.
      unit.stream->sent = unit.offset + unit.sent;
      unit.stream->rate_bytes += bytes;
      unit.stream->via = 0;
    }
  }
  if (unit.sent == unit.data.size()) emit_unit_end(id, source, queue);
  return true;
}

// True: the block went whole. A block of zeros is left to hole(), whatever the way.
bool Provider::emit_block(SourceId id, Unit& unit, bool& waits) {
  const std::size_t bytes = unit.data.size();
  if (bytes == 0 || hole_at(unit) == bytes) return false;
  const BlockRoute route = sink_.route(id, unit.transfer, bytes);
  waits = route == BlockRoute::kWait;
  if (route != BlockRoute::kBlock) return false;
  LS_ASSERT(unit.offset % kContentChunk == 0);
  const Via via =
      sink_.block(id, unit.transfer, unit.offset / kContentChunk, std::exchange(unit.data, {}));
  unit.sent = 0;  // of the nothing that is left
  unit.stream->via = via;
  unit.stream->sent = unit.offset + bytes;
  unit.stream->rate_bytes += bytes;
  counters_.chunks_sent += (bytes + kContentChunk - 1) / kContentChunk;
  counters_.payload_sent += bytes;
  return true;
}

// How many bytes from here on are whole chunks of zeros.
std::size_t Provider::hole_at(const Unit& unit) {
  std::size_t at = unit.sent;
  while (at < unit.data.size()) {
    const std::size_t bytes =
        std::min<std::size_t>(static_cast<std::size_t>(kContentChunk), unit.data.size() - at);
    const std::uint8_t* chunk = unit.data.data() + at;
    // The first byte decides for nearly all content; the overlapping compare is memcmp at full
    // speed.
    if (chunk[0] != 0 || std::memcmp(chunk, chunk + 1, bytes - 1) != 0) break;
    at += bytes;
  }
  return at - unit.sent;
}

void Provider::emit_unit_end(SourceId id, Source& source, std::deque<Unit>& queue) {
  Unit unit = std::move(queue.front());
  queue.pop_front();
  source.buffered -= unit.reserved;
  buffered_ -= unit.reserved;
  if (unit.stream) {
    --unit.stream->ahead;  // a unit of a stream is one block
    const Instant now = clock_.now();
    if (now - unit.stream->rate_from >= 1s) {
      unit.stream->rate = static_cast<double>(unit.stream->rate_bytes) * 1e6 /
                          static_cast<double>((now - unit.stream->rate_from).count());
      unit.stream->rate_from = now;
      unit.stream->rate_bytes = 0;
    }
  }
  if (!unit.ends) return;
  source.transfers.erase(unit.transfer);
  sink_.end(id, unit.result);
}

std::vector<TransferProgress> Provider::progress() const {
  constexpr std::size_t kMaxLines = 64;
  const Instant now = clock_.now();
  std::vector<TransferProgress> lines;
  for (const auto& [id, source] : sources_) {
    for (const StreamPtr& stream : source.streams) {
      if (lines.size() >= kMaxLines) return lines;
      const bool stale = now - stream->rate_from > 5s;
      lines.push_back({stream->path, false, id, stream->size, std::min(stream->sent, stream->size),
                       stale ? 0.0 : stream->rate, stream->via});
    }
  }
  return lines;
}

}  // namespace lansync
