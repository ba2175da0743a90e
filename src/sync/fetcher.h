// Gets the content that this node wants: decides what to ask of whom, takes the chunks, writes and
// hashes them in workers, and hands out temp files. Invariant: what take_finished() gives with an
// ok status is a whole file in .lansync/tmp whose SHA-256 (and MD5) are those that were wanted.
//
// Driven by the control thread: roles feeds what sessions bring, sends what take_requests() gives,
// and installs what take_finished() gives. Flow control is the receiver's: bytes count against the
// window of a source from the moment they are asked for until they are on disk, so a slow disk
// slows the sender. Only `transfer` and chunk numbers that were asked for are ever taken.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "sync/content.h"
#include "sync/file_system.h"
#include "sync/range_set.h"

namespace lansync {

struct WantedContent {
  ContentId content;
  std::uint64_t size = 0;
  Md5 md5;           // zero: not known; then the content id alone decides
  std::string name;  // a path where a source probably has it; shown in status
  // Its sources are fetching it themselves and have not verified it: what comes false is no lie.
  bool hearsay = false;
};

// ok: the verified temp file, not yet durable (the caller makes batches durable with one syncfs).
// It is the caller's until release(content), which has to follow, installed or not: till then the
// same content, wanted again, waits, so that nobody writes into a file that is being installed. Not
// ok: this round failed; it stays wanted and is tried again by itself. kNotFound, kChanged: no
// source has these bytes. kCorrupt: bytes that came were not those, three times over. Else our own
// disk.
struct FinishedContent {
  ContentId content;
  std::string temp_name;
  Md5 md5;
  Status status;
  SourceId source = 0;  // whose bytes came last
  Via via = 0;          // and how
};

struct FetcherOptions {
  std::uint64_t window_bytes = 8 * 1024 * 1024;  // asked for and not on disk, for each source
  std::uint32_t window_files = 4096;             // the same, in small files
  std::size_t open_large_files = 8;              // two descriptors each
  std::uint64_t reserve_bytes = 0;               // stays free on the disk (CONTRACT, Guards)
  Duration keep_partials = 24h;
};

struct FetcherCounters {
  std::uint64_t payload_received = 0;
  std::uint64_t chunks_received = 0;
  std::uint64_t chunks_resent = 0;  // asked for again: lost with a source, or did not verify
  std::uint64_t mismatches = 0;     // whole contents that did not verify
  std::uint64_t late_chunks = 0;    // came twice, or too late, by a change of carrier
  std::uint64_t violations = 0;
};

// Bytes that came in blocks and are on disk, or were thrown away: their carrier may bring as many
// more.
struct CarriedBytes {
  SourceId source = 0;
  Via via = 0;
  std::uint64_t bytes = 0;
};

class Fetcher {
 public:
  // At most this many bytes: buffered whole in memory, written in batches of many files.
  static constexpr std::uint64_t kSmallBytes = 64 * 1024;
  // What is written and hashed at once: 256 chunks.
  static constexpr std::uint64_t kBlockBytes = 256 * kContentChunk;
  // One request for a large file: long enough that its three messages are noise.
  static constexpr std::uint64_t kRequestBytes = 4 * kBlockBytes;

  Fetcher(FileSystem& fs, Executor& executor, const Clock& clock, FetcherOptions options = {});
  ~Fetcher();
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;

  // Called whenever a job brought something to take_finished() or take_requests(). From the control
  // thread, never from within a call of a method here.
  void set_wakeup(std::function<void()> wakeup) { wakeup_ = std::move(wakeup); }
  // Once, before anything is wanted: finds what an earlier run left in tmp and clears away what
  // nobody needs (names that begin with "x-" are the store's and stay).
  void load_partials();

  // Wanting twice is wanting once.
  void want(const WantedContent& wanted);
  bool wants(const ContentId& content) const;
  // No longer wanted. What has come stays in tmp for a day, in case that it is again.
  void drop(const ContentId& content);
  // The caller has installed the finished temp file, or does not need it: clears what is left.
  void release(const ContentId& content);
  // Only these sources may have it (those that are not connected count once they are). Without
  // this: any source.
  void set_sources(const ContentId& content, const std::vector<SourceId>& sources);
  // The same, where somebody was looked for because those who were asked could not give it: whoever
  // was found is asked at once, as a part of that round, and that begins no other one.
  void set_found_sources(const ContentId& content, const std::vector<SourceId>& sources);

