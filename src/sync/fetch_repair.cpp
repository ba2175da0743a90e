// Fetcher: content that came whole and is not what was wanted. Small content, and what came from
// one source alone, comes anew from another one. Of large content from several sources it is found
// out whose part is false, and only that comes anew:
//
//   1. A chunk of each one's part is asked of another source. Whoever sent other bytes all over is
//      in most of the comparisons that differ. Costs some kilobytes.
//   2. The one that is most in doubt (of equals the one with the smallest part) is left out, its
//      part comes from the others, and all is hashed once more. If no byte differed it was not the
//      one, and may be asked again. Then the next: each has its turn once.
//   3. Nobody is left: the whole from one source, then from another.
//
// Once it verifies, whose bytes were replaced by different ones is known to have sent wrong ones.
// Bytes of an earlier run (source 0) come first: a power cut may have lost them, and that is
// nobody's fault.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "sync/fetch_item.h"

namespace lansync {

namespace {

constexpr int kMaxAttempts = 3;  // of the whole from one source
constexpr int kMaxRounds = 16;
// 1 MiB at a time from each of several sources makes a range each; this is 100 GiB of them.
constexpr std::size_t kMaxBroughtRanges = 64 * 1024;

std::set<SourceId> authors_of(const Blame& blame) {
  std::set<SourceId> authors;
  for (const auto& [source, ranges] : blame.brought)
    if (!ranges.empty()) authors.insert(source);
  return authors;
}

}  // namespace

// ---- who brought what --------------------------------------------------------------------------

void Fetcher::note_brought(Item& item, SourceId source, std::uint64_t begin, std::uint64_t end) {
  Blame& blame = item.blame;
  if (blame.untracked) return;
  RangeSet& ranges = blame.brought[source];
  ranges.add(begin, end);
  if (ranges.ranges().size() <= kMaxBroughtRanges) return;
  blame.untracked = true;
  blame.brought.clear();
}

// After a file was opened: what is in it and was brought by nobody came in an earlier run.
void Fetcher::recount_brought(Item& item) {
  Blame& blame = item.blame;
  if (blame.untracked) return;
  RangeSet earlier = item.have;
  for (auto& [source, ranges] : blame.brought) {
    ranges = ranges.intersection(item.have);
    if (source != 0) earlier.remove(ranges);
  }
  if (!earlier.empty()) blame.brought[0] = std::move(earlier);
}

void Fetcher::note_differed(Item& item, const RangeSet& differed) {
  if (differed.empty()) return;
  Blame& blame = item.blame;
  for (const auto& [before, ranges] : blame.former) {
    const RangeSet here = ranges.intersection(differed);
    if (here.empty()) continue;
    // Whose bytes these replaced is not known to be wrong if they are replaced themselves.
    for (auto& [source, replaced] : blame.replaced) replaced.remove(here);
    blame.replaced[before].add(here);
    for (const auto& [now, brought] : blame.brought) {
      if (now != before && !brought.intersection(here).empty())
        blame.disputes.insert({before, now});
    }
  }
}

void Fetcher::name_liars(const Item& item) {
  for (const auto& [source, ranges] : item.blame.replaced)
    if (source != 0 && !ranges.empty()) liars_.emplace_back(source, item.wanted.name);
}

// Somebody went away, or has not what was asked: rather a false part once more than nobody to ask.
void Fetcher::ask_everybody(Item& item) {
  item.blame.excluded.clear();
  item.blame.only.clear();
}

// ---- what is done about it ---------------------------------------------------------------------

void Fetcher::mismatch(const ItemPtr& item) {
  ++counters_.mismatches;
  if (std::exchange(item->hearsay, false)) {
    // Nobody had verified it: all of it is like what an earlier run left.
    item->blame = {};
    item->contributors.clear();
    recount_brought(*item);
  }
  if (!item->small() && repair(item)) return;
  const std::set<SourceId> authors = item->small() ? item->contributors : authors_of(item->blame);
  if (authors.size() == 1 && *authors.begin() != 0) {
    item->blamed.insert(*authors.begin());
    liars_.emplace_back(*authors.begin(), item->wanted.name);
  }
  ++item->attempts;
  if (item->attempts < kMaxAttempts) {
    restart(item);
    return;
  }
  fail(item,
       {ErrorCode::kCorrupt, str("what came as ", printable(item->wanted.name), " did not verify ",
                                 kMaxAttempts, " times")},
       true);
}

void Fetcher::restart(const ItemPtr& item) {
  clear_received(*item);
  item->have.clear();
  item->on_disk_ranges.clear();
  item->contributors.clear();
  item->blame = {};
  item->missing = RangeSet(0, item->wanted.size);
  if (item->small()) {
    // A transfer that still runs goes on; its bytes are not asked of another.
    for (const auto& [id, source] : sources_)
      for (const auto& [number, transfer] : source.transfers)
        if (transfer.item == item)
          for (const ByteRange& range : transfer.outstanding.ranges())
            item->missing.remove(range.begin, range.end);
    item->phase = FetchPhase::kFetching;
    enqueue(item);
    return;
  }
  detach_transfers(item);
  dequeue(item);
  item->fresh = true;
  submit_open(item);
}

// False: there is no part that could be to blame alone.
bool Fetcher::repair(const ItemPtr& item) {
  Blame& blame = item->blame;
  const std::set<SourceId> authors = authors_of(blame);
  if (blame.untracked || authors.empty() || blame.rounds >= kMaxRounds) return false;
  if (authors.size() == 1 && !authors.contains(0)) return false;
  if (blame.suspect) {
    const RangeSet& wrong = blame.replaced[*blame.suspect];
    // Every byte of it was confirmed by others: it is as good as any.
    if (wrong.empty()) blame.excluded.erase(*blame.suspect);
    RangeSet same = blame.former[*blame.suspect];
    same.remove(wrong);
    same.remove(blame.brought[*blame.suspect]);  // by itself, as nobody else was left to ask
    blame.confirmed.add(same);
  }
  blame.suspect.reset();
  blame.only.clear();
  blame.former.clear();
  ++blame.rounds;
  if (authors.contains(0) && blame.suspected.insert(0).second) return replace(item, 0);
  if (!std::exchange(blame.compared, true) && compare(item)) return true;
  while (auto suspect = next_suspect(*item)) {
    blame.suspected.insert(*suspect);
    blame.excluded.insert(*suspect);
    if (replace(item, *suspect)) return true;
    blame.excluded.erase(*suspect);
  }
  return false;
}

std::optional<SourceId> Fetcher::next_suspect(const Item& item) const {
  const Blame& blame = item.blame;
  auto doubts = [&](SourceId source) {
    return std::count_if(blame.disputes.begin(), blame.disputes.end(), [&](const auto& dispute) {
      return dispute.first == source || dispute.second == source;
    });
  };
  std::optional<SourceId> worst;
  for (const auto& [source, ranges] : blame.brought) {
    if (source == 0 || ranges.empty() || blame.suspected.contains(source)) continue;
    const auto more = worst ? doubts(source) - doubts(*worst) : 1;
    if (more > 0 || (more == 0 && ranges.total() < blame.brought.at(*worst).total()))
      worst = source;
  }
  return worst;
}

bool Fetcher::can_bring(const Item& item, SourceId source, ByteRange range) const {
  if (!may_serve(item, source)) return false;
  auto limited = item.available.find(source);
  return limited == item.available.end() || limited->second.contains(range.begin, range.end);
}

// One chunk from the middle of each one's largest range, asked of the next source round.
bool Fetcher::compare(const ItemPtr& item) {
  Blame& blame = item->blame;
  for (const auto& [author, ranges] : blame.brought) {
    if (author == 0 || ranges.empty()) continue;
    const ByteRange largest = *std::max_element(
        ranges.ranges().begin(), ranges.ranges().end(),
        [](const ByteRange& a, const ByteRange& b) { return a.end - a.begin < b.end - b.begin; });
    ByteRange chunk;
    chunk.begin =
        (largest.begin + (largest.end - largest.begin) / 2) / kContentChunk * kContentChunk;
    chunk.end = std::min(chunk.begin + kContentChunk, largest.end);
    std::optional<SourceId> other;
    auto at = sources_.upper_bound(author);
    for (std::size_t i = 0; i < sources_.size() && !other; ++i) {
      if (at == sources_.end()) at = sources_.begin();
      if (at->first != author && can_bring(*item, at->first, chunk)) other = at->first;
      ++at;
    }
    if (!other) continue;
    blame.only[*other].add(chunk.begin, chunk.end);
    blame.former[author].add(chunk.begin, chunk.end);
    item->take_back.add(chunk.begin, chunk.end);
  }
  if (item->take_back.empty()) return false;
  take_back(item);
  return true;
}

// The part of `suspect` comes anew, from others. False: they do not have it.
bool Fetcher::replace(const ItemPtr& item, SourceId suspect) {
  Blame& blame = item->blame;
  RangeSet part = blame.brought.at(suspect);
  part.remove(blame.confirmed);
  if (part.empty()) return false;
  const ByteRange all{part.ranges().front().begin, part.ranges().back().end};
  const bool helped = std::any_of(sources_.begin(), sources_.end(), [&](const auto& other) {
    return !blame.excluded.contains(other.first) && can_bring(*item, other.first, all);
  });
  if (!helped) return false;
  blame.suspect = suspect;
  blame.former[suspect] = part;
  item->take_back = part;
  take_back(item);
  return true;
}

void Fetcher::take_back(const ItemPtr& item) {
  detach_transfers(item);
  dequeue(item);
  item->on_disk_ranges.remove(item->take_back);
  submit_open(item);
}

}  // namespace lansync
