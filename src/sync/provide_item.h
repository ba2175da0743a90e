// What the Provider knows of one request, one file that is being sent and one source. Only
// provider.cpp and provide_read.cpp include this. Invariant: `ahead` of a stream counts its blocks
// that are being read or wait to be sent, one unit each.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "sync/provider.h"

namespace lansync {

struct Provider::Request {
  std::uint32_t transfer = 0;
  std::string path;
  FileStat stat;
  Md5 md5;
  std::uint64_t size = 0;
  std::vector<ByteRange> ranges;
  std::function<Result<std::unique_ptr<ReadFile>>()> open;  // see LocatedContent
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
  bool partial = false;  // `path` is a temp file's name: it is being fetched here
  std::function<Result<std::unique_ptr<ReadFile>>()> open;
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
  std::function<Result<std::unique_ptr<ReadFile>>()> open;
  bool partial = false;
  ByteRange range;
  bool begins = false;
  bool ends = false;
  std::size_t count = 0;
  std::vector<Bytes> blocks;  // cut at borders of blocks in the file
  std::optional<Error> error;
};

}  // namespace lansync