  // The source has only these ranges of it yet (it is fetching it too), and is asked for no others;
  // nullopt: it has all.
  void set_available(const ContentId& content, SourceId source,
                     const std::optional<RangeSet>& ranges);
  // A third one's word that it has all, which counts for less than its own "not yet".
  void guess_available(const ContentId& content, SourceId source);
  // Where to begin to ask, for those who fetch one content from one source at the same time: each
  // begins elsewhere, and they serve each other.
  void set_start(const ContentId& content, std::uint64_t offset);
  // What is on disk of a large content that is being fetched: what others may be sent of it.
  // nullptr: nothing, or it is not being fetched.
  const RangeSet* on_disk(const ContentId& content) const;
  // It is being fetched, or is finished and waits to be installed.
  bool is_coming(const ContentId& content) const {
    return wants(content) || handed_out_.contains(content);
  }
  // And somebody besides `asker` may bring it, who has not said that they wait for it as well. (Two
  // that were told "not yet" by each other once waited for ever.)
  bool comes_from_others(const ContentId& content, SourceId asker) const;
  // Large contents that are being fetched now, of at least `least` bytes that are missing.
  std::vector<WantedContent> fetching_large(std::uint64_t least) const;
  // Contents that those who were asked could not give, a moment ago; what failed for the first time
  // comes first.
  std::vector<WantedContent> lately_failed() const;
  // Somebody came who may have what could not be had.
  void retry_failed();

  void add_source(SourceId source);
  // What was asked of it goes back to missing; nothing that came is lost.
  void remove_source(SourceId source);

  // Blocks may come from it by another way than its session, and so much is asked of it at once (a
  // long line needs it; memory is bounded by what the carrier may bring). From now on what comes
  // twice or late is no offence: a carrier that went down has its blocks sent again. 0: the window
  // is the usual one again.
  void set_carried(SourceId source, std::uint64_t window_bytes);

  // What to ask now, to be sent in this order. Call after every change.
  std::vector<std::pair<SourceId, RangeRequest>> take_requests();
  // What a source sent. False: it broke the rules (unknown transfer, wrong length, not asked for,
  // or twice), and roles should drop it.
  [[nodiscard]] bool on_begin(SourceId source, std::uint32_t transfer, std::uint64_t size);
  [[nodiscard]] bool on_chunk(SourceId source, std::uint32_t transfer, std::uint64_t number,
                              ByteView bytes);
  // A block by another way: chunks from number `first` on. It may overtake the begin, and the end
  // may overtake it.
  [[nodiscard]] bool on_block(SourceId source, std::uint32_t transfer, std::uint64_t first,
                              Bytes data, Via via);
  [[nodiscard]] bool on_hole(SourceId source, std::uint32_t transfer, ByteRange range);
  [[nodiscard]] bool on_end(SourceId source, const TransferResult& result);

  std::vector<FinishedContent> take_finished();
  std::vector<CarriedBytes> take_carried();
  // Sources whose bytes were not those that were wanted, and the name: alone they did not verify,
  // or what replaced them did.
  std::vector<std::pair<SourceId, std::string>> take_liars() { return std::exchange(liars_, {}); }

  Instant deadline() const;
  void tick(Instant now);
  // Before a clean exit: closes what is open, with its sidecars up to date. Asks for nothing more.
  void suspend();

  // Why nothing is asked for at present (a full disk); empty if all is well.
  const std::string& pause_reason() const { return pause_reason_; }
  // At most 64 lines; those that move first.
  std::vector<TransferProgress> progress() const;
  std::uint64_t pending_files() const { return wanted_files_; }
  std::uint64_t pending_bytes() const;
  const FetcherCounters& counters() const { return counters_; }
  // Bytes that were asked of a source and are not on disk yet: never above window_bytes but for
  // the last block.
  std::uint64_t charged_bytes(SourceId source) const;

 private:
  struct Item;
  using ItemPtr = std::shared_ptr<Item>;
  struct Transfer;
  struct PendingWrite;
  struct SmallTask;
  struct LargeJob;
  // Items with something to ask for, in the order in which they were wanted.
  struct Queues {
    std::map<std::uint64_t, ItemPtr> small;
    std::map<std::uint64_t, ItemPtr> large;
  };
  struct Source;
  struct Partial {
    std::uint64_t size = 0;  // of the temp file
    bool has_sidecar = false;
    Instant collect_at;
  };

  // fetcher.cpp: what is wanted, and by whom it can be had.
  ItemPtr find_item(const ContentId& content) const;
  void start(const ItemPtr& item);
  void start_all();
  void enqueue(const ItemPtr& item);
  void dequeue(const ItemPtr& item);
  std::vector<SourceId> candidates(const Item& item) const;
  bool may_serve(const Item& item, SourceId source) const;
  void retry_soon(const ItemPtr& item);
  bool take_sources(const ItemPtr& item, const std::vector<SourceId>& sources);
  void fail(const ItemPtr& item, Error error, bool discard);
  void finish(const ItemPtr& item, const Md5& md5);
  void forget(const ItemPtr& item);
  void detach_transfers(const ItemPtr& item);
  void pause(const Error& error);
  std::uint64_t reserved_bytes() const;
  void keep_partial(const Item& item);
  void collect_partials(Instant now);
  void register_found(const std::vector<DirectoryItem>& found);

