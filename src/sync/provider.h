// Answers the requests of sources: reads the asked ranges in workers, a little ahead of what the
// sessions take, and cuts them into chunks. Invariant: a chunk is sent only if the file's stat was
// the expected one before and after its bytes were read.
//
// Driven by the control thread: on_request() for what a session asks, pump() whenever a session has
// room and after every wakeup. Memory: at most kBufferPerSource a source and kBufferInAll in all.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/time.h"
#include "sync/content.h"
#include "sync/file_system.h"
#include "sync/range_set.h"

namespace lansync {

// Where the folder has a content, as the index knows it.
struct LocatedContent {
  std::string path;
  FileStat stat;  // what the file must still be
  Md5 md5;
  std::uint64_t size = 0;
  // Set for a file outside the folder, which `path` only names: opens it anew, on a worker.
  std::function<Result<std::unique_ptr<ReadFile>>()> open;
};

class ContentLocator {
 public:
  virtual ~ContentLocator() = default;
  // `name_hint` is a path where the other side thinks that it is. On the control thread; no I/O.
  virtual std::optional<LocatedContent> locate(const ContentId& content,
                                               const std::string& name_hint) = 0;
};

// How the next block of a large file is to go.
enum class BlockRoute : std::uint8_t {
  kChunks,  // cut, within the session
  kBlock,   // whole: there is room for it
  kWait,    // whole, once there is room; roles wake the provider then
};

// Where chunks go. Implemented by roles over the sessions.
class ContentSink {
 public:
  virtual ~ContentSink() = default;
  // Room for one more chunk, with the begin or end beside it.
  virtual bool has_room(SourceId source) = 0;
  virtual void begin(SourceId source, std::uint32_t transfer, const std::string& name,
                     std::uint64_t size) = 0;
  virtual void chunk(SourceId source, std::uint32_t transfer, std::uint64_t number,
                     ByteView bytes) = 0;
  // Asked before each block of a large file. A sink without another way has chunks only.
  virtual BlockRoute route(SourceId /*source*/, std::uint32_t /*transfer*/, std::size_t /*bytes*/) {
    return BlockRoute::kChunks;
  }
  // After route() said kBlock: at most 256 chunks from number `first` on. Returns how it goes.
  virtual Via block(SourceId /*source*/, std::uint32_t /*transfer*/, std::uint64_t /*first*/,
                    Bytes /*data*/) {
    return 0;
  }
  // These bytes are zeros: sent as a range (DESIGN, The data path).
  virtual void hole(SourceId source, std::uint32_t transfer, ByteRange range) = 0;
  // Not ok comes also without a begin, and with reason "changed", "gone" or "io".
  virtual void end(SourceId source, const TransferResult& result) = 0;
};

struct ProviderCounters {
  std::uint64_t payload_sent = 0;
  std::uint64_t chunks_sent = 0;
  std::uint64_t violations = 0;
};

class Provider {
 public:
  static constexpr std::uint64_t kSmallBytes = 64 * 1024;  // read many in one job
  static constexpr std::uint64_t kBlockBytes = 256 * kContentChunk;
  static constexpr std::uint64_t kBufferPerSource = 8 * 1024 * 1024;
  static constexpr std::uint64_t kBufferInAll = 64 * 1024 * 1024;
  static constexpr std::size_t kBlocksAhead = 8;    // of one file: 2 MiB
  static constexpr std::size_t kBlocksPerRead = 4;  // of a file that is alone; else one, in turns
  static constexpr std::size_t kOpenPerSource = 8;  // large files read at once
  static constexpr std::size_t kMaxRequests = 8192;
  static constexpr std::size_t kMaxRangesPerRequest = 1024;
  static constexpr std::size_t kMaxRangesInAll = 65536;  // of a source: 1 MiB

  Provider(FileSystem& fs, Executor& executor, const Clock& clock, ContentLocator& locator,
           ContentSink& sink);
  ~Provider();
  Provider(const Provider&) = delete;
  Provider& operator=(const Provider&) = delete;

  // Called when a job brought something that pump() can send.
  void set_wakeup(std::function<void()> wakeup) { wakeup_ = std::move(wakeup); }
  // A file is not what the index says: have it looked at again.
  void set_on_changed(std::function<void(const std::string& path)> on_changed) {
    on_changed_ = std::move(on_changed);
  }

  // Content that is being fetched is served too, as far as it is on disk: `on_disk` gives what is
  // there (nullptr: nothing), `coming` whether more of it is on its way here by others than who
  // asks.
  void set_partials(std::function<const RangeSet*(const ContentId&)> on_disk,
                    std::function<bool(SourceId, const ContentId&)> coming) {
    on_disk_ = std::move(on_disk);
    coming_ = std::move(coming);
  }

  // False: the request breaks the rules (ranges out of the file, not on chunk borders, not in
  // order, too many; a transfer number in use), and roles should drop the peer.
  [[nodiscard]] bool on_request(SourceId source, const RangeRequest& request);
  void on_source_down(SourceId source);
  // Sends while sessions have room, and reads ahead.
  void pump();

  // True while anything is queued, being read or waiting for room.
  bool busy() const { return !sources_.empty(); }
  bool serves(SourceId source) const;
  std::uint64_t buffered_bytes() const { return buffered_; }
  std::vector<TransferProgress> progress() const;
  const ProviderCounters& counters() const { return counters_; }

 private:
  struct Request;
  struct Unit;
  struct Stream;
  struct Source;
  struct SmallRead;
  struct BlockRead;
  using StreamPtr = std::shared_ptr<Stream>;

  bool valid(const RangeRequest& request) const;
  void serve_partial(SourceId id, Source& source, const RangeRequest& request);
  void queue_large(Source& source, const ContentId& content, Request&& request, bool partial);
  bool still_on_disk(const ContentId& content, ByteRange range) const;
  bool emit(SourceId id, Source& source);
  bool emit_block(SourceId id, Unit& unit, bool& waits);
  static std::size_t hole_at(const Unit& unit);
  void emit_unit_end(SourceId id, Source& source, std::deque<Unit>& queue);
  void read_ahead(SourceId id, Source& source);
  bool read_small(SourceId id, Source& source);
  bool read_block(SourceId id, Source& source, const StreamPtr& stream);
  void small_done(SourceId id, std::vector<SmallRead>& reads, std::uint64_t reserved);
  void block_done(SourceId id, const StreamPtr& stream, BlockRead& read);
  void abandon(Source& source, Stream& stream, const char* reason);
  void refuse(std::deque<Unit>& queue, std::uint32_t transfer, const char* reason);
  void tidy(SourceId id);

  FileSystem& fs_;
  Executor& executor_;
  const Clock& clock_;
  ContentLocator& locator_;
  ContentSink& sink_;
  std::function<void()> wakeup_;
  std::function<void(const std::string&)> on_changed_;
  std::function<const RangeSet*(const ContentId&)> on_disk_;
  std::function<bool(SourceId, const ContentId&)> coming_;
  std::shared_ptr<bool> alive_;

  std::map<SourceId, Source> sources_;
  SourceId last_served_ = 0;
  std::uint64_t buffered_ = 0;
  ProviderCounters counters_;
};

}  // namespace lansync
