#include "sync/examiner.h"

#include <memory>

#include "base/rel_path.h"
#include "sync/hashing.h"

namespace lansync {
namespace {

constexpr std::uint64_t kSliceBytes = 16 * 1024 * 1024;
// Of a batch that leaves large files alone: then others have their turn.
constexpr std::uint64_t kBatchBytes = 64 * 1024 * 1024;
constexpr std::size_t kReadBytes = 256 * 1024;

struct Examination {
  FileSystem& files;
  Executor& executor;
  std::vector<ExamineRequest> requests;
  std::function<void(std::vector<Observation>)> done;
  std::vector<Observation> seen;
  // The file that a slice ended in.
  std::unique_ptr<ReadFile> open;
  FileStat before;
  std::uint64_t offset = 0;
  std::uint64_t read = 0;  // of all files
  ContentHasher hasher;
  std::vector<std::uint8_t> buffer;
};

Observation unknown(const std::string& path, const Error& error) {
  Observation seen;
  seen.path = path;
  // Gone between stat and open is as absent as gone before it.
  seen.kind =
      error.code == ErrorCode::kNotFound ? Observation::Kind::kAbsent : Observation::Kind::kUnknown;
  seen.reason = error.detail;
  return seen;
}

// What a path is below is no directory any more (a link in its place, for one): then nothing is
// there, whatever the system says of the way to it.
bool below_no_directory(FileSystem& files, const std::string& path) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    auto above = files.stat(path.substr(0, slash));
    if (!above) return false;
    if (above->kind != FileKind::kDirectory) return true;
  }
  return false;
}

// Only a directory that can be read can say that something is not in it: without this check an
// unreadable parent would look like a delete.
Observation absent(FileSystem& files, const std::string& path) {
  Observation seen;
  seen.path = path;
  std::string parent(parent_path(path));
  while (!parent.empty()) {
    auto stat = files.stat(parent);
    if (stat && stat->kind == FileKind::kDirectory) break;
    if (!stat && stat.error().code != ErrorCode::kNotFound && !below_no_directory(files, parent))
      return unknown(path, stat.error());
    if (stat) break;  // another kind took the directory's place: what was below it is gone
    parent = std::string(parent_path(parent));
  }
  if (Status root = files.check_root(); !root) {
    seen.kind = Observation::Kind::kUnknown;
    seen.reason = root.error().detail;
    return seen;
  }
  seen.kind = Observation::Kind::kAbsent;
  return seen;
}

// Looks at the next request. Leaves `open` set if it is a file to be read.
void begin_next(Examination& job) {
  const ExamineRequest& request = job.requests[job.seen.size()];
  if (request.leave_large && job.read >= kBatchBytes) {
    Observation later;
    later.path = request.path;
    later.kind = Observation::Kind::kLater;
    job.seen.push_back(std::move(later));
    return;
  }
  auto stat = job.files.stat(request.path);
  if (!stat) {
    const bool gone =
        stat.error().code == ErrorCode::kNotFound || below_no_directory(job.files, request.path);
    job.seen.push_back(gone ? absent(job.files, request.path)
                            : unknown(request.path, stat.error()));
    return;
  }
  Observation seen;
  seen.path = request.path;
  seen.stat = *stat;
  if (request.known && *request.known == *stat) {
    seen.kind = Observation::Kind::kUnchanged;
    job.seen.push_back(std::move(seen));
    return;
  }
  seen.kind = Observation::Kind::kPresent;
  if (stat->kind == FileKind::kSymlink) {
    auto target = job.files.read_link(request.path);
    if (!target) {
      job.seen.push_back(unknown(request.path, target.error()));
      return;
    }
    seen.target = std::move(*target);
  }
  if (stat->kind == FileKind::kOther) {
    seen.kind = Observation::Kind::kUnknown;
    seen.reason = "a socket, pipe or device is not synced";
  }
  if (stat->kind == FileKind::kDirectory) {
    auto root = job.files.stat("");
    if (root && root->device != stat->device) {
      seen.kind = Observation::Kind::kUnknown;
      seen.reason = "is on another file system and is not entered";
    }
  }
  if (request.leave_large && stat->kind == FileKind::kFile && is_large(stat->size))
    seen.kind = Observation::Kind::kLarge;
  if (stat->kind != FileKind::kFile || seen.kind == Observation::Kind::kLarge) {
    job.seen.push_back(std::move(seen));
    return;
  }
  auto file = job.files.open_file(request.path);
  if (!file) {
    job.seen.push_back(unknown(request.path, file.error()));
    return;
  }
  auto before = (*file)->stat();
  if (!before) {
    job.seen.push_back(unknown(request.path, before.error()));
    return;
  }
  if (request.from_disk) (*file)->drop_cache();
  job.open = std::move(*file);
  job.before = *before;
  job.offset = 0;
  job.hasher.reset();
}

void finish_file(Examination& job) {
  Observation seen;
  seen.path = job.requests[job.seen.size()].path;
  auto after = job.open->stat();
  job.open.reset();
  if (!after || !(*after == job.before) || job.offset != job.before.size) {
    seen.kind = Observation::Kind::kUnstable;
  } else {
    ContentDigests hash = job.hasher.finish();
    seen.kind = Observation::Kind::kPresent;
    seen.stat = job.before;
    seen.content = hash.content;
    seen.md5 = hash.md5;
  }
  job.seen.push_back(std::move(seen));
}

// Reads on in the open file, at most `budget` bytes; true when the file is finished.
bool read_slice(Examination& job, std::uint64_t& budget) {
  if (job.buffer.empty()) job.buffer.resize(kReadBytes);
  while (budget > 0) {
    auto size = job.open->read(job.offset, job.buffer);
    if (!size) {
      job.open.reset();
      job.seen.push_back(unknown(job.requests[job.seen.size()].path, size.error()));
      return true;
    }
    if (*size == 0) {
      finish_file(job);
      return true;
    }
    job.hasher.update(ByteView(job.buffer).first(*size));
    job.offset += *size;
    job.read += *size;
    budget -= std::min<std::uint64_t>(budget, *size);
    // A file that grows while it is read would be read for ever; it is unstable anyway.
    if (job.offset > job.before.size) {
      finish_file(job);
      return true;
    }
  }
  return false;
}

// Removed, renamed or written to while it is read: what is read of it says nothing any more. (4 GB
// that were removed kept their room for 20 s, and what was made under the name waited for them.)
bool is_moot(Examination& job) {
  auto now = job.open->stat();
  return !now || !(*now == job.before);
}

void run_slice(Examination& job) {
  std::uint64_t budget = kSliceBytes;
  if (job.open && is_moot(job)) finish_file(job);
  while (job.seen.size() < job.requests.size() && budget > 0) {
    if (!job.open) begin_next(job);
    if (job.open && !read_slice(job, budget)) return;
    budget -= std::min<std::uint64_t>(budget, 4096);  // what a stat costs, about
  }
}

void schedule(std::shared_ptr<Examination> job) {
  Executor& executor = job->executor;
  executor.submit(
      JobClass::kBulk, [job] { run_slice(*job); },
      [job] {
        if (job->seen.size() < job->requests.size()) {
          schedule(job);
        } else {
          job->done(std::move(job->seen));
        }
      });
}

}  // namespace

void run_examine(FileSystem& files, Executor& executor, std::vector<ExamineRequest> requests,
                 std::function<void(std::vector<Observation>)> done) {
  auto job = std::make_shared<Examination>(Examination{
      files, executor, std::move(requests), std::move(done), {}, nullptr, {}, 0, 0, {}, {}});
  schedule(std::move(job));
}

}  // namespace lansync
