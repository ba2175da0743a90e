#include "sync/provider.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace lansync {

namespace {

constexpr std::size_t kSmallPerJob = 256;
constexpr std::uint64_t kSmallBytesPerJob = 2 * 1024 * 1024;
constexpr int kSmallJobs = 2;

const char* reason_of(const Error& error) {
  if (error.code == ErrorCode::kNotFound) return "gone";
  return error.code == ErrorCode::kChanged ? "changed" : "io";
}

// The bytes of `range` in pieces that end at multiples of `cut`, if the file is the expected one
// before and after.
Result<std::vector<Bytes>> read_checked(ReadFile& file, const FileStat& expected, ByteRange range,
                                        std::uint64_t cut) {
  const Error changed{ErrorCode::kChanged, "the file is not what the index says"};
  auto before = file.stat();
  if (!before) return before.error();
  if (!before->same_file_bytes(expected)) return changed;
  std::vector<Bytes> pieces;
  for (std::uint64_t begin = range.begin; begin < range.end;) {
    const std::uint64_t end = std::min(range.end, (begin / cut + 1) * cut);
    Bytes& data = pieces.emplace_back(static_cast<std::size_t>(end - begin));
    std::size_t filled = 0;
    while (filled < data.size()) {
      auto got = file.read(begin + filled, std::span(data).subspan(filled));
      if (!got) return got.error();
      if (*got == 0) return changed;
      filled += *got;
    }
    begin = end;
  }
  auto after = file.stat();
  if (!after) return after.error();
  // ctime too: a writer that sets mtime back, or goes through a map, is seen here.
  if (!(*after == *before)) return changed;
  return pieces;
}

}  // namespace

struct Provider::Request {
  std::uint32_t transfer = 0;
  std::string path;
  FileStat stat;
  Md5 md5;
  std::uint64_t size = 0;
  std::vector<ByteRange> ranges;
};

// What goes out in one piece: a small file, one range of it, a block of a large one, or an end
// alone.
struct Provider::Unit {
  std::uint32_t transfer = 0;
  std::string name;  // with `begins`
  std::uint64_t size = 0;
  bool begins = false;
  std::uint64_t offset = 0;  // of data in the file
  Bytes data;
  std::size_t sent = 0;
  std::uint64_t reserved = 0;  // what it takes of the buffers
  bool ends = false;
  TransferResult result;
  StreamPtr stream;  // of a large file
};

// A large file that one source asks for: its requests in order, one open descriptor for all.
struct Provider::Stream {
  ContentId content;
  std::string path;
  FileStat stat;
  Md5 md5;
  std::uint64_t size = 0;
  std::deque<Request> requests;
  std::size_t next_range = 0;     // of the first request
  std::uint64_t next_offset = 0;  // in that range, from its begin
  std::shared_ptr<ReadFile> file;
  bool reading = false;
  bool failed = false;
  std::size_t ahead = 0;  // blocks read and not sent
  std::uint64_t sent = 0;
  Instant rate_from;
  std::uint64_t rate_bytes = 0;
  double rate = 0;
  Via via = 0;
};

struct Provider::Source {
  std::set<std::uint32_t> transfers;  // asked and not ended
  std::size_t ranges = 0;             // in queued requests
  std::deque<Request> small;
  int small_jobs = 0;
  std::vector<StreamPtr> streams;  // in turns
  std::size_t turn = 0;
  std::deque<Unit> small_units;
  std::deque<Unit> units;
  std::uint64_t buffered = 0;
};

struct Provider::SmallRead {
  Request request;
  std::vector<Bytes> parts;  // one for each range
  std::optional<Error> error;
};

struct Provider::BlockRead {
  std::uint32_t transfer = 0;
  std::string path;
  FileStat stat;
  std::shared_ptr<ReadFile> file;
  ByteRange range;
  bool begins = false;
  bool ends = false;
  std::size_t count = 0;
  std::vector<Bytes> blocks;  // cut at borders of blocks in the file
  std::optional<Error> error;
};

Provider::Provider(FileSystem& fs, Executor& executor, const Clock& clock, ContentLocator& locator,
                   ContentSink& sink)
    : fs_(fs),
      executor_(executor),
      clock_(clock),
      locator_(locator),
      sink_(sink),
      alive_(std::make_shared<bool>(true)) {}

