#include "sim/hostile_messages.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/rel_path.h"
#include "support/raw_message.h"
#include "sync/settlement.h"

namespace lansync::sim {
namespace {

constexpr std::uint64_t kOne = 1;
constexpr std::array<std::uint64_t, 17> kNumbers = {0,
                                                    1,
                                                    2,
                                                    1000,
                                                    (kOne << 31) - 1,
                                                    kOne << 31,
                                                    (kOne << 32) - 1,
                                                    kOne << 32,
                                                    (kOne << 61),
                                                    (kOne << 62) - 1,
                                                    kOne << 62,
                                                    (kOne << 62) + 1,
                                                    (kOne << 63) - 1,
                                                    kOne << 63,
                                                    (kOne << 63) + 1,
                                                    ~std::uint64_t{0} - 1,
                                                    ~std::uint64_t{0}};

std::string repeated(std::size_t times, const std::string& what) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += what;
  return out;
}

}  // namespace

// ---- numbers and names -------------------------------------------------------------------------

std::uint64_t HostileMessages::number() {
  if (random_.chance(1, 3)) return random_.below(64);
  return kNumbers[static_cast<std::size_t>(random_.below(kNumbers.size()))];
}

std::uint64_t HostileMessages::number_below(std::uint64_t limit) {
  const std::uint64_t drawn = number();
  if (drawn < limit) return drawn;
  return flip() ? limit - 1 : limit - 1 - std::min(limit - 1, drawn % 4);
}

std::int64_t HostileMessages::signed_number() { return static_cast<std::int64_t>(number()); }

NodeId HostileMessages::node() {
  if (aims_.nodes.empty() || random_.chance(1, 4)) return random_.id<NodeId>();
  if (random_.chance(1, 8)) return NodeId{};
  return aims_.nodes[static_cast<std::size_t>(random_.below(aims_.nodes.size()))];
}

ContentId HostileMessages::content() {
  if (aims_.contents.empty() || random_.chance(1, 4)) return random_.id<ContentId>();
  if (random_.chance(1, 16)) return ContentId{};
  return aims_.contents[static_cast<std::size_t>(random_.below(aims_.contents.size()))];
}

std::string HostileMessages::text(std::size_t max_bytes) {
  if (random_.chance(1, 4)) return std::string(max_bytes, 'x');
  return std::string(static_cast<std::size_t>(random_.below(std::min<std::size_t>(max_bytes, 20))),
                     'y');
}

std::string HostileMessages::path() {
  if (!aims_.names.empty() && random_.chance(1, 2)) {
    std::string known = aims_.names[static_cast<std::size_t>(random_.below(aims_.names.size()))];
    if (random_.chance(1, 4)) known += "/below";
    if (broken_path_rule(known) == nullptr) return known;
  }
  switch (random_.below(10)) {
    case 0:
      return std::string(kMaxPartBytes, 'n');
    case 1:
      return repeated(kMaxPathDepth - 1, "d/") + "d";
    case 2:
      return repeated(15, std::string(255, 'p') + "/") + std::string(255, 'q');  // 4095 bytes
    case 3:
      return "f (conflict mallory 2026-11-21 12.30.05).txt";
    case 4:
      return "f (conflict " + std::string(220, 'h') + " 2026-11-21 12.30.05)";
    case 5:
      return ".lansyncignore";
    case 6:
      return "\xC3\xA9";
    default:
      break;
  }
  const std::string folders = repeated(random_.below(3), "d/");
  return folders + "m" + std::to_string(random_.below(8));
}

Address HostileMessages::address() {
  // Nobody who is not in this world: dials to it come to nothing.
  return {static_cast<std::uint32_t>(0x0a000001 + random_.below(250)), u16()};
}

// ---- entries -----------------------------------------------------------------------------------

