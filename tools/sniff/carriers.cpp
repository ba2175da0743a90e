#include "sniff/carriers.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "transport/lane/lane_connection.h"
#include "transport/lane/lane_packet.h"

namespace lansync::sniff {
namespace {

constexpr std::uint8_t kSyn = 2;
constexpr std::size_t kTag = 16;

std::string tag_text(std::uint32_t tag) {
  ByteWriter out;
  out.u32(tag);
  return to_hex(out.bytes());
}

Fields segment_fields(const Packet& packet) {
  List flags;
  static constexpr const char* kNames[] = {"fin", "syn", "rst", "psh", "ack"};
  for (std::size_t i = 0; i < std::size(kNames); ++i)
    if ((packet.tcp_flags >> i & 1) != 0) flags.push_back(kNames[i]);
  return {{"flags", std::move(flags)},
          {"sequence", packet.tcp_sequence},
          {"bytes", packet.payload.size() + packet.missing}};
}

}  // namespace

// One direction of a TCP connection.
struct Carriers::Stream {
  std::uint64_t age = 0;
  bool started = false;                    // SYN seen: where it begins is known
  bool lost = false;                       // not to be followed any more
  std::uint32_t next = 0;                  // sequence number of the byte after `bytes`
  Bytes bytes;                             // in order, not read yet
  std::map<std::uint32_t, Bytes> waiting;  // by sequence number, after a gap
  std::size_t at = 0;                      // how much of `bytes` is read
  std::size_t held = 0;                    // of bytes and waiting; told to held_bytes_ by on_tcp
  ByteView unread() const { return ByteView(bytes).subspan(at); }
  void read(std::size_t size) {
    at += size;
    held -= size;
  }
  std::unique_ptr<TcpSealer> sealer;
  std::uint64_t number = 0;
  std::uint32_t transfer = 0;
  std::uint64_t chunk = 0;
  std::size_t left = 0;  // content of the block under way that has not come
};

Carriers::Carriers() = default;
Carriers::~Carriers() = default;

void Carriers::learn(const Carrier& message, std::uint32_t from, bool initiator,
                     const SessionKeys& keys) {
  if (message.port == 0) return;
  auto& addresses = message.tcp ? tcps_ : lanes_;
  if (addresses.size() < kMaxIds) addresses.insert({from, message.port});
  if (message.tcp) {
    if (tcp_ids_.size() >= kMaxIds) tcp_ids_.erase(tcp_ids_.begin());
    tcp_ids_.insert_or_assign(message.id, TcpId{keys, initiator, message.id});
    return;
  }
  std::uint32_t tag = *LaneConnection::tag_of(message.id);
  auto opener = std::make_unique<LaneOpener>(keys.suite, lane_key(keys, initiator, message.id));
  if (!openers_.insert_or_assign(tag, std::move(opener)).second) return;
  if (tags_.size() < kMaxIds) {
    tags_.push_back(tag);
    return;
  }
  openers_.erase(tags_[next_tag_]);
  tags_[next_tag_] = tag;
  next_tag_ = (next_tag_ + 1) % kMaxIds;
}

// ---- lane

void Carriers::on_lane(const Packet& packet, const Item& blank, std::vector<Item>& out) {
  ByteView rest = packet.payload;
  // Captured before the card cut it: all datagrams of a train but the last have the full length.
  while (rest.size() > kLaneMaxDatagram) {
    out.push_back(lane_item(rest.first(kLaneMaxDatagram), blank));
    rest = rest.subspan(kLaneMaxDatagram);
  }
  if (packet.missing == 0) {
    out.push_back(lane_item(rest, blank));
    return;
  }
  Item item = blank;
  item.type = "malformed";
  item.fields = {{"why", str("cut by the capture: ", packet.missing, " bytes are missing")},
                 {"bytes", rest.size()}};
  out.push_back(std::move(item));
}

Item Carriers::lane_item(ByteView datagram, const Item& blank) {
  Item item = blank;
  item.type = "lane";
  item.fields = {{"bytes", datagram.size()}};
  auto number = lane_packet_number(datagram);
  if (!number) return item;
  std::uint32_t tag = *LaneConnection::tag_of(datagram);
  item.fields.push_back({"tag", tag_text(tag)});
  item.fields.push_back({"packet", *number});
  auto opener = openers_.find(tag);
  if (opener == openers_.end()) return item;
  Bytes copy(datagram.begin(), datagram.end());
  auto body = opener->second->open(copy);
  if (!body) {
    item.fields.push_back({"why", "does not open"});
    return item;
  }
  switch (lane_packet_type(*body).value_or(LanePacketType{})) {
    case LanePacketType::kData:
      if (auto data = decode_lane_data(*body)) {
        item.type = "chunk";
        item.fields = {{"transfer", data->transfer},   {"number", data->first + data->index},
                       {"size", data->content.size()}, {"carrier", "lane"},
                       {"tag", tag_text(tag)},         {"packet", *number}};
        return item;
      }
      break;
    case LanePacketType::kReport: {
      LaneReport report;
      if (!decode_lane_report(*body, report)) break;
      List ranges;
      for (std::size_t i = 0; i < report.range_count; ++i)
        ranges.push_back(List{report.ranges[i].begin, report.ranges[i].end});
      item.fields.push_back({"record", "report"});
      item.fields.push_back({"largest", report.largest});
      item.fields.push_back({"delay_us", report.delay_us});
      item.fields.push_back({"floor", report.floor});
      item.fields.push_back({"credit", report.credit});
      item.fields.push_back({"ranges", std::move(ranges)});
      return item;
    }
    case LanePacketType::kProbe:
      if (auto probe = decode_lane_probe(*body)) {
        item.fields.push_back({"record", "probe"});
        item.fields.push_back({"floor", probe->floor});
        return item;
      }
      break;
  }
  item.type = "malformed";
  item.fields.push_back({"why", "no such datagram of the lane"});
  return item;
}

// ---- tcp

Carriers::Stream& Carriers::stream_of(const StreamId& id) {
  auto at = streams_.find(id);
  if (at == streams_.end()) {
    if (streams_.size() >= kMaxStreams) {
      auto oldest = std::min_element(streams_.begin(), streams_.end(), [](auto& a, auto& b) {
        return a.second->age < b.second->age;
      });
      held_bytes_ -= oldest->second->held;
      streams_.erase(oldest);
    }
    at = streams_.emplace(id, std::make_unique<Stream>()).first;
  }
  at->second->age = ++age_;
  return *at->second;
}

void Carriers::give_up(Stream& stream) {
  stream.held = stream.at = 0;
  stream.bytes = Bytes();
  stream.waiting.clear();
  stream.lost = true;
}

void Carriers::take_segment(Stream& stream, const Packet& packet) {
  if ((packet.tcp_flags & kSyn) != 0) {
    std::uint64_t age = stream.age;
    stream = Stream{};
    stream.age = age;
    stream.started = true;
    stream.next = packet.tcp_sequence + 1;
    return;
  }
  if (!stream.started || stream.lost || packet.payload.empty()) return;
  if (packet.missing > 0) return give_up(stream);
  auto ahead = static_cast<std::int32_t>(packet.tcp_sequence - stream.next);
  ByteView payload = packet.payload;
  if (ahead < 0) {  // sent again, in part or in whole
    auto known = static_cast<std::size_t>(-static_cast<std::int64_t>(ahead));
    if (known >= payload.size()) return;
    payload = payload.subspan(known);
  }
  if (ahead > 0) {
    Bytes& place = stream.waiting[packet.tcp_sequence];
    if (payload.size() <= place.size()) return;
    stream.held += payload.size() - place.size();
    place.assign(payload.begin(), payload.end());
  } else {
    stream.bytes.insert(stream.bytes.end(), payload.begin(), payload.end());
    stream.next += static_cast<std::uint32_t>(payload.size());
    stream.held += payload.size();
    // By the distance from what is in order: sequence numbers wrap.
    for (bool found = true; found;) {
      found = false;
      for (auto at = stream.waiting.begin(); at != stream.waiting.end(); ++at) {
        auto gap = static_cast<std::int32_t>(at->first - stream.next);
        if (gap > 0) continue;
        auto known = static_cast<std::size_t>(-static_cast<std::int64_t>(gap));
        stream.held -= at->second.size();
        if (known < at->second.size()) {
          stream.bytes.insert(stream.bytes.end(),
                              at->second.begin() + static_cast<std::ptrdiff_t>(known),
                              at->second.end());
          stream.next += static_cast<std::uint32_t>(at->second.size() - known);
          stream.held += at->second.size() - known;
        }
        stream.waiting.erase(at);
        found = true;
        break;
      }
    }
  }
}

void Carriers::on_tcp(const Packet& packet, const Item& blank, std::vector<Item>& out) {
  std::size_t before = out.size();
  Stream& stream = stream_of({packet.src, packet.dst});
  std::size_t others = held_bytes_ - stream.held;
  take_segment(stream, packet);
  if (stream.held > kMaxHeldOfStream || others + stream.held > kMaxHeldBytes) give_up(stream);
  read_stream(stream, blank, out);
  held_bytes_ = others + stream.held;
  if (out.size() != before) return;
  Item item = blank;
  item.type = "tcp";
  item.fields = segment_fields(packet);
  out.push_back(std::move(item));
}

void Carriers::read_stream(Stream& stream, const Item& blank, std::vector<Item>& out) {
  if (stream.lost || (!stream.sealer && !read_opening(stream, blank, out))) return;
  while (!stream.lost && read_record(stream, blank, out)) {
  }
  stream.bytes.erase(stream.bytes.begin(),
                     stream.bytes.begin() + static_cast<std::ptrdiff_t>(stream.at));
  stream.at = 0;
}

bool Carriers::read_opening(Stream& stream, const Item& blank, std::vector<Item>& out) {
  if (stream.unread().size() < TcpConnection::kPreambleBytes) return false;
  auto id = TcpConnection::opening_id(stream.unread());
  auto known = id ? tcp_ids_.find(*id) : tcp_ids_.end();
  if (known == tcp_ids_.end()) {
    give_up(stream);
    return false;
  }
  CarrierPeer reader;
  reader.theirs = known->second.id;
  reader.keys = known->second.keys;
  reader.initiator = !known->second.initiator;
  stream.sealer = std::make_unique<TcpSealer>(reader);
  ByteReader in(stream.unread().subspan(12));
  stream.number = in.u64();
  stream.read(TcpConnection::kPreambleBytes);
  Item item = blank;
  item.type = "tcp";
  item.fields = {{"record", "opening"}, {"id", to_hex(*id)}, {"start", stream.number}};
  out.push_back(std::move(item));
  return true;
}

bool Carriers::read_record(Stream& stream, const Item& blank, std::vector<Item>& out) {
  ByteView unread = stream.unread();
  if (unread.size() < 2) return false;
  std::size_t size = static_cast<std::size_t>(unread[0] << 8 | unread[1]);
  bool possible = size > 0 && size <= kMaxTcpPlain;
  if (possible && unread.size() < size + kTcpRecordOverhead) return false;
  Item item = blank;
  item.type = "tcp";
  Bytes plain(size);
  auto opens = [&](TcpSealed kind) {
    return stream.sealer->open(kind, stream.number, unread.subspan(2, size + kTag), plain);
  };
  if (!possible || !(stream.left > 0 ? opens(TcpSealed::kChunk)
                                     : opens(TcpSealed::kControl) || opens(TcpSealed::kHello))) {
    item.type = "malformed";
    item.fields = {{"why", "a record of tcp that does not open"}, {"number", stream.number}};
    out.push_back(std::move(item));
    give_up(stream);
    return false;
  }
  ++stream.number;
  stream.read(size + kTcpRecordOverhead);
  if (stream.left > 0) {
    item.type = "chunk";
    item.fields = {{"transfer", stream.transfer},
                   {"number", stream.chunk++},
                   {"size", plain.size()},
                   {"carrier", "tcp"}};
    stream.left -= std::min(stream.left, plain.size());
    out.push_back(std::move(item));
    return true;
  }
  ByteReader in(plain);
  switch (static_cast<TcpRecord>(in.u8())) {
    case TcpRecord::kHello:
      item.fields = {{"record", "hello"}, {"credit", in.u64()}};
      break;
    case TcpRecord::kReport: {
      std::uint64_t delivered = in.u64();
      item.fields = {{"record", "report"}, {"delivered", delivered}, {"credit", in.u64()}};
      break;
    }
    case TcpRecord::kBlock:
      stream.transfer = in.u32();
      stream.chunk = in.u64();
      stream.left = in.u32();
      item.fields = {{"record", "block"},
                     {"transfer", stream.transfer},
                     {"number", stream.chunk},
                     {"size", stream.left}};
      break;
    default:
      item.fields = {{"record", "unknown"}};
      break;
  }
  if (!in.finished()) {
    item.type = "malformed";
    item.fields = {{"why", "no such record of tcp"}, {"bytes", plain.size()}};
  }
  out.push_back(std::move(item));
  return true;
}

void Carriers::finish() {
  streams_.clear();
  held_bytes_ = 0;
}

}  // namespace lansync::sniff