Provider::~Provider() = default;

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
    refuse(source.small_units, request.transfer, "gone");
    return true;
  }
  source.ranges += request.ranges.size();
  Request queued{request.transfer, located->path, located->stat,
                 located->md5,     located->size, request.ranges};
  if (request.size <= kSmallBytes) {
    source.small.push_back(std::move(queued));
    return true;
  }
  // Behind the requests for the same content, if the index still means the same file.
  for (const StreamPtr& stream : source.streams) {
    if (stream->failed || stream->content != request.content || stream->path != queued.path ||
        !(stream->stat == queued.stat))
      continue;
    stream->requests.push_back(std::move(queued));
    return true;
  }
  auto stream = std::make_shared<Stream>();
  stream->content = request.content;
  stream->path = queued.path;
  stream->stat = queued.stat;
  stream->md5 = queued.md5;
  stream->size = queued.size;
  stream->rate_from = clock_.now();
  stream->requests.push_back(std::move(queued));
  source.streams.push_back(std::move(stream));
  return true;
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

// ---- reading -----------------------------------------------------------------------------------

void Provider::read_ahead(SourceId id, Source& source) {
  while (read_small(id, source)) {
  }
  // One block of each file in turn.
  for (bool more = true; more;) {
    more = false;
    const std::size_t count = std::min(source.streams.size(), kOpenPerSource);
    for (std::size_t i = 0; i < count; ++i) {
      source.turn = (source.turn + 1) % count;
      more |= read_block(id, source, source.streams[source.turn]);
    }
  }
  std::erase_if(source.streams, [](const StreamPtr& stream) {
    return stream->requests.empty() && !stream->reading && stream->ahead == 0;
  });
}

bool Provider::read_small(SourceId id, Source& source) {
  if (source.small.empty() || source.small_jobs >= kSmallJobs) return false;
  auto reads = std::make_shared<std::vector<SmallRead>>();
  std::uint64_t bytes = 0;
  while (!source.small.empty() && reads->size() < kSmallPerJob && bytes < kSmallBytesPerJob) {
    const Request& next = source.small.front();
    std::uint64_t wanted = 0;
    for (const ByteRange& range : next.ranges) wanted += range.end - range.begin;
    if (source.buffered + bytes + wanted > kBufferPerSource ||
        buffered_ + bytes + wanted > kBufferInAll)
      break;
    bytes += wanted;
    source.ranges -= next.ranges.size();
    reads->emplace_back().request = std::move(source.small.front());
    source.small.pop_front();
  }
  if (reads->empty()) return false;
  source.buffered += bytes;
  buffered_ += bytes;
  ++source.small_jobs;
  executor_.submit(
      JobClass::kDisk,
      [&fs = fs_, reads] {
        for (SmallRead& read : *reads) {
          auto file = fs.open_file(read.request.path);
          if (!file) {
            read.error = file.error();
            continue;
          }
          // An empty file is looked at too: it may have grown.
          std::vector<ByteRange> ranges = read.request.ranges;
          if (ranges.empty()) ranges.push_back({0, 0});
          for (const ByteRange& range : ranges) {
            // Small: never more than one piece.
            auto data = read_checked(**file, read.request.stat, range, ~std::uint64_t{0});
            if (!data) {
              read.error = data.error();
              break;
            }
            read.parts.push_back(data->empty() ? Bytes{} : std::move(data->front()));
          }
        }
      },
      [this, id, reads, bytes, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        small_done(id, *reads, bytes);
        if (wakeup_) wakeup_();
      });
  return true;
}

void Provider::small_done(SourceId id, std::vector<SmallRead>& reads, std::uint64_t reserved) {
  auto at = sources_.find(id);
  if (at == sources_.end()) {
    buffered_ -= reserved;
    return;
  }
  Source& source = at->second;
  --source.small_jobs;
  std::uint64_t used = 0;
  for (SmallRead& read : reads) {
    const Request& request = read.request;
    if (read.error) {
      const char* reason = reason_of(*read.error);
      refuse(source.small_units, request.transfer, reason);
      if (on_changed_ && read.error->code != ErrorCode::kIo) on_changed_(request.path);
      continue;
    }
    for (std::size_t i = 0; i < read.parts.size(); ++i) {
      Unit unit;
      unit.transfer = request.transfer;
      unit.begins = i == 0;
      if (unit.begins) unit.name = request.path;
      unit.size = request.size;
      unit.offset = request.ranges.empty() ? 0 : request.ranges[i].begin;
      unit.data = std::move(read.parts[i]);
      unit.reserved = unit.data.size();
      used += unit.reserved;
      unit.ends = i + 1 == read.parts.size();
      unit.result = {request.transfer, true, request.md5, ""};
      source.small_units.push_back(std::move(unit));
    }
  }
  // What could not be read needs no room.
  LS_ASSERT(used <= reserved);
  source.buffered -= reserved - used;
  buffered_ -= reserved - used;
}