std::vector<VersionVector::Part> HostileMessages::parts() {
  std::vector<VersionVector::Part> out;
  auto add = [&](ShortId id) { out.push_back({id, 1 + number_below(kCountLimit - 1)}); };
  for (std::uint64_t i = 1 + random_.below(3); i > 0; --i) {
    const ShortId id = short_id(node());
    add(flip() ? id : settling_id(id));
  }
  if (random_.chance(1, 4)) {
    // Of what the victim has at some path, and beyond.
    if (!aims_.entries.empty()) {
      const auto& known =
          aims_.entries[static_cast<std::size_t>(random_.below(aims_.entries.size()))].second;
      for (const VersionVector::Part& part : known->version.parts()) out.push_back(part);
    }
  }
  if (random_.chance(1, 12)) {
    const std::size_t wanted = static_cast<std::size_t>(480 + random_.below(33));
    for (ShortId id = 1; out.size() < wanted; ++id) out.push_back({id << 20, 1});
  }
  const VersionVector vector(std::move(out));
  return vector.parts();
}

EntryPtr HostileMessages::entry() {
  Entry made;
  const auto kinds = static_cast<std::uint64_t>(EntryKind::kTombstone);
  made.kind = static_cast<EntryKind>(1 + random_.below(kinds));
  if (!aims_.entries.empty() && random_.chance(1, 3)) {
    made = *aims_.entries[static_cast<std::size_t>(random_.below(aims_.entries.size()))].second;
  } else if (made.is_file()) {
    made.size = number_below(kMaxFileSize + 1);
    made.mtime_ns = signed_number();
    made.content = content();
    made.md5 = random_.id<Md5>();
  } else if (made.is_symlink()) {
    made.target = flip() ? std::string(kMaxPathBytes, 't') : "../../etc/passwd";
    made.content = content();
  } else if (made.is_tombstone()) {
    made.was = static_cast<EntryKind>(1 + random_.below(kinds));
    made.run = number();
  }
  made.mode = made.is_symlink() ? 0777 : made.is_tombstone() ? 0 : (flip() ? 0777 : 0);
  made.version = VersionVector(parts());
  for (Edit* edit : {&made.edits.content, &made.edits.mode, &made.edits.mtime}) {
    const auto& all = made.version.parts();
    if (all.empty() || flip()) continue;
    const VersionVector::Part& part = all[static_cast<std::size_t>(random_.below(all.size()))];
    *edit = {part.id, part.count};
  }
  made.author = number();
  made.author_name = text(kMaxNodeName);
  made.edited.ns = signed_number();
  return std::make_shared<const Entry>(std::move(made));
}

std::vector<NamedEntry> HostileMessages::entries() {
  std::vector<NamedEntry> out(static_cast<std::size_t>(random_.below(5)));
  for (NamedEntry& one : out) one = {path(), entry()};
  return out;
}

std::vector<WireRange> HostileMessages::ranges(std::uint64_t size, std::size_t max_size) {
  std::vector<WireRange> out;
  std::uint64_t at = 0;
  const std::size_t wanted = flip() ? 1 : random_.chance(1, 8) ? max_size : 3;
  while (out.size() < wanted && at < size) {
    std::uint64_t begin = at + number_below(std::min<std::uint64_t>(size - at, 4000)) / 1000 * 1000;
    std::uint64_t end = size;
    if (!random_.chance(1, 4)) {
      end = begin + 1000 * (1 + random_.below(300));
      if (!flip()) --end;
    }
    end = std::min(end, size);
    if (begin >= end) break;
    out.push_back({begin, end});
    at = end;
  }
  return out;
}

// ---- messages ----------------------------------------------------------------------------------

void HostileMessages::fill(Hello& m) {
  m.answer = flip();
  m.name = text(kMaxNodeName);
  m.program = text(kMaxNodeName);
  m.role = static_cast<Role>(random_.below(4));
  m.manual = static_cast<ManualRole>(random_.below(4));
  m.full_replica = flip();
  m.has_data = flip();
  m.disk_log2 = static_cast<std::uint8_t>(random_.below(64));
  m.term = number();
  m.sync_term = number();
  m.seq = number_below(kMaxSeq);
  m.members = u32();
  m.port = u16();
  m.hub = node();
  m.hub_term = number();
  m.in_sync = flip();
  m.full = flip();
  m.hub_live = flip();
  if (random_.chance(1, 4)) m.beacon_key = random_.id<BeaconKey>();
  m.runs.resize(random_.chance(1, 8) ? kMaxRuns : static_cast<std::size_t>(random_.below(3)));
  for (Run& run : m.runs) run = {number(), random_.id<StartId>(), random_.id<StartId>()};
}