  // fetch_exchange.cpp: requests out, chunks in.
  void activate_large();
  bool ask_small(SourceId id, Source& source,
                 std::vector<std::pair<SourceId, RangeRequest>>& requests);
  bool ask_large(SourceId id, Source& source,
                 std::vector<std::pair<SourceId, RangeRequest>>& requests);
  RangeRequest make_request(SourceId id, Source& source, const ItemPtr& item, RangeSet ranges);
  bool violation();
  Transfer* find_transfer(SourceId source, std::uint32_t transfer);
  void store_small(const ItemPtr& item, SourceId source, std::uint64_t begin, ByteView bytes);
  void store_large(const ItemPtr& item, SourceId source, std::uint64_t begin, ByteView bytes);
  void flush_block(const ItemPtr& item, std::uint64_t index);
  void flush_blocks(const ItemPtr& item);
  void check_small(const ItemPtr& item);
  void credit(SourceId source, std::uint64_t bytes, std::uint32_t files);
  void credit(const PendingWrite& write);
  void credit_carried(SourceId source, Via via, std::uint64_t bytes);
  std::uint64_t window_of(const Source& source) const;
  void note_arrival(SourceId source, std::uint64_t bytes);
  RangeSet take_missing(Item& item, SourceId source, std::uint64_t bytes);
  ItemPtr next_large(SourceId id, const Source& source, std::uint64_t after) const;
  bool take_whole_block(const ItemPtr& item, SourceId source, std::uint64_t begin, Bytes& data,
                        Via via);
  void note_rate(Item& item, std::uint64_t bytes);
  void end_transfer(SourceId source, const TransferResult& result);
  void end_if_complete(SourceId source, std::uint32_t transfer);
  void end_overdue(Instant now);
  void ask_not_yet(Instant now);

  // fetch_repair.cpp: what came did not verify.
  void mismatch(const ItemPtr& item);
  void restart(const ItemPtr& item);
  void note_brought(Item& item, SourceId source, std::uint64_t begin, std::uint64_t end);
  void recount_brought(Item& item);
  void note_differed(Item& item, const RangeSet& differed);
  void name_liars(const Item& item);
  void ask_everybody(Item& item);
  bool repair(const ItemPtr& item);
  bool compare(const ItemPtr& item);
  bool replace(const ItemPtr& item, SourceId suspect);
  bool can_bring(const Item& item, SourceId source, ByteRange range) const;
  std::optional<SourceId> next_suspect(const Item& item) const;
  void take_back(const ItemPtr& item);

  // fetch_disk.cpp: jobs.
  void submit(std::function<void()> work, std::function<void()> done);
  void submit_small();
  void small_done(std::vector<SmallTask>& tasks);
  void step(const ItemPtr& item);
  void submit_open(const ItemPtr& item);
  void submit_write(const ItemPtr& item);
  void write_done(const ItemPtr& item, LargeJob& job);
  void submit_finish(const ItemPtr& item);
  void submit_close(const ItemPtr& item);
  void submit_remove(const ItemPtr& item);
  void submit_release();
  void leave_active(Item& item);
  void clear_received(Item& item);

  FileSystem& fs_;
  Executor& executor_;
  const Clock& clock_;
  FetcherOptions options_;
  std::function<void()> wakeup_;
  // Jobs outlive us in the executor's queue at shutdown; their `done` looks here first.
  std::shared_ptr<bool> alive_;

  std::map<ContentId, ItemPtr> items_;
  std::uint64_t next_order_ = 1;
  std::uint64_t wanted_files_ = 0;
  std::map<SourceId, Source> sources_;
  Queues common_;                                // any source may be asked
  std::map<std::uint64_t, ItemPtr> idle_large_;  // waiting for their turn to be opened
  bool activation_due_ = false;
  std::map<std::uint64_t, ItemPtr> active_;  // large, opened
  std::deque<ItemPtr> small_ready_;          // whole in memory, to be written
  int small_jobs_ = 0;
  std::uint64_t small_buffered_ = 0;
  std::set<std::pair<Instant, std::uint64_t>> retries_;  // (when, order)
  std::map<std::uint64_t, ItemPtr> backing_off_;

  std::map<ContentId, Partial> partials_;  // in tmp, not wanted now
  std::set<ContentId> handed_out_;  // finished and not released: the temp file is the caller's
  std::set<ContentId> releasing_;   // its files are being removed, or will be
  std::vector<ContentId> release_queue_;
  bool release_job_ = false;
  Instant next_collect_ = kNever;
  bool loading_ = false;
  bool suspended_ = false;
  Instant paused_until_ = kNever;
  std::string pause_reason_;
  std::vector<FinishedContent> finished_;
  std::map<std::pair<SourceId, Via>, std::uint64_t> carried_;  // to be credited
  std::vector<std::pair<SourceId, std::string>> liars_;
  // Ends that overtook their last blocks: (when they are given up, source, transfer).
  std::set<std::tuple<Instant, SourceId, std::uint32_t>> early_ends_;
  // Who said "not yet", and may have the whole by now without a word of it: asked again then.
  std::set<std::tuple<Instant, ContentId, SourceId>> not_yet_;
  FetcherCounters counters_;
};

}  // namespace lansync