bool Provider::read_block(SourceId id, Source& source, const StreamPtr& stream) {
  if (stream->reading || stream->failed || stream->requests.empty()) return false;
  if (stream->ahead >= kBlocksAhead) return false;
  Request& request = stream->requests.front();
  const ByteRange range = request.ranges[stream->next_range];
  auto read = std::make_shared<BlockRead>();
  read->transfer = request.transfer;
  read->path = stream->path;
  read->stat = stream->stat;
  read->file = stream->file;
  read->range.begin = range.begin + stream->next_offset;
  // Cut at borders of blocks in the file, as the receiver gathers them.
  const std::size_t blocks =
      source.streams.size() > 1 ? 1 : std::min(kBlocksPerRead, kBlocksAhead - stream->ahead);
  read->range.end = std::min(range.end, (read->range.begin / kBlockBytes + blocks) * kBlockBytes);
  const std::uint64_t bytes = read->range.end - read->range.begin;
  read->count = static_cast<std::size_t>((read->range.end - 1) / kBlockBytes -
                                         read->range.begin / kBlockBytes + 1);
  if (source.buffered + bytes > kBufferPerSource || buffered_ + bytes > kBufferInAll) return false;
  read->begins = stream->next_range == 0 && stream->next_offset == 0;
  stream->next_offset += bytes;
  if (read->range.end == range.end) {
    stream->next_offset = 0;
    read->ends = ++stream->next_range == request.ranges.size();
  }
  if (read->ends) {
    source.ranges -= request.ranges.size();
    stream->requests.pop_front();
    stream->next_range = 0;
  }
  stream->reading = true;
  stream->ahead += read->count;
  source.buffered += bytes;
  buffered_ += bytes;
  executor_.submit(
      JobClass::kDisk,
      [&fs = fs_, read] {
        if (!read->file) {
          auto file = fs.open_file(read->path);
          if (!file) {
            read->error = file.error();
            return;
          }
          read->file = std::move(*file);
        }
        auto data = read_checked(*read->file, read->stat, read->range, kBlockBytes);
        if (data) {
          read->blocks = std::move(*data);
        } else {
          read->error = data.error();
        }
      },
      [this, id, stream, read, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        block_done(id, stream, *read);
        if (wakeup_) wakeup_();
      });
  return true;
}

void Provider::block_done(SourceId id, const StreamPtr& stream, BlockRead& read) {
  const std::uint64_t reserved = read.range.end - read.range.begin;
  stream->reading = false;
  auto at = sources_.find(id);
  if (at == sources_.end()) {
    buffered_ -= reserved;
    return;
  }
  Source& source = at->second;
  if (read.error) {
    source.buffered -= reserved;
    buffered_ -= reserved;
    stream->ahead -= read.count;
    const char* reason = reason_of(*read.error);
    // Its request is still the first, unless this block was its last one.
    if (read.ends) refuse(source.units, read.transfer, reason);
    abandon(source, *stream, reason);
    if (on_changed_ && read.error->code != ErrorCode::kIo) on_changed_(stream->path);
    return;
  }
  stream->file = read.file;
  LS_ASSERT(read.blocks.size() == read.count);
  std::uint64_t offset = read.range.begin;
  for (std::size_t i = 0; i < read.count; ++i) {
    Unit unit;
    unit.transfer = read.transfer;
    unit.begins = read.begins && i == 0;
    if (unit.begins) unit.name = stream->path;
    unit.size = stream->size;
    unit.offset = offset;
    unit.data = std::move(read.blocks[i]);
    unit.reserved = unit.data.size();
    offset += unit.reserved;
    unit.ends = read.ends && i + 1 == read.count;
    unit.result = {read.transfer, true, stream->md5, ""};
    unit.stream = stream;
    source.units.push_back(std::move(unit));
  }
  LS_ASSERT(offset == read.range.end);
}

// The file is not to be had any more: blocks that were read before were right and still go out, and
// behind them every request of it ends.
void Provider::abandon(Source& source, Stream& stream, const char* reason) {
  stream.failed = true;
  stream.file.reset();
  for (const Request& request : stream.requests) {
    source.ranges -= request.ranges.size();
    refuse(source.units, request.transfer, reason);
  }
  stream.requests.clear();
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