void HostileMessages::fill(Claim& m) {
  m.term = number();
  m.members = u32();
}

void HostileMessages::fill(Roster& m) {
  m.term = number();
  m.number = u32();
  m.rows.resize(random_.chance(1, 16) ? kMaxRoster : static_cast<std::size_t>(random_.below(5)));
  for (RosterRow& row : m.rows) {
    row = {node(), random_.id<BootId>(), text(kMaxNodeName), address(),
           static_cast<Role>(random_.below(4))};
  }
}

void HostileMessages::fill(Bye& m) {
  m.reason = flip() ? text(kMaxReasonBytes) : "clone";
  m.successor = node();
}

void HostileMessages::fill(Clone& m) { m.live = flip(); }

void HostileMessages::fill(RunsKnown& m) {
  m.words.resize(random_.chance(1, 8) ? kMaxRunsKnown : static_cast<std::size_t>(random_.below(4)));
  for (std::uint64_t& word : m.words) word = number();
}

void HostileMessages::fill(RunWord& m) {
  m.record.word = flip() ? RunDecision::kConfirmed : RunDecision::kRejected;
  m.record.run = number();
  m.record.number = number();
  m.record.digest = content();
  m.record.time.ns = signed_number();
  m.record.key = random_.id<PublicKey>();
  m.record.signature = random_.id<Signature>();
  m.offset = number();
  m.leaves.resize(random_.chance(1, 8) ? kMaxRunLeafBytes : 16 * random_.below(4));
}

void HostileMessages::fill(Ping& m) {
  m.seq = number_below(kMaxSeq);
  if (flip()) return;
  m.heard = number_below(kMaxSeq);
  m.files = number();
  m.bytes = number();
  m.obstacle = static_cast<Obstacle>(number_below(kLastObstacle + 1));
}

void HostileMessages::fill(HubHeard& m) {
  m.node = node();
  m.address = address();
}

void HostileMessages::fill(Mark& m) {
  m.token = number();
  m.answer = flip();
  m.all = flip();
  if (flip()) return;
  m.behind = node();
  m.files = number();
  m.bytes = number();
  m.obstacle = static_cast<Obstacle>(number_below(kLastObstacle + 1));
}

void HostileMessages::fill(Holds& m) {
  m.token = number();
  m.answer = flip();
  m.hashes.resize(random_.chance(1, 8) ? kMaxEntriesPerMessage : 2);
  for (ContentId& hash : m.hashes) hash = content();
}

void HostileMessages::fill(IndexGet& m) {
  m.bucket_count = 1u << random_.below(13);
  m.digests.resize(16 * std::size_t{m.bucket_count});
  if (flip()) random_.fill(m.digests);
  m.count_high = number();
  m.round = u32();
}

void HostileMessages::fill(Update& m) {
  m.term = number();
  m.seq = number_below(kMaxSeq);
  m.snapshot = random_.chance(1, 4);
  m.round = flip() ? aims_.round : u32();
  m.last = flip();
  m.count_seen = number();
  if (m.snapshot) {
    for (std::uint64_t i = random_.below(4); i > 0; --i)
      m.buckets.push_back(
          static_cast<std::uint32_t>(random_.below(flip() ? aims_.buckets : kMaxDigestBuckets)));
  }
  m.entries = entries();
}

void HostileMessages::fill(Push& m) {
  for (NamedEntry& one : entries()) {
    PushItem& item = m.items.emplace_back();
    item.name = std::move(one.name);
    item.entry = std::move(one.entry);
  }
}

void HostileMessages::fill(Verdict& m) {
  m.kind = static_cast<VerdictKind>(random_.below(4));
  for (NamedEntry& one : entries()) {
    VerdictItem& item = m.items.emplace_back();
    item.name = std::move(one.name);
    if (flip()) item.entry = std::move(one.entry);
    if (flip()) item.detail = m.kind == VerdictKind::kConflict ? path() : text(kMaxReasonBytes);
  }
}

