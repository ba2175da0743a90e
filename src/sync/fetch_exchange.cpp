// Fetcher: what is asked of the sources, and what comes from them.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "sync/fetch_item.h"

namespace lansync {

namespace {

// Well below the 1024 that a source accepts: a request with more holes than this is made twice.
constexpr std::size_t kRangesPerRequest = 64;
// How long the blocks of a transfer that is over may still be on their way. They were delivered
// before its end was sent, so that a moment is enough; the rest is for a machine that stood still.
constexpr Duration kEarlyEndPatience = 5s;
// Who said "not yet" says when more has come; but its own fetch may end without a word (it found
// the content on its disk, or wants it no more). Seed 423 waited for ever.
constexpr Duration kNotYetPatience = 10s;

std::uint64_t chunks_in(std::uint64_t bytes) { return (bytes + kContentChunk - 1) / kContentChunk; }

Error refusal(const TransferResult& result) {
  const std::string reason = printable(result.reason, 100);
  if (result.reason == "changed")
    return {ErrorCode::kChanged, "the file changed at its source while it was being sent"};
  if (result.reason == "gone")
    return {ErrorCode::kNotFound, "the source does not have this content any more"};
  return {ErrorCode::kIo, str("the source cannot send it: ", reason)};
}

}  // namespace

std::vector<std::pair<SourceId, RangeRequest>> Fetcher::take_requests() {
  std::vector<std::pair<SourceId, RangeRequest>> requests;
  if (loading_ || suspended_ || paused_until_ != kNever) return requests;
  activate_large();
  // In turns, so that several sources share the work; small files first: most of the tree is there
  // before the first film.
  for (bool more = true; more;) {
    more = false;
    for (auto& [id, source] : sources_)
      for (int i = 0; i < 64 && ask_small(id, source, requests); ++i) more = true;
  }
  for (bool more = true; more;) {
    more = false;
    for (auto& [id, source] : sources_) more |= ask_large(id, source, requests);
  }
  return requests;
}

// One is opened at a time: what it takes of the disk counts against the next one only once it is
// known to fit. Side by side, a file larger than the disk made all that were opened with it fail,
// and so again at each retry.
void Fetcher::activate_large() {
  if (!activation_due_) return;
  for (const auto& [order, item] : active_)
    if (item->phase == FetchPhase::kOpening) return;
  // With every place taken, the next one that becomes free raises the flag again.
  activation_due_ = false;
  if (active_.size() >= options_.open_large_files) return;
  for (const auto& [order, item] : idle_large_) {
    if (candidates(*item).empty()) continue;
    const ItemPtr chosen = item;
    idle_large_.erase(chosen->order);
    submit_open(chosen);
    return;
  }
}

bool Fetcher::ask_small(SourceId id, Source& source,
                        std::vector<std::pair<SourceId, RangeRequest>>& requests) {
  if (source.charged >= window_of(source) || source.files >= options_.window_files) return false;
  const auto& own = source.own.small;
  const auto& any = common_.small;
  if (own.empty() && any.empty()) return false;
  const bool from_own = !own.empty() && (any.empty() || own.begin()->first < any.begin()->first);
  ItemPtr item = from_own ? own.begin()->second : any.begin()->second;
  RangeSet ranges = item->missing.take_front(kSmallBytes, kRangesPerRequest, kContentChunk);
  if (item->missing.empty()) dequeue(item);
  requests.emplace_back(id, make_request(id, source, item, std::move(ranges)));
  return true;
}

bool Fetcher::ask_large(SourceId id, Source& source,
                        std::vector<std::pair<SourceId, RangeRequest>>& requests) {
  // Not for a few blocks at a time: each request costs three messages.
  const std::uint64_t window = window_of(source);
  const std::uint64_t step = std::min(kRequestBytes, window / 2);
  if (source.charged + step > window) return false;
  // The next one after the last, in both queues; then from the start again.
  std::uint64_t after = source.last_large;
  bool wrapped = after == 0;
  for (std::size_t tries = active_.size() + 1; tries > 0; --tries) {
    ItemPtr item = next_large(id, source, after);
    if (!item && wrapped) return false;
    if (!item) {
      wrapped = true;
      after = 0;
      continue;
    }
    after = item->order;
    RangeSet ranges = take_missing(*item, id, step);
    if (ranges.empty()) continue;
    source.last_large = item->order;
    if (item->missing.empty()) dequeue(item);
    requests.emplace_back(id, make_request(id, source, item, std::move(ranges)));
    return true;
  }
  return false;
}

Fetcher::ItemPtr Fetcher::next_large(SourceId, const Source& source, std::uint64_t after) const {
  ItemPtr item;
  for (const auto* queue : {&source.own.large, &common_.large}) {
    auto at = queue->upper_bound(after);
    if (at != queue->end() && (!item || at->first < item->order)) item = at->second;
  }
  return item;
}

// Of what is missing, what is asked of this source next: from where the item begins, round the end.
RangeSet Fetcher::take_missing(Item& item, SourceId source, std::uint64_t bytes) {
  auto limited = item.available.find(source);
  auto only = item.blame.only.find(source);
  const bool any = limited == item.available.end() && only == item.blame.only.end();
  if (any && item.start == 0) return item.missing.take_front(bytes, kRangesPerRequest, kBlockBytes);
  RangeSet open = item.missing;
  if (limited != item.available.end()) open = open.intersection(limited->second);
  if (only != item.blame.only.end()) open = open.intersection(only->second);
  RangeSet behind = open.within(item.start, item.wanted.size);
  RangeSet& from = behind.empty() ? open : behind;
  RangeSet taken = from.take_front(bytes, kRangesPerRequest, kBlockBytes);
  item.missing.remove(taken);
  return taken;
}

RangeRequest Fetcher::make_request(SourceId id, Source& source, const ItemPtr& item,
                                   RangeSet ranges) {
  LS_ASSERT(!ranges.empty());
  while (source.next_transfer == 0 || source.transfers.contains(source.next_transfer))
    ++source.next_transfer;
  RangeRequest request;
  request.transfer = source.next_transfer++;
  request.content = item->wanted.content;
  request.name = item->wanted.name;
  request.size = item->wanted.size;
  request.ranges = ranges.ranges();
  for (const ByteRange& range : request.ranges)
    counters_.chunks_resent += chunks_in(item->asked.overlap(range.begin, range.end));
  item->asked.add(ranges);
  item->last_source = id;
  ++item->open_transfers;
  source.charged += ranges.total();
  Transfer& transfer = source.transfers[request.transfer];
  transfer.id = request.transfer;
  transfer.item = item;
  transfer.size = item->wanted.size;
  transfer.outstanding = std::move(ranges);
  transfer.small = item->small();
  if (transfer.small) ++source.files;
  return request;
}

bool Fetcher::violation() {
  ++counters_.violations;
  return false;
}

Fetcher::Transfer* Fetcher::find_transfer(SourceId source, std::uint32_t transfer) {
  auto at = sources_.find(source);
  if (at == sources_.end()) return nullptr;
  auto found = at->second.transfers.find(transfer);
  return found == at->second.transfers.end() ? nullptr : &found->second;
}

void Fetcher::credit(SourceId source, std::uint64_t bytes, std::uint32_t files) {
  auto at = sources_.find(source);
  if (at == sources_.end()) return;  // gone meanwhile, and its window with it
  LS_ASSERT(at->second.charged >= bytes && at->second.files >= files);
  at->second.charged -= bytes;
  at->second.files -= files;
}

void Fetcher::credit(const PendingWrite& write) {
  for (const auto& [source, bytes] : write.from) {
    credit(source, bytes, 0);
    if (write.via != 0) credit_carried(source, write.via, bytes);
  }
}

void Fetcher::credit_carried(SourceId source, Via via, std::uint64_t bytes) {
  if (sources_.contains(source)) carried_[{source, via}] += bytes;
}

std::vector<CarriedBytes> Fetcher::take_carried() {
  std::vector<CarriedBytes> out;
  for (const auto& [from, bytes] : carried_) out.push_back({from.first, from.second, bytes});
  carried_.clear();
  return out;
}

// A carried source is asked for what it brings in a third of a second, and a little more: enough
// for the longest line of a LAN, and not so much that a slow one of several holds the last part of
// a file for long.
std::uint64_t Fetcher::window_of(const Source& source) const {
  if (source.window == 0) return options_.window_bytes;
  const std::uint64_t least = sources_.size() > 1 ? 2 * kRequestBytes : options_.window_bytes;
  return std::min(source.window, least + static_cast<std::uint64_t>(source.arrival_rate / 3));
}

void Fetcher::note_arrival(SourceId id, std::uint64_t bytes) {
  auto at = sources_.find(id);
  if (at == sources_.end()) return;
  Source& source = at->second;
  const Instant now = clock_.now();
  source.arrived += bytes;
  if (now - source.arrival_from < 250ms) return;
  // The first stretch after a pause says nothing about the rate.
  if (now - source.arrival_from < 2s)
    source.arrival_rate = static_cast<double>(source.arrived) * 1e6 /
                          static_cast<double>((now - source.arrival_from).count());
  source.arrival_from = now;
  source.arrived = 0;
}

void Fetcher::set_available(const ContentId& content, SourceId source,
                            const std::optional<RangeSet>& ranges) {
  ItemPtr item = find_item(content);
  if (!item) return;
  if (!ranges || !ranges->empty()) item->waiting_too.erase(source);
  if (ranges) {
    item->available[source] = *ranges;
  } else {
    item->available.erase(source);
  }
}

void Fetcher::guess_available(const ContentId& content, SourceId source) {
  ItemPtr item = find_item(content);
  if (item && !item->waiting_too.contains(source)) item->available.erase(source);
}

void Fetcher::set_start(const ContentId& content, std::uint64_t offset) {
  if (ItemPtr item = find_item(content); item && offset < item->wanted.size)
    item->start = offset / kBlockBytes * kBlockBytes;
}

void Fetcher::set_carried(SourceId source, std::uint64_t window_bytes) {
  auto at = sources_.find(source);
  if (at == sources_.end()) return;
  at->second.window = window_bytes;
  at->second.carried = at->second.carried || window_bytes != 0;
}

bool Fetcher::on_begin(SourceId source, std::uint32_t transfer, std::uint64_t size) {
  Transfer* open = find_transfer(source, transfer);
  if (!open || open->begun || open->size != size) return violation();
  open->begun = true;
  return true;
}

bool Fetcher::on_chunk(SourceId source, std::uint32_t transfer, std::uint64_t number,
                       ByteView bytes) {
  Transfer* open = find_transfer(source, transfer);
  if (!open || !open->begun) return violation();
  // Compared before it is multiplied: a number near 2^64 would wrap around to a valid offset.
  if (number > open->size / kContentChunk) return violation();
  const std::uint64_t begin = number * kContentChunk;
  const std::uint64_t end = std::min(begin + kContentChunk, open->size);
  if (begin >= end || bytes.size() != end - begin) return violation();
  if (!open->outstanding.contains(begin, end)) {
    if (!sources_.at(source).carried) return violation();
    // Its block arrived, and then the carrier went down before it could say so.
    ++counters_.late_chunks;
    return true;
  }
  open->outstanding.remove(begin, end);
  ++counters_.chunks_received;
  counters_.payload_received += bytes.size();
  if (!open->item) {
    credit(source, bytes.size(), 0);
    end_if_complete(source, transfer);
    return true;
  }
  const ItemPtr item = open->item;
  item->contributors.insert(source);
  item->last_source = source;
  item->via = 0;
  if (item->small()) {
    store_small(item, source, begin, bytes);
  } else {
    store_large(item, source, begin, bytes);
  }
  end_if_complete(source, transfer);
  return true;
}

bool Fetcher::on_block(SourceId source, std::uint32_t transfer, std::uint64_t first, Bytes data,
                       Via via) {
  const std::uint64_t bytes = data.size();
  if (bytes == 0 || bytes > kBlockBytes) return violation();
  Transfer* open = find_transfer(source, transfer);
  if (!open) {
    counters_.late_chunks += chunks_in(bytes);
    credit_carried(source, via, bytes);
    return true;
  }
  if (first > open->size / kContentChunk) return violation();
  const std::uint64_t begin = first * kContentChunk;
  const std::uint64_t end = begin + bytes;
  if (end > open->size || (end % kContentChunk != 0 && end != open->size)) return violation();
  sources_.at(source).carried = true;
  const ItemPtr item = open->item;
  if (item) {
    item->contributors.insert(source);
    item->last_source = source;
    item->via = via;
  }
  if (open->outstanding.contains(begin, end)) {
    open->outstanding.remove(begin, end);
    counters_.chunks_received += chunks_in(bytes);
    counters_.payload_received += bytes;
    note_arrival(source, bytes);
    if (!item) credit(source, bytes, 0);
    if (item && take_whole_block(item, source, begin, data, via)) {
      end_if_complete(source, transfer);
      return true;
    }
  } else {
    // Part of it came before, in chunks. What is new is taken chunk by chunk.
    for (std::uint64_t at = begin; at < end; at += kContentChunk) {
      const std::uint64_t until = std::min(at + kContentChunk, end);
      if (!open->outstanding.contains(at, until)) {
        ++counters_.late_chunks;
        continue;
      }
      open->outstanding.remove(at, until);
      ++counters_.chunks_received;
      counters_.payload_received += until - at;
      const ByteView chunk = ByteView(data).subspan(static_cast<std::size_t>(at - begin),
                                                    static_cast<std::size_t>(until - at));
      if (!item) {
        credit(source, until - at, 0);
      } else if (item->small()) {
        store_small(item, source, at, chunk);
      } else {
        store_large(item, source, at, chunk);
      }
    }
  }
  credit_carried(source, via, bytes);
  end_if_complete(source, transfer);
  return true;
}

// A block that is alone at its place is written as it is. Otherwise it is added to what has come of
// its place; false: its memory is not needed any more.
bool Fetcher::take_whole_block(const ItemPtr& item, SourceId source, std::uint64_t begin,
                               Bytes& data, Via via) {
  const std::uint64_t end = begin + data.size();
  const bool alone = !item->small() && !item->blocks.contains(begin / kBlockBytes) &&
                     !item->blocks.contains((end - 1) / kBlockBytes);
  if (!alone) {
    for (std::uint64_t at = begin; at < end; at += kContentChunk) {
      const ByteView chunk =
          ByteView(data).subspan(static_cast<std::size_t>(at - begin),
                                 static_cast<std::size_t>(std::min(kContentChunk, end - at)));
      if (item->small()) {
        store_small(item, source, at, chunk);
      } else {
        store_large(item, source, at, chunk);
      }
    }
    return false;
  }
  item->have.add(begin, end);
  note_brought(*item, source, begin, end);
  note_rate(*item, data.size());
  PendingWrite write;
  write.begin = begin;
  write.runs = {{begin, end}};
  write.from[source] = data.size();
  write.via = via;
  write.data = std::move(data);
  item->pending.emplace(begin, std::move(write));
  step(item);
  return true;
}

bool Fetcher::on_hole(SourceId source, std::uint32_t transfer, ByteRange range) {
  static constexpr std::array<std::uint8_t, kContentChunk> kZeros{};
  Transfer* open = find_transfer(source, transfer);
  if (!open || !open->begun) return violation();
  const bool on_borders = range.begin % kContentChunk == 0 &&
                          (range.end % kContentChunk == 0 || range.end == open->size);
  if (!on_borders || range.begin >= range.end) return violation();
  if (!open->outstanding.contains(range.begin, range.end)) return violation();
  open->outstanding.remove(range.begin, range.end);
  const ItemPtr item = open->item;
  if (!item) {
    credit(source, range.end - range.begin, 0);
    end_if_complete(source, transfer);
    return true;
  }
  item->contributors.insert(source);
  item->last_source = source;
  // Stored like chunks; blocks that are all zeros are not written (the file is extended at its
  // end).
  for (std::uint64_t begin = range.begin; begin < range.end; begin += kContentChunk) {
    const auto bytes = static_cast<std::size_t>(std::min(kContentChunk, range.end - begin));
    if (item->small()) {
      store_small(item, source, begin, ByteView(kZeros).first(bytes));
    } else {
      store_large(item, source, begin, ByteView(kZeros).first(bytes));
    }
  }
  end_if_complete(source, transfer);
  return true;
}

bool Fetcher::on_end(SourceId source, const TransferResult& result) {
  auto at = sources_.find(source);
  if (at == sources_.end()) return violation();
  auto found = at->second.transfers.find(result.transfer);
  if (found == at->second.transfers.end()) return violation();
  Transfer& transfer = found->second;
  if (transfer.early_end) return violation();
  if (result.ok && (!transfer.begun || !transfer.outstanding.empty())) {
    // "All sent", and it was not: by the session itself that cannot be.
    if (!transfer.begun || !at->second.carried) return violation();
    const Instant due = clock_.now() + kEarlyEndPatience;
    transfer.early_end.emplace(due, result);
    early_ends_.emplace(due, source, result.transfer);
    return true;
  }
  end_transfer(source, result);
  return true;
}

// The last block of a transfer that was over before has come.
void Fetcher::end_if_complete(SourceId source, std::uint32_t transfer) {
  Transfer* open = find_transfer(source, transfer);
  if (!open || !open->early_end || !open->outstanding.empty()) return;
  const auto [due, result] = *open->early_end;
  early_ends_.erase({due, source, transfer});
  end_transfer(source, result);
}

// What was announced as sent and did not come is asked for again.
void Fetcher::end_overdue(Instant now) {
  while (!early_ends_.empty() && std::get<0>(*early_ends_.begin()) <= now) {
    const auto [due, source, number] = *early_ends_.begin();
    early_ends_.erase(early_ends_.begin());
    Transfer* open = find_transfer(source, number);
    if (!open || !open->early_end) continue;
    const TransferResult result = open->early_end->second;
    end_transfer(source, result);
  }
}

void Fetcher::end_transfer(SourceId source, const TransferResult& result) {
  auto& transfers = sources_.at(source).transfers;
  auto found = transfers.find(result.transfer);
  const Transfer transfer = std::move(found->second);
  transfers.erase(found);
  credit(source, transfer.outstanding.total(), 0);
  const ItemPtr item = transfer.item;
  if (!item) {
    if (transfer.small) credit(source, 0, 1);
    return;
  }
  --item->open_transfers;
  item->missing.add(transfer.outstanding);
  if (transfer.small) ++item->charges[source].files;
  if (!result.ok && result.reason == "not_yet") {
    // It has less than was thought; it will say what. A part may also have gone: then it says so.
    item->available[source].clear();
    item->waiting_too.insert(source);
    not_yet_.emplace(clock_.now() + kNotYetPatience, item->wanted.content, source);
  } else {
    item->waiting_too.erase(source);
    if (!result.ok) item->refused.insert_or_assign(source, refusal(result));
  }
  if (!result.ok) ask_everybody(*item);
  if (item->small()) {
    check_small(item);
    if (item->phase == FetchPhase::kFetching && !item->missing.empty()) enqueue(item);
    return;
  }
  if (result.ok && transfer.outstanding.empty()) {
    // The last of what was asked before somebody refused the rest: who else is there is asked now,
    // or the fetch has failed. (Only a refusal that ends after all others would have said so.)
    const bool left = item->open_transfers == 0 && !item->missing.empty();
    if (left && !item->refused.empty() && item->phase == FetchPhase::kFetching) enqueue(item);
    return;
  }
  flush_blocks(item);
  if (item->phase == FetchPhase::kFetching) enqueue(item);
  step(item);
}

void Fetcher::ask_not_yet(Instant now) {
  while (!not_yet_.empty() && std::get<0>(*not_yet_.begin()) <= now) {
    const auto [when, content, source] = *not_yet_.begin();
    not_yet_.erase(not_yet_.begin());
    ItemPtr item = find_item(content);
    if (!item || item->dropped) continue;
    auto said = item->available.find(source);
    if (said == item->available.end() || !said->second.empty()) continue;
    item->available.erase(said);
    if (item->phase == FetchPhase::kFetching) enqueue(item);
    if (!item->small()) step(item);
  }
}

void Fetcher::store_small(const ItemPtr& item, SourceId source, std::uint64_t begin,
                          ByteView bytes) {
  if (item->data.empty()) {
    item->data.resize(static_cast<std::size_t>(item->wanted.size));
    small_buffered_ += item->wanted.size;
  }
  std::memcpy(item->data.data() + begin, bytes.data(), bytes.size());
  item->have.add(begin, begin + bytes.size());
  item->charges[source].bytes += bytes.size();
}

void Fetcher::check_small(const ItemPtr& item) {
  if (item->phase != FetchPhase::kFetching || item->open_transfers > 0) return;
  if (!item->missing.empty()) return;
  dequeue(item);
  item->phase = FetchPhase::kWriting;
  small_ready_.push_back(item);
  submit_small();
}

void Fetcher::store_large(const ItemPtr& item, SourceId source, std::uint64_t begin,
                          ByteView bytes) {
  const std::uint64_t index = begin / kBlockBytes;
  auto [at, opened] = item->blocks.try_emplace(index);
  OpenBlock& block = at->second;
  if (opened) {
    const std::uint64_t from = index * kBlockBytes;
    const std::uint64_t to = std::min(from + kBlockBytes, item->wanted.size);
    block.data.resize(static_cast<std::size_t>(to - from));
    block.needed =
        static_cast<std::uint32_t>(chunks_in(to - from) - chunks_in(item->have.overlap(from, to)));
  }
  const std::uint64_t offset = begin - index * kBlockBytes;
  std::memcpy(block.data.data() + offset, bytes.data(), bytes.size());
  block.got.set(static_cast<std::size_t>(offset / kContentChunk));
  ++block.got_count;
  block.from[source] += bytes.size();
  note_brought(*item, source, begin, begin + bytes.size());
  if (block.got_count < block.needed) return;
  flush_block(item, index);
  step(item);
}

void Fetcher::flush_block(const ItemPtr& item, std::uint64_t index) {
  auto at = item->blocks.find(index);
  LS_ASSERT(at != item->blocks.end());
  OpenBlock& block = at->second;
  PendingWrite write;
  write.begin = index * kBlockBytes;
  const std::uint64_t end = write.begin + block.data.size();
  RangeSet runs;
  for (std::uint64_t begin = write.begin; begin < end; begin += kContentChunk)
    if (block.got.test(static_cast<std::size_t>((begin - write.begin) / kContentChunk)))
      runs.add(begin, std::min(begin + kContentChunk, end));
  write.runs = runs.ranges();
  write.data = std::move(block.data);
  write.from = std::move(block.from);
  item->have.add(runs);
  item->blocks.erase(at);

  note_rate(*item, runs.total());
  const std::uint64_t first = write.runs.front().begin;
  item->pending.emplace(first, std::move(write));
}

void Fetcher::note_rate(Item& item, std::uint64_t bytes) {
  const Instant now = clock_.now();
  item.rate_bytes += bytes;
  if (now - item.rate_from < 1s) return;
  item.rate = static_cast<double>(item.rate_bytes) * 1e6 /
              static_cast<double>((now - item.rate_from).count());
  item.rate_from = now;
  item.rate_bytes = 0;
}

void Fetcher::flush_blocks(const ItemPtr& item) {
  while (!item->blocks.empty()) flush_block(item, item->blocks.begin()->first);
}

void Fetcher::clear_received(Item& item) {
  small_buffered_ -= item.data.size();
  item.data = {};
  for (const auto& [source, charge] : item.charges) credit(source, charge.bytes, charge.files);
  item.charges.clear();
  for (const auto& [index, block] : item.blocks)
    for (const auto& [source, bytes] : block.from) credit(source, bytes, 0);
  item.blocks.clear();
  for (const auto& [begin, write] : item.pending) credit(write);
  item.pending.clear();
}

}  // namespace lansync
