#include "transport/content_decode.h"

#include <array>
#include <cstring>
#include <span>

#include "transport/message_readers.h"

namespace lansync::wire {
namespace {

constexpr NameTable<2> kItemsNames = {"type", "items"};

constexpr NameTable<4> kHoleNames = {"type", "transfer", "begin", "end"};

Message read_hole(Fields& in, Fault& fault) {
  Hole m{in.number<std::uint32_t>(1), in.number<std::uint64_t>(2), in.number<std::uint64_t>(3)};
  if (m.begin >= m.end) fault.set("a hole that is empty");
  return m;
}

constexpr NameTable<5> kRequestNames = {"transfer", "hash", "name", "size", "ranges"};

void read_ranges(std::span<const Object> list, std::uint64_t size, std::vector<WireRange>& out,
                 Fault& fault) {
  out.reserve(list.size());
  std::uint64_t end = 0;
  for (const Object& object : list) {
    auto pair = read_pair(object);
    // Rising and apart: otherwise 1024 ranges could ask for the same gigabyte 1024 times.
    if (!pair || pair->first >= pair->second || pair->first < end || pair->second > size)
      return fault.set("ranges that are not rising, apart and within the size");
    end = pair->second;
    out.push_back({pair->first, pair->second});
  }
}

constexpr NameTable<3> kRequestMessageNames = {"type", "items", "carrier"};

Message read_request(Fields& message, Fault& fault) {
  Request m;
  std::span<const Object> list = message.list(1, kMaxEntriesPerMessage);
  m.items.reserve(list.size());
  for (const Object& object : list) {
    Fields in(object, kRequestNames, fault);
    if (fault.any) break;
    RequestItem& item = m.items.emplace_back();
    item.transfer = in.number<std::uint32_t>(0);
    item.hash = in.id<ContentId>(1);
    item.name = in.path(2, true);
    item.size = in.number(3, kMaxFileSize);
    read_ranges(in.list(4, kMaxRanges), item.size, item.ranges, fault);
  }
  if (message.has(2)) {
    m.carrier = static_cast<CarrierChoice>(message.number<std::uint8_t>(2, 3));
    // One form for one message: "auto" is said by silence.
    if (m.carrier == CarrierChoice::kAuto) fault.set("a carrier that is not one");
  }
  return m;
}

constexpr NameTable<3> kDownloadNames = {"transfer", "name", "size"};

Message read_download(Fields& message, Fault& fault) {
  Download m;
  std::span<const Object> list = message.list(1, kMaxEntriesPerMessage);
  m.items.reserve(list.size());
  for (const Object& object : list) {
    Fields in(object, kDownloadNames, fault);
    if (fault.any) break;
    DownloadItem& item = m.items.emplace_back();
    item.transfer = in.number<std::uint32_t>(0);
    item.name = in.path(1, true);
    item.size = in.number(2, kMaxFileSize);
  }
  return m;
}

constexpr NameTable<5> kCarrierNames = {"type", "kind", "answer", "port", "id"};

Message read_carrier(Fields& in, Fault& fault) {
  Carrier m;
  const auto kind = in.number<std::uint8_t>(1, 2);
  if (kind == 0) fault.set("a carrier that is not one");
  m.tcp = kind == 2;
  m.answer = in.flag(2);
  m.port = in.number<std::uint16_t>(3);
  m.id = in.id<BootId>(4).bytes;  // 8 bytes
  return m;
}

constexpr NameTable<2> kWhereNames = {"type", "hashes"};

Message read_where(Fields& in, Fault& fault) {
  Where m;
  for (const Object& object : in.list(1, kMaxWhere)) {
    ContentId& hash = m.hashes.emplace_back();
    if (object.type != msgpack::type::BIN || object.via.bin.size != hash.bytes.size()) {
      fault.set("a hash that is not one");
      break;
    }
    std::memcpy(hash.bytes.data(), object.via.bin.ptr, hash.bytes.size());
  }
  return m;
}

constexpr NameTable<4> kHolderNames = {"hash", "whole", "ranges", "nodes"};

bool read_holder(const Object& object, HolderRow& row) {
  if (object.type != msgpack::type::ARRAY || object.via.array.size != 4) return false;
  const Object* value = object.via.array.ptr;
  auto number = [](const Object& from, std::uint64_t max) {
    return from.type == msgpack::type::POSITIVE_INTEGER && from.via.u64 <= max;
  };
  if (value[0].type != msgpack::type::BIN || value[0].via.bin.size != row.node.bytes.size() ||
      !number(value[1], 0xFFFFFFFF) || !number(value[2], 0xFFFF) || !number(value[3], 1))
    return false;
  std::memcpy(row.node.bytes.data(), value[0].via.bin.ptr, row.node.bytes.size());
  row.address.ip = static_cast<std::uint32_t>(value[1].via.u64);
  row.address.port = static_cast<std::uint16_t>(value[2].via.u64);
  row.part = value[3].via.u64 == 1;
  return true;
}

Message read_holders(Fields& message, Fault& fault) {
  Holders m;
  for (const Object& object : message.list(1, kMaxWhere)) {
    Fields in(object, kHolderNames, fault);
    if (fault.any) break;
    HolderItem& item = m.items.emplace_back();
    item.hash = in.id<ContentId>(0);
    item.whole = in.flag(1);
    read_ranges(in.list(2, kMaxPartRanges), kMaxFileSize, item.ranges, fault);
    for (const Object& row : in.list(3, kMaxHolders)) {
      if (!read_holder(row, item.nodes.emplace_back())) {
        fault.set("a holder that is not one");
        break;
      }
    }
  }
  return m;
}

constexpr NameTable<6> kComingNames = {"name", "hash", "size", "over", "part", "parts"};

Message read_coming(Fields& message, Fault& fault) {
  Coming m;
  for (const Object& object : message.list(1, kMaxComing)) {
    Fields in(object, kComingNames, fault);
    if (fault.any) break;
    ComingItem& item = m.items.emplace_back();
    item.name = in.path(0);
    item.hash = in.id<ContentId>(1);
    item.size = in.number(2, kMaxFileSize);
    item.over = in.flag(3);
    item.part = in.number<std::uint16_t>(4);
    item.parts = in.number<std::uint16_t>(5);
    if (item.part >= item.parts) fault.set("a part that is none of the parts");
  }
  return m;
}

constexpr Reader kReaders[] = {
    {"request", kRequestMessageNames, read_request},
    {"download", kItemsNames, read_download},
    {"hole", kHoleNames, read_hole},
    {"carrier", kCarrierNames, read_carrier},
    {"where", kWhereNames, read_where},
    {"holders", kItemsNames, read_holders},
    {"coming", kItemsNames, read_coming},
};

}  // namespace

std::optional<Message> read_content_message(std::string_view type, const Object& object,
                                            Fault& fault) {
  return read_by_table(kReaders, type, object, fault);
}

}  // namespace lansync::wire