void HostileMessages::fill(Request& m) {
  m.items.resize(static_cast<std::size_t>(random_.below(4)));
  for (RequestItem& item : m.items) {
    item.transfer = u32();
    item.hash = content();
    item.name = path_or_none();
    item.size = number_below(kMaxFileSize + 1);
    if (!aims_.entries.empty() && flip()) {
      const auto& [name, known] =
          aims_.entries[static_cast<std::size_t>(random_.below(aims_.entries.size()))];
      item.hash = known->content;
      item.name = name;
      item.size = known->size;
    }
    item.ranges = ranges(item.size, kMaxRanges);
  }
  m.carrier = static_cast<CarrierChoice>(random_.below(4));
}

void HostileMessages::fill(Download& m) {
  m.items.resize(static_cast<std::size_t>(random_.below(4)));
  for (DownloadItem& item : m.items) {
    item = {u32(), path_or_none(), number_below(kMaxFileSize + 1)};
    if (!aims_.transfers.empty())
      item.transfer =
          aims_.transfers[static_cast<std::size_t>(random_.below(aims_.transfers.size()))];
  }
}

void HostileMessages::fill(Hole& m) {
  m.transfer = u32();
  if (!aims_.transfers.empty())
    m.transfer = aims_.transfers[static_cast<std::size_t>(random_.below(aims_.transfers.size()))];
  m.begin = number_below(~std::uint64_t{0});
  m.end = std::max(m.begin + 1, number());
}

void HostileMessages::fill(Done& m) {
  m.transfers.resize(static_cast<std::size_t>(random_.below(4)));
  for (TransferEnd& end : m.transfers) {
    end = {u32(), flip(), random_.id<Md5>(), flip() ? "changed" : text(kMaxReasonBytes)};
    if (!aims_.transfers.empty())
      end.transfer =
          aims_.transfers[static_cast<std::size_t>(random_.below(aims_.transfers.size()))];
  }
  m.published = entries();
}

void HostileMessages::fill(Carrier& m) {
  m.tcp = flip();
  m.answer = flip();
  m.port = u16();
  random_.fill(m.id);
}

void HostileMessages::fill(Where& m) {
  m.hashes.resize(static_cast<std::size_t>(random_.below(kMaxWhere + 1)));
  for (ContentId& hash : m.hashes) hash = content();
}

void HostileMessages::fill(Holders& m) {
  m.items.resize(static_cast<std::size_t>(random_.below(4)));
  for (HolderItem& item : m.items) {
    item.hash = content();
    item.whole = flip();
    item.ranges = ranges(number_below(kMaxFileSize) + 1, kMaxPartRanges);
    item.nodes.resize(static_cast<std::size_t>(random_.below(kMaxHolders + 1)));
    for (HolderRow& row : item.nodes) row = {node(), address(), flip()};
  }
}

void HostileMessages::fill(Coming& m) {
  m.items.resize(random_.chance(1, 8) ? kMaxComing : static_cast<std::size_t>(random_.below(3)));
  for (ComingItem& item : m.items) {
    item.name = path();
    item.hash = content();
    item.size = number_below(kMaxFileSize + 1);
    item.over = random_.chance(1, 4);
    item.parts = static_cast<std::uint16_t>(1 + number_below(0xFFFF));
    item.part = static_cast<std::uint16_t>(random_.below(item.parts));
  }
}

void HostileMessages::fill(IndexQuery& m) {
  m.id = u32();
  m.directories = flip();
  if (flip()) m.from = signed_number();
  if (flip()) m.to = signed_number();
  if (flip()) m.pattern = flip() ? "(a*)*b" : text(kMaxPattern);
  m.after = path_or_none();
}

void HostileMessages::fill(IndexPage& m) {
  m.id = u32();
  m.rows.resize(static_cast<std::size_t>(random_.below(4)));
  for (FileRow& row : m.rows)
    row = {path(), number_below(kMaxFileSize + 1), signed_number(), text(kMaxTypeBytes)};
  m.next = path_or_none();
  m.last = flip();
}

void HostileMessages::fill(FileHash& m) {
  m.id = u32();
  m.name = path_or_none();
  m.after = path_or_none();
  m.repair = flip();
}

void HostileMessages::fill(FileHashes& m) {
  m.id = u32();
  m.rows.resize(static_cast<std::size_t>(random_.below(4)));
  for (HashRow& row : m.rows)
    row = {path(),
           number_below(kMaxFileSize + 1),
           signed_number(),
           random_.id<Md5>(),
           static_cast<HashState>(random_.below(6)),
           text(kMaxReasonBytes)};
  m.next = path_or_none();
  m.last = flip();
}

