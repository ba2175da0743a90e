// Provider: reading ahead, in jobs.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sync/provide_item.h"

namespace lansync {

namespace {

constexpr std::size_t kSmallPerJob = 256;
constexpr std::uint64_t kSmallBytesPerJob = 2 * 1024 * 1024;
constexpr int kSmallJobs = 2;

const char* reason_of(const Error& error) {
  if (error.code == ErrorCode::kNotFound) return "gone";
  return error.code == ErrorCode::kChanged ? "changed" : "io";
}

// The bytes of `range` in pieces that end at multiples of `cut`; `too_short` if the file ends
// before.
template <typename File>
Result<std::vector<Bytes>> read_pieces(File& file, ByteRange range, std::uint64_t cut,
                                       const Error& too_short) {
  std::vector<Bytes> pieces;
  for (std::uint64_t begin = range.begin; begin < range.end;) {
    const std::uint64_t end = std::min(range.end, (begin / cut + 1) * cut);
    Bytes& data = pieces.emplace_back(static_cast<std::size_t>(end - begin));
    std::size_t filled = 0;
    while (filled < data.size()) {
      auto got = file.read(begin + filled, std::span(data).subspan(filled));
      if (!got) return got.error();
      if (*got == 0) return too_short;
      filled += *got;
    }
    begin = end;
  }
  return pieces;
}

// The same, if the file is the expected one
// before and after.
Result<std::vector<Bytes>> read_checked(ReadFile& file, const FileStat& expected, ByteRange range,
                                        std::uint64_t cut) {
  const Error changed{ErrorCode::kChanged, "the file is not what the index says"};
  auto before = file.stat();
  if (!before) return before.error();
  if (!before->same_file_bytes(expected)) return changed;
  auto pieces = read_pieces(file, range, cut, changed);
  if (!pieces) return pieces.error();
  auto after = file.stat();
  if (!after) return after.error();
  // ctime too: a writer that sets mtime back, or goes through a map, is seen here.
  if (!(*after == *before)) return changed;
  return pieces;
}

// The same of a file in tmp, of which only what is known to be there is asked for.
Result<std::vector<Bytes>> read_temp(FileSystem& fs, const std::string& name, ByteRange range,
                                     std::uint64_t cut) {
  auto file = fs.open_temp(name);
  if (!file) return file.error();
  return read_pieces(**file, range, cut,
                     {ErrorCode::kChanged, "the file in tmp is shorter than it was"});
}

}  // namespace

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
          auto file = read.request.open ? read.request.open() : fs.open_file(read.request.path);
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
  read->open = stream->open;
  read->stat = stream->stat;
  read->file = stream->file;
  read->partial = stream->partial;
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
        if (read->partial) {
          auto data = read_temp(fs, read->path, read->range, kBlockBytes);
          if (data) {
            read->blocks = std::move(*data);
          } else {
            read->error = data.error();
          }
          return;
        }
        if (!read->file) {
          auto file = read->open ? read->open() : fs.open_file(read->path);
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
  // Read, and only now known to have been read before the file got its real name and may change.
  const bool moved = stream->partial && !read.error && !still_on_disk(stream->content, read.range);
  if (moved) read.error = Error{ErrorCode::kChanged, "it is no longer being fetched"};
  if (read.error) {
    source.buffered -= reserved;
    buffered_ -= reserved;
    stream->ahead -= read.count;
    const char* reason = stream->partial ? "not_yet" : reason_of(*read.error);
    // Its request is still the first, unless this block was its last one.
    if (read.ends) refuse(source.units, read.transfer, reason);
    abandon(source, *stream, reason);
    if (on_changed_ && !stream->partial && read.error->code != ErrorCode::kIo)
      on_changed_(stream->path);
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

}  // namespace lansync
