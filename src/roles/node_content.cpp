// The node's part that moves content: what is asked for and sent in a session, and what goes by the
// carriers beside it.
#include <algorithm>

#include "base/assert.h"
#include "roles/batching.h"
#include "roles/node.h"

namespace lansync {
namespace {

static_assert(kChunkBytes == kContentChunk);
static_assert(Provider::kBlockBytes == kMaxBlockChunks * kChunkBytes);

// Packets in ENet's hands, a session: enough for the line, short enough for its list walk (DESIGN).
constexpr std::size_t kContentQueue = Outbox::kContentInHand;
constexpr std::size_t kEndsTogether = 64;
// What a chunk takes of --limit: its record, header and tag included.
constexpr std::uint64_t kChunkCost = kChunkBytes + 35;
constexpr Duration kStuck = 5s;
// At most, of a request's item: keys and numbers of fixed size; two numbers and their header.
constexpr std::size_t kRequestItemBytes = 128;
constexpr std::size_t kRangeBytes = 19;

std::uint64_t cost_of(std::uint64_t bytes) {
  return bytes + (bytes + kChunkBytes - 1) / kChunkBytes * (kChunkCost - kChunkBytes);
}

}  // namespace

bool Node::on_request(SessionId id, const Request& request) {
  for (const RequestItem& item : request.items) {
    RangeRequest wanted;
    wanted.transfer = item.transfer;
    wanted.content = item.hash;
    wanted.name = item.name;
    wanted.size = item.size;
    for (const WireRange& range : item.ranges) wanted.ranges.push_back({range.begin, range.end});
    demand_->on_request(item.name, item.hash, now_);
    if (!provider_->on_request(id, wanted)) return false;
    if (item.size > Provider::kSmallBytes) {
      note_asker(id, item.hash);
      carriage_->on_request(id, item.transfer, request.carrier);
    }
  }
  return true;
}

bool Node::on_download(SessionId id, const Download& download) {
  for (const DownloadItem& item : download.items) {
    if (!fetcher_->on_begin(id, item.transfer, item.size)) return false;
  }
  return true;
}

bool Node::on_done(SessionId id, const Done& done) {
  // The blocks were delivered before their end was sent: they wait in the carrier.
  poll_carriers();
  for (const TransferEnd& end : done.transfers) {
    if (!fetcher_->on_end(id, TransferResult{end.transfer, end.ok, end.md5, end.reason}))
      return false;
  }
  if (!done.published.empty() && client_->hub() == id) client_->on_done(done.published, now_);
  return true;
}

void Node::send_requests() {
  // One message says how all of its items are wanted.
  std::map<std::pair<SourceId, CarrierChoice>, Request> requests;
  std::map<const Request*, std::size_t> bytes;
  for (const auto& [source, wanted] : fetcher_->take_requests()) {
    const CarrierChoice choice = carrier_for(wanted.content);
    Request& request = requests[{source, choice}];
    request.carrier = choice;
    if (auto at = sessions_.find(source); at != sessions_.end()) at->second.content_at = now_;
    // A new one: who else has it is asked at once, and not with the next ping.
    if (wanted.size >= SourceFinder::kLeastMissing && !finder_.knows(wanted.content))
      find_due_ = true;
    if (wanted.size > Fetcher::kSmallBytes) carriage_->want_from(source, choice, now_);
    RequestItem item;
    item.transfer = wanted.transfer;
    item.hash = wanted.content;
    item.name = wanted.name;
    item.size = wanted.size;
    for (const ByteRange& range : wanted.ranges) item.ranges.push_back({range.begin, range.end});
    // Names and ranges can be long: 512 items of them would be no message.
    bytes[&request] += kRequestItemBytes + item.name.size() + kRangeBytes * item.ranges.size();
    request.items.push_back(std::move(item));
    if (request.items.size() == kMaxEntriesPerMessage || bytes[&request] >= kBatchBytes) {
      poll_carriers();
      outbox_->send(source, request);
      request.items.clear();
      bytes[&request] = 0;
    }
  }
  // What opens a carrier goes before what is asked by it.
  if (!requests.empty()) poll_carriers();
  for (const auto& [how, request] : requests) {
    if (!request.items.empty()) outbox_->send(how.first, request);
  }
}

bool Node::has_room(SourceId source) {
  return sessions_.contains(source) && transport_->queued(source) < kContentQueue && within_limit();
}

// --limit: a bucket of 50 ms of the rate, all transfers together. A block may overdraw it.
bool Node::within_limit() {
  if (config_.limit == 0) return true;
  double rate = static_cast<double>(config_.limit);
  double earned = rate * static_cast<double>((now_ - allowance_at_).count()) / 1e6;
  double most = std::max(rate * 0.05, 2.0 * static_cast<double>(kChunkCost));
  allowance_ = std::min(most, allowance_ + earned);
  allowance_at_ = now_;
  limited_ = allowance_ < static_cast<double>(kChunkCost);
  return !limited_;
}

void Node::spend(std::uint64_t bytes) {
  if (config_.limit != 0) allowance_ -= static_cast<double>(bytes);
}

void Node::begin(SourceId source, std::uint32_t transfer, const std::string& name,
                 std::uint64_t size) {
  Download download;
  download.items.push_back({transfer, name, size});
  transport_->send(source, Channel::kContent, encode_message(download));
}

void Node::chunk(SourceId source, std::uint32_t transfer, std::uint64_t chunk_number,
                 ByteView bytes) {
  encode_chunk({transfer, chunk_number, bytes}, chunk_buffer_);
  transport_->send(source, Channel::kContent, chunk_buffer_);
  ++chunks_sent_;
  payload_sent_ += bytes.size();
  spend(cost_of(bytes.size()));
}

BlockRoute Node::route(SourceId source, std::uint32_t transfer, std::size_t bytes) {
  if (!within_limit()) return BlockRoute::kWait;
  return carriage_->route(source, transfer, bytes, now_);
}

Via Node::block(SourceId source, std::uint32_t transfer, std::uint64_t first, Bytes data) {
  chunks_sent_ += (data.size() + kChunkBytes - 1) / kChunkBytes;
  payload_sent_ += data.size();
  spend(cost_of(data.size()));
  return carriage_->send(source, transfer, first, std::move(data), now_);
}

void Node::hole(SourceId source, std::uint32_t transfer, ByteRange range) {
  transport_->send(source, Channel::kContent,
                   encode_message(Hole{transfer, range.begin, range.end}));
}

// Ends are gathered: with small files one message closes dozens of transfers.
void Node::end(SourceId source, const TransferResult& result) {
  if (!carriage_->hold_end(source, result)) queue_end(source, result);
}

void Node::queue_end(SourceId source, const TransferResult& result) {
  auto& ends = ends_[source];
  ends.push_back({result.transfer, result.ok, result.md5, result.reason});
  if (ends.size() < kEndsTogether) return;
  Done done;
  done.transfers = std::move(ends);
  ends.clear();
  transport_->send(source, Channel::kContent, encode_message(done));
}

void Node::send_ends() {
  for (auto& [source, ends] : ends_) {
    if (ends.empty()) continue;
    Done done;
    done.transfers = std::move(ends);
    ends.clear();
    transport_->send(source, Channel::kContent, encode_message(done));
  }
  ends_.clear();
}

// ---- carriers
// ---------------------------------------------------------------------------------------

void Node::poll_carriers() {
  Carriage::News news;
  carriage_->poll(now_, news);
  take_news(news);
}

void Node::take_news(Carriage::News& news) {
  for (const auto& [session, message] : news.messages) outbox_->send(session, message);
  for (SessionId session : news.windows) fetcher_->set_carried(session, carriage_->window(session));
  for (std::size_t i = 0; i < news.received.size(); ++i) {
    BlockReceived& block = news.received[i];
    auto at = sessions_.find(block.session);
    if (at == sessions_.end()) continue;
    at->second.content_at = now_;
    if (fetcher_->on_block(block.session, block.block.transfer, block.block.first,
                           std::move(block.block.data), news.received_via[i]))
      continue;
    news.violations.push_back({block.session, "a block that was not asked for"});
  }
  for (const auto& [session, result] : news.ended) {
    if (sessions_.contains(session)) queue_end(session, result);
  }
  for (const auto& [session, what] : news.violations) {
    ++rejected_;
    transport_->violation(session, what);
  }
}

// What a carrier that went down had not delivered. It was counted as sent before; as it goes twice
// over the line, it counts twice against the limit.
void Node::send_returned() {
  Carriage::News news;
  for (const auto& [id, peer] : sessions_) {
    while (auto chunk = carriage_->next_returned(id)) {
      if (!has_room(id)) break;
      encode_chunk(*chunk, chunk_buffer_);
      transport_->send(id, Channel::kContent, chunk_buffer_);
      spend(kChunkCost);
      ++chunks_resent_;
      carriage_->returned_sent(id, news);
    }
  }
  take_news(news);
}

void Node::give_credit() {
  for (const CarriedBytes& carried : fetcher_->take_carried())
    carriage_->credit(carried.source, carried.via, carried.bytes);
  if (config_.limit == 0) return;
  // What a carrier sent again by itself counts as well.
  const std::uint64_t resent = carriage_->counters().chunks_resent;
  spend((resent - resent_charged_) * kChunkCost);
  resent_charged_ = resent;
}

// Content that was asked for and does not come at all: another way is tried.
void Node::look_for_stuck() {
  for (const auto& [id, name] : fetcher_->take_liars()) {
    auto at = sessions_.find(id);
    if (at == sessions_.end() || !at->second.hello) continue;
    ++rejected_;
    parts_.log.warn(str(printable(at->second.hello->name), " sent other bytes than those of ",
                        printable(name), ": it is not asked for them while anybody else has them"));
  }
  for (const auto& [id, peer] : sessions_) {
    if (fetcher_->charged_bytes(id) == 0 || now_ - peer.content_at < kStuck) continue;
    carriage_->stuck(id, now_);
  }
}

}  // namespace lansync
