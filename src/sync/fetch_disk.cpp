// Fetcher: jobs on the disk. A job touches only what it was given; what it found is taken over in
// its `done`, on the control thread. Of one large file one job runs at a time, or the two of a
// LargeJob.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sync/fetch_item.h"

namespace lansync {

namespace {

// One job: long enough that its two thread switches are noise, short enough (some ms) that others
// get their turn.
constexpr std::size_t kBlocksPerJob = 8;
constexpr std::uint64_t kHashBackPerJob = 4 * 1024 * 1024;
constexpr std::size_t kFilesPerJob = 256;
constexpr std::uint64_t kSmallBytesPerJob = 2 * 1024 * 1024;
constexpr int kSmallJobs = 2;
constexpr std::uint64_t kPage = 4096;  // what a small file takes on most disks, at least
constexpr const char* kNoRoom =
    "no room on the disk for what comes in: free space, it goes on by itself";
constexpr std::size_t kReleasesPerJob = 1024;

Result<Bytes> read_whole(FileSystem& fs, const std::string& name, std::uint64_t size) {
  auto file = fs.open_temp(name);
  if (!file) return file.error();
  Bytes data(static_cast<std::size_t>(size) + 1);  // one more shows a file that is too long
  std::size_t filled = 0;
  while (filled < data.size()) {
    auto got = (*file)->read(filled, std::span(data).subspan(filled));
    if (!got) return got.error();
    if (*got == 0) break;
    filled += *got;
  }
  if (filled != size) return Error{ErrorCode::kCorrupt, "a file in tmp has another size"};
  data.resize(filled);
  return data;
}

Status write_whole(FileSystem& fs, const std::string& name, ByteView data) {
  auto file = fs.create_temp(name);
  if (!file) return file.error();
  if (data.empty()) return {};
  return (*file)->write(0, data);
}

}  // namespace

void Fetcher::submit(std::function<void()> work, std::function<void()> done) {
  executor_.submit(JobClass::kDisk, std::move(work),
                   [this, alive = std::weak_ptr<bool>(alive_), done = std::move(done)] {
                     if (alive.expired()) return;
                     done();
                     if (wakeup_) wakeup_();
                   });
}

// ---- small files -------------------------------------------------------------------------------

void Fetcher::submit_small() {
  while (small_jobs_ < kSmallJobs && !small_ready_.empty() && paused_until_ == kNever) {
    auto tasks = std::make_shared<std::vector<SmallTask>>();
    std::uint64_t bytes = 0;
    while (!small_ready_.empty() && tasks->size() < kFilesPerJob && bytes < kSmallBytesPerJob) {
      ItemPtr item = std::move(small_ready_.front());
      small_ready_.pop_front();
      bytes += item->wanted.size;
      SmallTask& task = tasks->emplace_back();
      task.wanted = item->wanted;
      task.recheck = item->recheck;
      small_buffered_ -= item->data.size();
      task.data = std::exchange(item->data, {});
      task.item = std::move(item);
    }
    ++small_jobs_;
    submit(
        [&fs = fs_, tasks, reserve = reserved_bytes()] {
          auto free = fs.free_bytes();
          std::uint64_t room = UINT64_MAX;  // a disk that does not say is tried
          if (free) room = *free > reserve ? *free - reserve : 0;
          for (SmallTask& task : *tasks) {
            const std::string name = partial_name(task.wanted.content);
            if (task.recheck) {
              if (auto data = read_whole(fs, name, task.wanted.size))
                task.digests = digests_of(*data);
              continue;
            }
            task.digests = digests_of(task.data);
            if (!is_what_was_wanted(task.wanted, *task.digests)) continue;
            const std::uint64_t needs = (task.wanted.size + kPage - 1) / kPage * kPage;
            const bool fits = needs <= room;
            task.status = fits ? write_whole(fs, name, task.data)
                               : Status(Error{ErrorCode::kNoSpace, kNoRoom});
            if (fits) room -= needs;
            task.written = task.status.has_value();
          }
        },
        [this, tasks] {
          --small_jobs_;
          small_done(*tasks);
          submit_small();
        });
  }
}

void Fetcher::small_done(std::vector<SmallTask>& tasks) {
  for (SmallTask& task : tasks) {
    const ItemPtr& item = task.item;
    const bool good = task.digests && is_what_was_wanted(task.wanted, *task.digests);
    if (!task.status && task.status.error().code == ErrorCode::kNoSpace && !item->dropped) {
      // Kept in memory, and in its source's window, until there is room; whoever waits for it is
      // told.
      pause(task.status.error());
      finished_.push_back({task.wanted.content, "", {}, task.status.error()});
      small_buffered_ += task.data.size();
      item->data = std::move(task.data);
      small_ready_.push_back(item);
      continue;
    }
    clear_received(*item);
    if (item->dropped) {
      item->on_disk = task.written || (task.recheck && good);
      keep_partial(*item);
      forget(item);
    } else if (!task.status) {
      fail(item, task.status.error(), true);
    } else if (good) {
      finish(item, task.digests->md5);
    } else if (task.recheck) {
      item->recheck = false;
      item->phase = FetchPhase::kFetching;
      enqueue(item);
    } else {
      mismatch(item);
    }
  }
}

// ---- large files -------------------------------------------------------------------------------

void Fetcher::leave_active(Item& item) {
  active_.erase(item.order);
  activation_due_ = true;
}

// The next job of a large file, if none runs.
void Fetcher::step(const ItemPtr& item) {
  if (item->job_running) return;
  if (item->remove_asked) {
    submit_remove(item);
    return;
  }
  if (!item->file) {
    if (item->dropped) {
      keep_partial(*item);
      forget(item);
    }
    return;
  }
  if (item->close_asked) {
    // What is still to come belongs to the file as it is opened next.
    detach_transfers(item);
    flush_blocks(item);
  }
  const bool paused = paused_until_ != kNever;
  // What cannot be written now and is not wanted any more must not keep the file open.
  if (paused && (item->dropped || suspended_)) clear_received(*item);
  if (!item->pending.empty() || (item->hash_more && !item->close_asked)) {
    if (!paused) submit_write(item);
    return;
  }
  if (item->close_asked) submit_close(item);
}

void Fetcher::submit_open(const ItemPtr& item) {
  LS_ASSERT(!item->job_running);
  item->phase = FetchPhase::kOpening;
  item->job_running = true;
  const std::uint64_t reserve = reserved_bytes();
  active_.emplace(item->order, item);
  struct Opened {
    std::shared_ptr<PartialFile> old;
    Status status;
    std::unique_ptr<PartialFile> file;
  };
  auto opened = std::make_shared<Opened>();
  opened->old = std::exchange(item->file, nullptr);
  submit(
      [&fs = fs_, wanted = item->wanted, fresh = item->fresh, reserve, opened,
       anew = std::exchange(item->take_back, {})] {
        opened->old.reset();
        auto file = PartialFile::open(fs, wanted.content, wanted.size, fresh, reserve);
        if (file && !anew.empty()) opened->status = (*file)->take_back(anew);
        if (!file) opened->status = file.error();
        if (opened->status) opened->file = std::move(*file);
      },
      [this, item, opened] {
        item->job_running = false;
        activation_due_ = true;
        if (!opened->status) {
          leave_active(*item);
          if (item->dropped) {
            keep_partial(*item);
            forget(item);
          } else {
            // One that does not fit fails alone: what is smaller may still fit.
            const bool no_space = opened->status.error().code == ErrorCode::kNoSpace;
            fail(item, opened->status.error(), !no_space);
          }
          return;
        }
        item->file = std::move(opened->file);
        item->on_disk = item->on_disk || item->file->begun();
        item->fresh = false;
        item->have = item->file->written();
        item->on_disk_ranges = item->have;
        item->hash_more = !item->have.empty();
        recount_brought(*item);
        item->missing = item->have.missing_of(item->wanted.size);
        item->close_asked = item->dropped || suspended_;
        item->phase = FetchPhase::kFetching;
        if (!item->close_asked) enqueue(item);
        step(item);
      });
}

void Fetcher::submit_write(const ItemPtr& item) {
  auto job = std::make_shared<LargeJob>();
  job->file = item->file;
  // When it is being closed the reading back is left to whoever opens it next.
  job->hash = !item->close_asked;
  while (!item->pending.empty() && job->writes.size() < kBlocksPerJob) {
    job->writes.push_back(std::move(item->pending.begin()->second));
    item->pending.erase(item->pending.begin());
  }
  if (job->hash) job->on_disk = item->on_disk_ranges;
  item->job_running = true;
  job->running = (job->hash ? 1 : 0) + (job->writes.empty() ? 0 : 1);
  auto ended = [this, item, job] {
    if (--job->running > 0) return;
    item->job_running = false;
    write_done(item, *job);
  };
  // The longer one first.
  if (job->hash) {
    submit(
        [job] {
          std::vector<PartialFile::Piece> pieces;
          for (const PendingWrite& write : job->writes)
            for (const ByteRange& run : write.runs) pieces.push_back({run.begin, write.of(run)});
          job->hash_status = job->file->hash_on(job->on_disk, pieces, kHashBackPerJob);
        },
        ended);
  }
  if (job->writes.empty()) return;
  submit(
      [job] {
        for (const PendingWrite& write : job->writes) {
          for (const ByteRange& run : write.runs) {
            job->status = job->file->write(run.begin, write.of(run));
            if (!job->status) return;
          }
          ++job->written;
        }
        job->differed = job->file->take_differed();
      },
      ended);
}

void Fetcher::write_done(const ItemPtr& item, LargeJob& job) {
  if (!job.writes.empty()) item->on_disk = true;
  for (std::size_t i = 0; i < job.writes.size(); ++i) {
    PendingWrite& write = job.writes[i];
    if (i < job.written) {
      for (const ByteRange& run : write.runs) item->on_disk_ranges.add(run.begin, run.end);
      credit(write);
    } else {
      const std::uint64_t first = write.runs.front().begin;
      item->pending.emplace(first, std::move(write));
    }
  }
  note_differed(*item, job.differed);
  if (job.status && !job.hash_status) job.status = job.hash_status;
  if (!job.status) {
    // After an error of the disk nobody knows what is in the file; and where somebody else has
    // filled it, half a file would only keep the room from those that still fit.
    fail(item, job.status.error(), true);
    return;
  }
  if (job.hash) {
    const std::uint64_t hashed = item->file->hashed();
    item->hash_more = item->on_disk_ranges.end_of_run(hashed) > hashed;
  }
  if (job.hash && item->file->hashed_whole()) {
    submit_finish(item);
  } else {
    step(item);
  }
}

void Fetcher::submit_finish(const ItemPtr& item) {
  struct Finished {
    std::shared_ptr<PartialFile> file;
    Status status;
    std::optional<ContentDigests> digests;
  };
  auto finished = std::make_shared<Finished>();
  finished->file = std::exchange(item->file, nullptr);
  item->job_running = true;
  submit(
      [finished] {
        // The sidecar says "whole" until the file has its real name: a kill in between costs
        // nothing.
        finished->status = finished->file->save();
        if (finished->status) finished->digests = finished->file->digests();
        finished->file->close();
      },
      [this, item, finished] {
        item->job_running = false;
        leave_active(*item);
        if (!finished->status) {
          fail(item, finished->status.error(), true);
        } else if (item->dropped) {
          keep_partial(*item);
          forget(item);
        } else if (is_what_was_wanted(item->wanted, *finished->digests)) {
          finish(item, finished->digests->md5);
        } else {
          mismatch(item);
        }
      });
}

void Fetcher::submit_close(const ItemPtr& item) {
  dequeue(item);
  if (item->phase == FetchPhase::kFetching) item->phase = FetchPhase::kOpening;
  item->job_running = true;
  submit(
      [file = std::exchange(item->file, nullptr)] {
        // A sidecar that cannot be written costs what came since the last one.
        (void)file->save();
        file->close();
      },
      [this, item] {
        item->job_running = false;
        item->close_asked = false;
        leave_active(*item);
        if (item->dropped) {
          keep_partial(*item);
          forget(item);
        } else if (item->phase != FetchPhase::kBackoff) {
          start(item);
        }
      });
}

void Fetcher::submit_remove(const ItemPtr& item) {
  item->remove_asked = false;
  item->close_asked = false;
  item->job_running = true;
  submit(
      [&fs = fs_, file = std::exchange(item->file, nullptr), content = item->wanted.content] {
        if (file) file->close();
        (void)fs.remove_temp(sidecar_name(content));
        (void)fs.remove_temp(partial_name(content));
      },
      [this, item] {
        item->job_running = false;
        item->on_disk = false;
        item->have.clear();
        item->on_disk_ranges.clear();
        leave_active(*item);
        if (item->dropped) {
          forget(item);
        } else if (item->phase != FetchPhase::kBackoff) {
          start(item);
        }
      });
}

void Fetcher::submit_release() {
  if (release_job_ || release_queue_.empty()) return;
  release_job_ = true;
  auto names = std::make_shared<std::vector<ContentId>>();
  const std::size_t count = std::min(release_queue_.size(), kReleasesPerJob);
  const auto end = release_queue_.begin() + static_cast<std::ptrdiff_t>(count);
  names->assign(release_queue_.begin(), end);
  release_queue_.erase(release_queue_.begin(), end);
  submit(
      [&fs = fs_, names] {
        // The sidecar last: alone it is nothing, while a whole file without it might be taken for
        // a small one that is finished.
        for (const ContentId& content : *names) {
          (void)fs.remove_temp(partial_name(content));
          (void)fs.remove_temp(sidecar_name(content));
        }
      },
      [this, names] {
        release_job_ = false;
        for (const ContentId& content : *names) {
          releasing_.erase(content);
          if (ItemPtr item = find_item(content); item && item->phase == FetchPhase::kIdle)
            start(item);
        }
        submit_release();
      });
}

}  // namespace lansync