void HostileMessages::fill(Search& m) {
  m.id = u32();
  m.regex = flip();
  m.name = m.regex ? text(kMaxPattern) : path();
  m.after = path_or_none();
  m.after_node = node();
}

void HostileMessages::fill(Found& m) {
  m.id = u32();
  m.records.resize(static_cast<std::size_t>(random_.below(4)));
  for (FoundRecord& record : m.records)
    record = {
        path(), text(kMaxTypeBytes), number_below(kMaxFileSize + 1), signed_number(), address(),
        node(), text(kMaxNodeName)};
  m.next = path_or_none();
  m.next_node = node();
  m.last = flip();
}

void HostileMessages::fill(NotFound& m) { m.id = u32(); }
void HostileMessages::fill(Working& m) { m.id = u32(); }
void HostileMessages::fill(Cancel& m) { m.id = u32(); }

void HostileMessages::fill(Failed& m) {
  m.id = u32();
  m.reason = text(kMaxReasonBytes);
}

void HostileMessages::fill(FileUpload& m) {
  m.id = u32();
  m.name = "upload" + std::to_string(random_.below(4));
  m.size = number_below(kMaxFileSize + 1);
  m.mtime_ns = signed_number();
  m.mode = 0777;
  m.hash = content();
  m.md5 = random_.id<Md5>();
}

void HostileMessages::fill(FileUploadAllow& m) {
  m.id = u32();
  m.done = flip();
  m.name = path_or_none();
}

void HostileMessages::fill(FileUploadDeny& m) {
  m.id = u32();
  m.reason = text(kMaxReasonBytes);
}

void HostileMessages::fill(FileDownloaded& m) {
  m.name = path();
  m.result = text(kMaxReasonBytes);
}

void HostileMessages::fill(TrashGet& m) {
  m.token = number();
  m.path = path_or_none();
  m.all = flip();
}

void HostileMessages::fill(TrashRows& m) {
  m.token = number();
  m.rows.resize(static_cast<std::size_t>(random_.below(4)));
  for (FoundTrash& row : m.rows)
    row = {"2026-11-21_12.00.00-1/" + path(), path(), signed_number(),
           number_below(kMaxFileSize + 1), node()};
  for (FoundTrash& row : m.rows) row.name.resize(std::min(row.name.size(), kMaxTrashName));
  m.error = text(kMaxReasonBytes);
  m.last = flip();
}

void HostileMessages::fill(RestoreTrash& m) {
  m.token = number();
  m.node = node();
  m.names.resize(static_cast<std::size_t>(random_.below(4)));
  for (std::string& name : m.names)
    name = "2026-11-21_12.00.00-1/" + std::to_string(random_.below(3));
}

// ---- drawing -----------------------------------------------------------------------------------

template <std::size_t I>
Message HostileMessages::make(std::size_t index) {
  if constexpr (I + 1 < kTypes) {
    if (index != I) return make<I + 1>(index);
  }
  std::variant_alternative_t<I, AnyMessage> message{};
  fill(message);
  return message;
}

Message HostileMessages::of_type(std::size_t index) { return make<0>(index); }

Bytes HostileMessages::any_bytes() {
  const Message message = any();
  if (!random_.chance(1, 8)) return encode_message(message);
  RawValue raw = raw_of(message);
  std::vector<RawValue*> values;
  each_value(raw, [&](RawValue& value) { values.push_back(&value); });
  RawValue& value = *values[static_cast<std::size_t>(random_.below(values.size()))];
  switch (random_.below(4)) {
    case 0:
      value = RawValue::of(number());
      break;
    case 1:
      if (value.keys.empty() && !value.list.empty())
        while (value.list.size() < 513) value.list.push_back(RawValue(value.list.front()));
      break;
    case 2:
      if (!value.keys.empty()) {
        value.keys.pop_back();
        value.list.pop_back();
      }
      break;
    default:
      set_vectors(raw, {{1, 1 + number()}, {2 + number(), number()}});
  }
  return bytes_of(raw);
}

}  // namespace lansync::sim
