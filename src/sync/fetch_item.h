// What the Fetcher knows of one wanted content, of one source and of one transfer. Only
// fetcher.cpp and fetch_*.cpp include this. Invariant of an item that is
// being fetched: every byte is in exactly one of `missing`, an open transfer's `outstanding`,
// `blocks`, `have`.
#pragma once

#include <bitset>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sync/fetcher.h"
#include "sync/partial_file.h"

namespace lansync {

enum class FetchPhase {
  kIdle,      // not begun: waits for its turn, or for a job that clears its name
  kOpening,   // large: a job looks what is there
  kFetching,  // asking and receiving
  kWriting,   // small: whole in memory, a job writes it
  kBackoff,   // failed; retried later
};

// 256 chunks of a large file, of which some have come.
struct OpenBlock {
  Bytes data;
  std::bitset<256> got;
  std::uint32_t got_count = 0;
  std::uint32_t needed = 0;  // chunks of it that are not on disk
  std::map<SourceId, std::uint64_t> from;
};

struct Fetcher::PendingWrite {
  std::uint64_t begin = 0;
  Bytes data;
  std::vector<ByteRange> runs;  // the parts of `data` that came, as offsets in the file
  std::map<SourceId, std::uint64_t> from;
  Via via = 0;  // not 0: a block of a carrier, which waits for the credit

  ByteView of(const ByteRange& run) const {
    return ByteView(data).subspan(static_cast<std::size_t>(run.begin - begin),
                                  static_cast<std::size_t>(run.end - run.begin));
  }
};

struct Charge {
  std::uint64_t bytes = 0;
  std::uint32_t files = 0;
};

// Who brought which bytes of a large content, and the search for whom to blame once it did not
// verify: see fetch_repair.cpp. 0 stands for an earlier run.
struct Blame {
  std::map<SourceId, RangeSet> brought;   // of what has come
  bool untracked = false;                 // too finely mixed to be remembered
  std::map<SourceId, RangeSet> former;    // taken back: whose bytes they were
  std::map<SourceId, RangeSet> replaced;  // those of them that others brought differently
  RangeSet confirmed;                     // those of them that others brought just so
  std::set<std::pair<SourceId, SourceId>> disputes;
  std::set<SourceId> suspected;     // had their turn
  std::optional<SourceId> suspect;  // of this round
  // Who is not asked in this round; of a comparison, who is asked for what.
  std::set<SourceId> excluded;
  std::map<SourceId, RangeSet> only;
  bool compared = false;
  int rounds = 0;

  bool narrows() const { return !excluded.empty() || !only.empty(); }
};

struct Fetcher::Item {
  WantedContent wanted;
  std::uint64_t order = 0;
  FetchPhase phase = FetchPhase::kIdle;
  bool dropped = false;
  std::optional<std::set<SourceId>> sources;  // only these may have it
  std::map<SourceId, Error> refused;          // this round: said that they do not have it
  // Said "not yet", and have sent or stated nothing since: they wait for somebody as well.
  std::set<SourceId> waiting_too;
  std::set<SourceId> blamed;        // this round: what they sent did not verify
  std::set<SourceId> contributors;  // since the last start
  int attempts = 0;                 // mismatches this round
  Duration backoff = 10s;
  Instant retry_at = kNever;
  std::optional<Instant> failed_at;  // for want of somebody who gives it
  bool same_round = false;           // goes on with who was found since then
  bool early = false;                // this round, for somebody came

  RangeSet missing;  // neither here nor asked for
  RangeSet have;     // on disk, or on the way there
  RangeSet asked;    // ever: tells what is asked again
  std::uint32_t open_transfers = 0;
  bool in_common = false;
  std::vector<SourceId> in_sources;  // whose queues hold it

  // Small.
  Bytes data;
  std::map<SourceId, Charge> charges;
  bool recheck = false;  // an earlier run left a temp file of that name

  // Large.
  std::shared_ptr<PartialFile> file;
  bool job_running = false;
  bool hash_more = false;
  bool fresh = false;    // do not resume
  bool on_disk = false;  // there is something in tmp
  bool close_asked = false;
  bool remove_asked = false;
  std::map<std::uint64_t, OpenBlock> blocks;
  std::map<std::uint64_t, PendingWrite> pending;  // by offset: the hash follows the lowest

  Blame blame;
  bool hearsay = false;  // what has come so far
  RangeSet take_back;    // by the next opening: whose bytes are to come anew

  RangeSet on_disk_ranges;                 // written: may be read by others' requests
  std::map<SourceId, RangeSet> available;  // these sources have no more than that yet
  std::uint64_t start = 0;                 // where asking begins
  SourceId last_source = 0;
  Via via = 0;  // of what came last
  Instant rate_from;
  std::uint64_t rate_bytes = 0;
  double rate = 0;

  bool small() const { return wanted.size <= kSmallBytes; }
};

// One file of a batch. The job reads and writes only what is in here.
struct Fetcher::SmallTask {
  ItemPtr item;
  WantedContent wanted;
  Bytes data;
  bool recheck = false;
  bool written = false;
  Status status;
  std::optional<ContentDigests> digests;
};

// Two jobs at once: one writes, the other hashes the same bytes.
struct Fetcher::LargeJob {
  std::shared_ptr<PartialFile> file;
  std::vector<PendingWrite> writes;
  int running = 0;          // of the two
  std::size_t written = 0;  // how many of the writes are on disk
  RangeSet differed;        // what was there before of these was something else
  Status status;
  bool hash = true;
  RangeSet on_disk;  // before
  Status hash_status;
};

inline bool is_what_was_wanted(const WantedContent& wanted, const ContentDigests& digests) {
  return wanted.content == digests.content && (wanted.md5.is_zero() || wanted.md5 == digests.md5);
}

struct Fetcher::Transfer {
  std::uint32_t id = 0;
  ItemPtr item;  // null: no longer wanted; what comes is counted and dropped
  std::uint64_t size = 0;
  RangeSet outstanding;
  bool begun = false;
  bool small = false;
  // Said to be over while blocks are still on their way: until when that is believed.
  std::optional<std::pair<Instant, TransferResult>> early_end;
};

struct Fetcher::Source {
  std::uint64_t window = 0;  // 0: the usual one
  bool carried = false;      // blocks may come, or came once: see set_carried
  Instant arrival_from{};    // its rate: what came of it in the last quarter of a second
  std::uint64_t arrived = 0;
  double arrival_rate = 0;
  std::uint64_t charged = 0;
  std::uint32_t files = 0;
  std::uint32_t next_transfer = 1;
  std::map<std::uint32_t, Transfer> transfers;
  Queues own;                    // items that not every source may be asked for
  std::uint64_t last_large = 0;  // the order of the large item that was asked for last
};

}  // namespace lansync
