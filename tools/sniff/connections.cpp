#include "sniff/connections.h"

#include <xxhash.h>

#include <algorithm>

#include "base/log.h"
#include "sniff/describe.h"
#include "transport/message.h"

namespace lansync::sniff {

struct Connections::Side {
  std::array<ReliableStream, kChannelCount> streams;
  // The next record's number and how many more than that it may be.
  std::array<std::uint64_t, kChannelCount> counters{};
  std::array<std::uint64_t, kChannelCount> uncertain{};
  std::array<std::uint32_t, kChannelCount> failures{};
  std::optional<HandshakeRandom> random;
  bool confirmed = false;  // M3 or M4 was sent, or must have been
  bool gap = false;        // something on channel 0 is missing
  std::optional<Sealer> opener;
};

struct Connections::Connection {
  Address address[2];  // of who dialled, and of who was dialled
  std::uint16_t peer[2] = {enet_wire::kNoPeer, enet_wire::kNoPeer};  // what packets to each carry
  std::uint32_t id = 0;
  std::uint64_t age = 0;
  Side sides[2];
};

struct Connections::Walk {
  const EnetDatagram& datagram;
  enet_wire::Header header;
  std::optional<Found> found;
  std::vector<Item>& out;
  List commands;
  bool resent = false;
  bool foreign_data = false;  // of a connection whose start was not seen
  std::string fault;
};

namespace {

// As enet_tuning.cpp makes it: the connection's id stands in for the checksum while it is made.
bool checksum_holds(ByteView datagram, const enet_wire::Header& header, std::uint32_t id) {
  const std::size_t at = datagram.size() - header.commands.size() - 4;
  Bytes copy(datagram.begin(), datagram.end());
  for (std::size_t i = 0; i < 4; ++i) copy[at + i] = static_cast<std::uint8_t>(id >> (24 - 8 * i));
  const std::uint64_t hash = XXH3_64bits(copy.data(), copy.size());
  for (std::size_t i = 0; i < 4; ++i)
    if (datagram[at + i] != static_cast<std::uint8_t>(hash >> (8 * i))) return false;
  return true;
}

std::string id_text(std::uint32_t id) {
  ByteWriter out;
  out.u32(id);
  return to_hex(out.bytes());
}

}  // namespace

Connections::~Connections() = default;

std::optional<Connections::Found> Connections::find(const End& end) const {
  auto at = ends_.find(end);
  return at == ends_.end() ? std::nullopt : std::optional(at->second);
}

void Connections::on_datagram(const EnetDatagram& datagram, std::vector<Item>& out) {
  const std::size_t before = out.size();
  Item item{datagram.time, datagram.src, datagram.dst, "enet", {}};
  auto header = enet_wire::parse_header(datagram.bytes, true);
  if (!header || header->compressed || header->commands.empty()) {
    const bool cut = datagram.missing > 0;
    item.type = cut ? "malformed" : "unknown";
    item.fields = {{"why", cut ? "cut by the capture" : "not a packet of lansync's"},
                   {"bytes", datagram.bytes.size()}};
    out.push_back(std::move(item));
    return;
  }
  Walk walk{datagram, *header, find({datagram.src, datagram.dst, header->peer}), out, {}, false,
            false,    {}};
  // A slot is used again: what is left over from the connection before is not this one's.
  if (walk.found && datagram.missing == 0 &&
      !checksum_holds(datagram.bytes, *header, walk.found->connection->id))
    walk.found.reset();
  ByteView rest = header->commands;
  for (int count = 0; !rest.empty() && walk.fault.empty(); ++count) {
    auto command = enet_wire::next_command(rest);
    if (!command) {
      if (datagram.missing == 0) walk.fault = str("no command after ", count, " of them");
      break;
    }
    if (count == enet_wire::kMaxCommands) {
      walk.fault = "too many commands";
    } else {
      on_command(walk, *command);
    }
  }
  if (!walk.fault.empty()) {
    const bool known = walk.found.has_value() || !walk.commands.empty();
    item.type = known ? "malformed" : "unknown";
    item.fields.push_back({"why", walk.fault});
  } else if (out.size() != before) {
    return;
  } else if (walk.foreign_data) {
    item.type = "sealed";
    item.fields.push_back({"why", "the session's start was not seen"});
  }
  if (walk.found) item.fields.push_back({"connection", id_text(walk.found->connection->id)});
  if (walk.resent) item.fields.push_back({"resent", true});
  if (datagram.missing > 0) item.fields.push_back({"missing", datagram.missing});
  item.fields.push_back({"commands", std::move(walk.commands)});
  out.push_back(std::move(item));
}

void Connections::on_command(Walk& walk, const enet_wire::Command& command) {
  walk.commands.push_back(describe(command));
  switch (command.type) {
    case enet_wire::kConnect:
      on_connect(walk, command);
      break;
    case enet_wire::kVerifyConnect:
      on_verify(walk, command);
      break;
    case enet_wire::kAcknowledge:
      if (walk.found && command.channel < kChannelCount) {
        const int other = 1 - walk.found->side;
        ByteReader in(command.fields);
        walk.found->connection->sides[other].streams[command.channel].acknowledged(in.u16());
        take_ready(walk.datagram.time, *walk.found->connection, other, command.channel, walk.out);
      }
      break;
    case enet_wire::kSendReliable:
    case enet_wire::kSendFragment:
      on_data(walk, command);
      break;
    default:
      break;
  }
}

void Connections::on_connect(const Walk& walk, const enet_wire::Command& command) {
  if (walk.header.peer != enet_wire::kNoPeer) return;
  const auto fields = enet_wire::connect_fields(command);
  const End answer{walk.datagram.dst, walk.datagram.src, fields.outgoing_peer};
  if (auto at = pending_.find(answer); at != pending_.end()) {
    if (at->second->id == fields.connect_id) return;  // sent again
    pending_by_age_.erase(at->second->age);
    pending_.erase(at);
  }
  // Sent again after it was answered.
  if (auto known = find(answer); known && known->connection->id == fields.connect_id) return;
  if (pending_.size() >= kMaxPending) {
    pending_.erase(pending_by_age_.begin()->second);
    pending_by_age_.erase(pending_by_age_.begin());
  }
  auto connection = std::make_shared<Connection>();
  connection->address[0] = walk.datagram.src;
  connection->address[1] = walk.datagram.dst;
  connection->peer[0] = fields.outgoing_peer;
  connection->id = fields.connect_id;
  connection->age = next_age_++;
  pending_by_age_.emplace(connection->age, answer);
  pending_.emplace(answer, std::move(connection));
}

void Connections::on_verify(const Walk& walk, const enet_wire::Command& command) {
  const End end{walk.datagram.src, walk.datagram.dst, walk.header.peer};
  const auto fields = enet_wire::connect_fields(command);
  auto at = pending_.find(end);
  if (at == pending_.end() || at->second->id != fields.connect_id) return;
  auto connection = std::move(at->second);
  pending_by_age_.erase(connection->age);
  pending_.erase(at);
  if (by_age_.size() >= kMaxConnections) {
    auto oldest = by_age_.begin();
    std::erase_if(ends_,
                  [&](const auto& known) { return known.second.connection == oldest->second; });
    for (const Side& side : oldest->second->sides)
      for (const ReliableStream& stream : side.streams) held_bytes_ -= stream.held_bytes();
    by_age_.erase(oldest);
  }
  connection->peer[1] = fields.outgoing_peer;
  // The ones that had these slots before: they stay in by_age_ until they are the oldest.
  ends_.insert_or_assign(end, Found{connection, 1});
  ends_.insert_or_assign(End{walk.datagram.dst, walk.datagram.src, fields.outgoing_peer},
                         Found{connection, 0});
  by_age_.emplace(connection->age, std::move(connection));
}

void Connections::on_data(Walk& walk, const enet_wire::Command& command) {
  if (!walk.found) {
    walk.foreign_data = true;
    return;
  }
  if (command.channel >= kChannelCount) {
    walk.fault = str("channel ", command.channel);
    return;
  }
  Connection& connection = *walk.found->connection;
  ReliableStream& stream = connection.sides[walk.found->side].streams[command.channel];
  const std::size_t before = stream.held_bytes();
  const auto taken = stream.take(command);
  held_bytes_ += stream.held_bytes() - before;
  if (taken == ReliableStream::Taken::kRefused) walk.fault = "a fragment that cannot be one";
  if (taken == ReliableStream::Taken::kRepeated) walk.resent = true;
  take_ready(walk.datagram.time, connection, walk.found->side, command.channel, walk.out);
  if (held_bytes_ > kMaxHeldBytes) {
    held_bytes_ -= stream.held_bytes();
    stream.drop_held();
  }
}

void Connections::take_ready(WallTime time, Connection& connection, int side, std::uint8_t channel,
                             std::vector<Item>& out) {
  ReliableStream& stream = connection.sides[side].streams[channel];
  const std::size_t before = stream.held_bytes();
  while (auto record = stream.next()) {
    Item item = read_record(connection, side, channel, *record);
    item.time = time;
    item.src = connection.address[side];
    item.dst = connection.address[1 - side];
    item.fields.push_back({"channel", channel});
    item.fields.push_back({"connection", id_text(connection.id)});
    out.push_back(std::move(item));
  }
  held_bytes_ -= before - stream.held_bytes();
}

void Connections::finish(std::vector<Item>& out) {
  for (auto& [age, connection] : by_age_) {
    for (int side = 0; side < 2; ++side) {
      for (std::uint8_t channel = 0; channel < kChannelCount; ++channel) {
        connection->sides[side].streams[channel].finish();
        take_ready({}, *connection, side, channel, out);
      }
    }
  }
}

Item Connections::read_record(Connection& connection, int side, std::uint8_t channel,
                              const StreamRecord& record) {
  Item item;
  Side& from = connection.sides[side];
  from.uncertain[channel] += record.lost;
  if (record.lost != 0 && channel == 0) from.gap = true;
  if (record.broken) {
    ++from.uncertain[channel];
    item.type = "malformed";
    item.fields = {{"why", "fragments that do not fit together"}};
    return item;
  }
  if (channel == 0 && !from.confirmed && read_auth(connection, side, record, item)) return item;
  Bytes plain;
  if (!open(connection, side, channel, record, plain)) {
    item.type = "sealed";
    item.fields = {{"bytes", record.bytes.size()}};
    if (from.opener) item.fields.push_back({"why", "does not open"});
    return item;
  }
  if (channel == 0 && from.counters[0] == 1 && plain.size() == Signature::kSize) {
    item.type = "auth";
    item.fields = {{"message", "proof"}, {"signature", to_hex(plain)}};
    return item;
  }
  if (is_chunk(plain)) {
    if (auto chunk = decode_chunk(plain)) {
      item.type = "chunk";
      item.fields = {
          {"transfer", chunk->transfer}, {"number", chunk->number}, {"size", chunk->bytes.size()}};
    } else {
      item.type = "malformed";
      item.fields = {{"why", "no such chunk"}, {"bytes", plain.size()}};
    }
    return item;
  }
  std::string why;
  if (auto message = decode_message(plain, &why)) {
    item.type = message_type(*message);
    item.fields = describe(*message);
    if (const auto* carrier = std::get_if<Carrier>(&*message))
      if (const SessionKeys* keys =
              keylog_.find(*connection.sides[0].random, *connection.sides[1].random))
        carriers_.learn(*carrier, connection.address[side].ip, side == 0, *keys);
  } else {
    item.type = why.starts_with("unknown type ") ? "unknown" : "malformed";
    item.fields = {{"why", why}, {"bytes", plain.size()}};
  }
  return item;
}

// False: it is no handshake message, and since some are missing it may be a record.
bool Connections::read_auth(Connection& connection, int side, const StreamRecord& record,
                            Item& item) {
  Side& from = connection.sides[side];
  auto auth = parse_auth(record.bytes);
  const int hello = side + 1;
  if (!auth || (auth->number != hello && auth->number != hello + 2)) {
    if (from.gap || from.random) {
      from.confirmed = true;
      return false;
    }
    item.type = "malformed";
    item.fields = {{"why", "no handshake message"}, {"bytes", record.bytes.size()}};
    return true;
  }
  if (auth->number > 2) {
    from.confirmed = true;
    // Everything before the first record was seen for what it is.
    from.uncertain[0] = 0;
  } else if (!auth->refusal && !from.random) {
    from.random = auth->random;
  }
  item.type = "auth";
  item.fields = std::move(auth->fields);
  return true;
}

bool Connections::find_keys(Connection& connection) {
  auto& [a, b] = connection.sides;
  if (a.opener) return true;
  if (!a.random || !b.random) return false;
  const SessionKeys* keys = keylog_.find(*a.random, *b.random);
  if (keys == nullptr) return false;
  // Each opens what the other end of it would have sent.
  a.opener.emplace(*keys, false);
  b.opener.emplace(*keys, true);
  return true;
}

bool Connections::open(Connection& connection, int side, std::uint8_t channel,
                       const StreamRecord& record, Bytes& plain) {
  Side& from = connection.sides[side];
  if (!find_keys(connection) || from.failures[channel] > kMaxFailures) {
    // Its place in the order counts even so: the key may come with a later one.
    ++from.counters[channel];
    return false;
  }
  const std::uint64_t affordable = kTryBytes / (record.bytes.size() + 1) + 1;
  const std::uint64_t tries = std::min(from.uncertain[channel] + 1, affordable);
  for (std::uint64_t i = 0; i < tries; ++i) {
    const std::uint64_t counter = from.counters[channel] + i;
    if (!from.opener->open_at(static_cast<Channel>(channel), counter, record.bytes, plain))
      continue;
    from.counters[channel] = counter + 1;
    from.uncertain[channel] = 0;
    from.failures[channel] = 0;
    return true;
  }
  ++from.uncertain[channel];
  ++from.failures[channel];
  return false;
}

}  // namespace lansync::sniff
