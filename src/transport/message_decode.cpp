// Reading messages: bytes from a member that may be broken, old or hostile (reliability.md §5).
//
// msgpack checks a limit, then allocates, then looks at the elements; so the frame's size and the
// limits come first, and every value is taken out by hand. One object of 24 bytes for each byte of
// the frame is the worst case: 6 MiB for a moment.
#include <array>
#include <cstring>
#include <exception>
#include <limits>
#include <span>

#include "base/log.h"
#include "base/rel_path.h"
#include "transport/content_decode.h"
#include "transport/message.h"
#include "transport/message_fields.h"
#include "transport/question_decode.h"
#include "transport/session.h"

namespace lansync {
namespace {

using wire::Fault;
using wire::Fields;
using wire::Names;
using wire::Object;
using wire::read_pair;

constexpr std::size_t kMaxMsgpackArray =
    4096;  // kMaxDigestBuckets; each list has its own limit besides
constexpr std::size_t kMaxMsgpackMap = 64;
constexpr std::size_t kMaxMsgpackString = 65536;
constexpr std::size_t kMaxMsgpackDepth = 6;
static_assert(kMaxDigestBuckets <= kMaxMsgpackArray && kMaxRoster <= kMaxMsgpackArray);
static_assert(kMaxDigestBytes <= kMaxMsgpackString);

// Fields of an entry, in the order in which they are written; those of a push item and a verdict
// after them, so that one table serves all.
enum EntryField : std::size_t {
  kName,
  kKind,
  kSize,
  kMtime,
  kMode,
  kHash,
  kMd5,
  kTarget,
  kWas,
  kRun,
  kVersion,
  kEdits,
  kAuthor,
  kHost,
  kTime,
  kCopy,
  kReason,
};
constexpr std::array<std::string_view, 17> kEntryNames = {
    "name", "kind",    "size",  "mtime",  "mode", "hash", "md5",  "target", "was",
    "run",  "version", "edits", "author", "host", "time", "copy", "reason"};
constexpr std::size_t kPlainEntryFields = kCopy;
constexpr Names kPlainEntry = Names(kEntryNames).first(kPlainEntryFields);

VersionVector read_version(Fields& in, Fault& fault) {
  std::span<const Object> list = in.list(kVersion, kMaxVectorFromOutside);
  std::vector<VersionVector::Part> parts;
  parts.reserve(list.size());
  // Every version is somebody's edit.
  if (list.empty()) fault.set("an empty version vector");
  for (const Object& object : list) {
    auto pair = read_pair(object);
    // Strictly rising ids: one form for one vector, and no way to hide a doubled id.
    if (!pair || pair->second == 0 || pair->second >= kCountLimit ||
        (!parts.empty() && parts.back().id >= pair->first)) {
      fault.set("a version vector that is not one");
      return {};
    }
    parts.push_back({pair->first, pair->second});
  }
  return VersionVector(std::move(parts));
}

// One for all three parts, or each its own; absent: not known.
LastEdits read_edits(Fields& in, const VersionVector& version, Fault& fault) {
  if (!in.has(kEdits)) return {};
  std::span<const Object> list = in.list(kEdits, 3);
  std::array<Edit, 3> edits;
  if (list.size() != 1 && list.size() != 3) fault.set("edits that are neither one nor three");
  for (std::size_t i = 0; i < list.size() && !fault.any; ++i) {
    auto pair = read_pair(list[i]);
    if (pair) edits[i] = {pair->first, pair->second};
    if (!pair || !(edits[i] == Edit{} || has_seen(version, edits[i])))
      fault.set("an edit that is not in its version vector");
  }
  if (list.size() == 1) return {edits[0], edits[0], edits[0]};
  return {edits[0], edits[1], edits[2]};
}

// Which of size ... run a kind has. What it does not have must not be there.
bool read_fields_of_kind(Fields& in, Entry& entry, Fault& fault) {
  constexpr auto bit = [](EntryField field) { return 1u << field; };
  unsigned allowed = 0;
  switch (entry.kind) {
    case EntryKind::kFile:
      allowed = bit(kSize) | bit(kMtime) | bit(kMode) | bit(kHash) | bit(kMd5);
      entry.size = in.number(kSize, kMaxFileSize);
      entry.mtime_ns = in.signed_number(kMtime);
      entry.mode = in.number<std::uint16_t>(kMode, 0777);
      entry.content = in.id<ContentId>(kHash);
      entry.md5 = in.id<Md5>(kMd5);
      // Within this program zeros are "not known": published, they would fail each download.
      if (entry.md5.is_zero()) fault.set("a file without its MD5");
      break;
    case EntryKind::kDirectory:
      allowed = bit(kMode) | bit(kRun);
      entry.mode = in.number<std::uint16_t>(kMode, 0777);
      if (in.has(kRun)) entry.run = in.number<std::uint64_t>(kRun);
      break;
    case EntryKind::kSymlink:
      allowed = bit(kHash) | bit(kTarget) | bit(kRun);
      entry.mode = 0777;
      if (in.has(kRun)) entry.run = in.number<std::uint64_t>(kRun);
      entry.content = in.id<ContentId>(kHash);
      entry.target = in.text(kTarget, kMaxPathBytes);
      if (entry.target.empty() || entry.target.find('\0') != std::string::npos)
        fault.set("a symlink target that cannot be one");
      break;
    case EntryKind::kTombstone:
      allowed = bit(kMode) | bit(kHash) | bit(kWas) | bit(kRun);
      entry.mode = in.number<std::uint16_t>(kMode, 0777);
      if (in.has(kHash)) entry.content = in.id<ContentId>(kHash);
      entry.was =
          static_cast<EntryKind>(in.number(kWas, static_cast<std::uint8_t>(EntryKind::kTombstone)));
      if (static_cast<std::uint8_t>(entry.was) == 0) fault.set("an unknown kind");
      if (in.has(kRun)) entry.run = in.number<std::uint64_t>(kRun);
      break;
    case EntryKind::kSetting:
      break;
  }
  for (EntryField field : {kSize, kMtime, kMode, kHash, kMd5, kTarget, kWas, kRun}) {
    if (in.has(field) && (allowed & bit(field)) == 0)
      fault.set("a field that its kind does not have: ", kEntryNames[field]);
  }
  return !fault.any;
}

EntryPtr read_entry(Fields& in, Fault& fault) {
  auto entry = std::make_shared<Entry>();
  // kSetting is not sent yet: who took one could neither carry it out nor get rid of it.
  std::uint64_t kind = in.number(kKind, static_cast<std::uint8_t>(EntryKind::kTombstone));
  if (kind == 0) fault.set("an unknown kind");
  if (fault.any) return nullptr;
  entry->kind = static_cast<EntryKind>(kind);
  if (!read_fields_of_kind(in, *entry, fault)) return nullptr;
  entry->version = read_version(in, fault);
  entry->edits = read_edits(in, entry->version, fault);
  entry->author = in.number<std::uint64_t>(kAuthor);
  entry->author_name = in.text(kHost, kMaxNodeName);
  entry->edited.ns = in.signed_number(kTime);
  return fault.any ? nullptr : entry;
}

std::vector<NamedEntry> read_entries(std::span<const Object> list, Fault& fault) {
  std::vector<NamedEntry> entries;
  entries.reserve(list.size());
  for (const Object& object : list) {
    Fields in(object, kPlainEntry, fault);
    if (fault.any) break;
    NamedEntry& named = entries.emplace_back();
    named.name = in.path(kName);
    named.entry = read_entry(in, fault);
  }
  return entries;
}

// ---- one function for each type; `in` holds the message's own fields, `type` being field 0

constexpr std::array<std::string_view, 21> kHelloNames = {
    "type",     "name",    "program",   "role", "manual",  "replica",    "data",
    "disk",     "term",    "sync_term", "seq",  "members", "port",       "hub",
    "hub_term", "in_sync", "live",      "key",  "full",    "unanswered", "runs"};

bool read_runs(ByteView bytes, std::vector<Run>& runs) {
  constexpr std::size_t kRow = 8 + StartId::kSize + StartId::kSize;
  if (bytes.empty() || bytes.size() % kRow != 0) return false;
  ByteReader in(bytes);
  while (in.left() > 0) {
    Run run;
    run.first = in.u64();
    run.id = in.id<StartId>();
    run.before = in.id<StartId>();
    runs.push_back(run);
  }
  return true;
}

static_assert(kHelloNames.size() <= wire::kMaxFields);

Message read_hello(Fields& in, bool answer, Fault& fault) {
  Hello m;
  m.answer = answer;
  m.name = in.text(1, kMaxNodeName);
  m.program = in.text(2, kMaxNodeName);
  m.role = static_cast<Role>(in.number(3, 3));
  m.manual = static_cast<ManualRole>(in.number(4, 3));
  m.full_replica = in.flag(5);
  m.has_data = in.flag(6);
  m.disk_log2 = in.number<std::uint8_t>(7, 63);
  m.term = in.number<std::uint64_t>(8);
  m.sync_term = in.number<std::uint64_t>(9);
  m.seq = in.number(10, kMaxSeq);
  m.members = in.number<std::uint32_t>(11);
  m.port = in.number<std::uint16_t>(12);
  m.hub = in.id<NodeId>(13);
  m.hub_term = in.number<std::uint64_t>(14);
  m.in_sync = in.flag(15);
  m.hub_live = in.flag(16);
  if (in.has(17)) m.beacon_key = in.id<BeaconKey>(17);
  if (in.has(18)) m.full = in.flag(18);
  if (in.has(19)) m.unanswered = in.flag(19);
  if (in.has(20) && !read_runs(in.bytes(20, kMaxRuns * 24), m.runs)) fault.set("runs of no length");
  return m;
}

constexpr std::array<std::string_view, 3> kClaimNames = {"type", "term", "members"};

Message read_claim(Fields& in) {
  return Claim{in.number<std::uint64_t>(1), in.number<std::uint32_t>(2)};
}

constexpr std::array<std::string_view, 4> kRosterNames = {"type", "term", "number", "rows"};

bool read_row(const Object& object, RosterRow& row) {
  if (object.type != msgpack::type::ARRAY || object.via.array.size != 6) return false;
  const Object* value = object.via.array.ptr;
  auto bytes = [](const Object& from, std::span<std::uint8_t> to) {
    if (from.type != msgpack::type::BIN || from.via.bin.size != to.size()) return false;
    std::memcpy(to.data(), from.via.bin.ptr, to.size());
    return true;
  };
  auto number = [](const Object& from, std::uint64_t max) {
    return from.type == msgpack::type::POSITIVE_INTEGER && from.via.u64 <= max;
  };
  if (!bytes(value[0], row.node.bytes) || !bytes(value[1], row.boot.bytes) ||
      value[2].type != msgpack::type::STR || value[2].via.str.size > kMaxNodeName ||
      !number(value[3], 0xFFFFFFFF) || !number(value[4], 0xFFFF) || !number(value[5], 3))
    return false;
  row.name.assign(value[2].via.str.ptr, value[2].via.str.size);
  row.address.ip = static_cast<std::uint32_t>(value[3].via.u64);
  row.address.port = static_cast<std::uint16_t>(value[4].via.u64);
  row.role = static_cast<Role>(value[5].via.u64);
  return true;
}

Message read_roster(Fields& in, Fault& fault) {
  Roster m;
  m.term = in.number<std::uint64_t>(1);
  m.number = in.number<std::uint32_t>(2);
  std::span<const Object> rows = in.list(3, kMaxRoster);
  m.rows.reserve(rows.size());
  for (const Object& row : rows) {
    if (!read_row(row, m.rows.emplace_back())) {
      fault.set("a roster row that is not one");
      break;
    }
  }
  return m;
}

constexpr std::array<std::string_view, 2> kCloneNames = {"type", "live"};

Message read_clone(Fields& in) { return Clone{in.flag(1)}; }

constexpr std::array<std::string_view, 3> kByeNames = {"type", "reason", "successor"};

Message read_bye(Fields& in) {
  Bye m;
  m.reason = in.text(1, kMaxReasonBytes);
  m.successor = in.id<NodeId>(2);
  return m;
}

constexpr std::array<std::string_view, 6> kPingNames = {"type",  "seq",   "heard",
                                                        "files", "bytes", "obstacle"};

Message read_ping(Fields& in) {
  Ping m;
  m.seq = in.number(1, kMaxSeq);
  if (!in.has(2)) return m;
  m.heard = in.number(2, kMaxSeq);
  m.files = in.number<std::uint64_t>(3);
  m.bytes = in.number<std::uint64_t>(4);
  m.obstacle = static_cast<Obstacle>(in.number(5, kLastObstacle));
  return m;
}

constexpr std::array<std::string_view, 4> kHubHeardNames = {"type", "node", "ip", "port"};

Message read_hub_heard(Fields& in) {
  HubHeard m;
  m.node = in.id<NodeId>(1);
  m.address = {in.number<std::uint32_t>(2), in.number<std::uint16_t>(3)};
  return m;
}

constexpr std::array<std::string_view, 8> kMarkNames = {"type",   "token", "answer", "all",
                                                        "behind", "files", "bytes",  "obstacle"};

Message read_mark(Fields& in) {
  Mark m;
  m.token = in.number<std::uint64_t>(1);
  m.answer = in.flag(2);
  m.all = in.flag(3);
  if (!in.has(4)) return m;
  m.behind = in.id<NodeId>(4);
  m.files = in.number<std::uint64_t>(5);
  m.bytes = in.number<std::uint64_t>(6);
  m.obstacle = static_cast<Obstacle>(in.number(7, kLastObstacle));
  return m;
}

constexpr std::array<std::string_view, 4> kHoldsNames = {"type", "token", "answer", "hashes"};

Message read_holds(Fields& in, Fault& fault) {
  Holds m;
  m.token = in.number<std::uint64_t>(1);
  m.answer = in.flag(2);
  std::span<const Object> list = in.list(3, kMaxEntriesPerMessage);
  m.hashes.reserve(list.size());
  for (const Object& object : list) {
    if (object.type != msgpack::type::BIN || object.via.bin.size != ContentId::kSize) {
      fault.set("a hash that is not one");
      return m;
    }
    std::memcpy(m.hashes.emplace_back().bytes.data(), object.via.bin.ptr, ContentId::kSize);
  }
  return m;
}

constexpr std::array<std::string_view, 6> kIndexGetNames = {"type", "buckets", "digests",
                                                            "high", "round",   "away"};

Message read_index_get(Fields& in, Fault& fault) {
  IndexGet m;
  m.bucket_count = in.number<std::uint32_t>(1, kMaxDigestBuckets);
  ByteView digests = in.bytes(2, kMaxDigestBytes);
  m.digests.assign(digests.begin(), digests.end());
  m.count_high = in.number<std::uint64_t>(3);
  m.round = in.number<std::uint32_t>(4);
  m.away = in.number<std::uint64_t>(5);
  bool power_of_two = m.bucket_count != 0 && (m.bucket_count & (m.bucket_count - 1)) == 0;
  if (!power_of_two || m.digests.size() != std::size_t{16} * m.bucket_count)
    fault.set("digests that do not fit their number of buckets");
  return m;
}

constexpr std::array<std::string_view, 11> kUpdateNames = {
    "type",  "term", "seq",      "snapshot", "last",   "seen",
    "round", "away", "unsynced", "buckets",  "entries"};

Message read_update(Fields& in, Fault& fault) {
  Update m;
  m.term = in.number<std::uint64_t>(1);
  m.seq = in.number(2, kMaxSeq);
  m.snapshot = in.flag(3);
  m.last = in.flag(4);
  m.count_seen = in.number<std::uint64_t>(5);
  m.round = in.number<std::uint32_t>(6);
  m.away = in.number<std::uint64_t>(7);
  m.unsynced = in.number<std::uint64_t>(8);
  std::span<const Object> buckets = in.list(9, kMaxDigestBuckets);
  m.buckets.reserve(buckets.size());
  for (const Object& bucket : buckets) {
    if (bucket.type != msgpack::type::POSITIVE_INTEGER || bucket.via.u64 >= kMaxDigestBuckets) {
      fault.set("a bucket that is not one");
      return m;
    }
    m.buckets.push_back(static_cast<std::uint32_t>(bucket.via.u64));
  }
  m.entries = read_entries(in.list(10, kMaxEntriesPerMessage), fault);
  return m;
}

constexpr std::array<std::string_view, 2> kItemsNames = {"type", "items"};

Message read_push(Fields& message, Fault& fault) {
  Push m;
  std::span<const Object> list = message.list(1, kMaxEntriesPerMessage);
  m.items.reserve(list.size());
  for (const Object& object : list) {
    Fields in(object, kPlainEntry, fault);
    if (fault.any) break;
    PushItem& item = m.items.emplace_back();
    item.name = in.path(kName);
    item.entry = read_entry(in, fault);
  }
  return m;
}

Message read_verdict(Fields& message, VerdictKind kind, Fault& fault) {
  Verdict m;
  m.kind = kind;
  std::span<const Object> list = message.list(1, kMaxEntriesPerMessage);
  m.items.reserve(list.size());
  for (const Object& object : list) {
    Fields in(object, kEntryNames, fault);
    if (fault.any) break;
    VerdictItem& item = m.items.emplace_back();
    item.name = in.path(kName);
    bool has_entry = false;
    for (std::size_t field = kKind; field < kCopy; ++field) has_entry |= in.has(field);
    if (has_entry) item.entry = read_entry(in, fault);
    bool conflict = kind == VerdictKind::kConflict;
    if (in.has(conflict ? kReason : kCopy)) {
      fault.set("a field that this verdict does not have");
    }
    if (conflict && in.has(kCopy)) item.detail = in.path(kCopy);
    if (!conflict && in.has(kReason)) item.detail = in.text(kReason, kMaxReasonBytes);
  }
  return m;
}

constexpr std::array<std::string_view, 3> kDoneNames = {"type", "transfers", "published"};
constexpr std::array<std::string_view, 4> kEndNames = {"transfer", "ok", "md5", "reason"};

Message read_done(Fields& message, Fault& fault) {
  Done m;
  std::span<const Object> list = message.list(1, kMaxEntriesPerMessage);
  m.transfers.reserve(list.size());
  for (const Object& object : list) {
    Fields in(object, kEndNames, fault);
    if (fault.any) break;
    TransferEnd& end = m.transfers.emplace_back();
    end.transfer = in.number<std::uint32_t>(0);
    end.ok = in.flag(1);
    end.md5 = in.id<Md5>(2);
    end.reason = in.text(3, kMaxReasonBytes);
  }
  m.published = read_entries(message.list(2, kMaxEntriesPerMessage), fault);
  return m;
}

std::string_view type_of(const Object& object, Fault& fault) {
  if (object.type != msgpack::type::MAP) {
    fault.set("not a map");
    return {};
  }
  for (std::uint32_t i = 0; i < object.via.map.size; ++i) {
    const auto& pair = object.via.map.ptr[i];
    if (pair.key.type != msgpack::type::STR || pair.val.type != msgpack::type::STR) continue;
    if (std::string_view(pair.key.via.str.ptr, pair.key.via.str.size) == "type")
      return {pair.val.via.str.ptr, pair.val.via.str.size};
  }
  fault.set("missing field type");
  return {};
}

std::optional<Message> read_message(const Object& object, Fault& fault) {
  std::string_view type = type_of(object, fault);
  if (fault.any) return std::nullopt;
  auto fields = [&](Names names) { return Fields(object, names, fault); };
  auto with = [&](Names names, auto read) -> Message {
    Fields in = fields(names);
    if (fault.any) return Ping{};
    return read(in);
  };
  auto verdict = [&](VerdictKind kind) {
    return with(kItemsNames, [&](Fields& in) { return read_verdict(in, kind, fault); });
  };
  if (type == "ping") return with(kPingNames, read_ping);
  if (type == "update")
    return with(kUpdateNames, [&](Fields& in) { return read_update(in, fault); });
  if (type == "push") return with(kItemsNames, [&](Fields& in) { return read_push(in, fault); });
  if (type == "accept") return verdict(VerdictKind::kAccept);
  if (type == "have") return verdict(VerdictKind::kHave);
  if (type == "conflict") return verdict(VerdictKind::kConflict);
  if (type == "refuse") return verdict(VerdictKind::kRefuse);
  if (type == "done") return with(kDoneNames, [&](Fields& in) { return read_done(in, fault); });
  if (type == "hello")
    return with(kHelloNames, [&](Fields& in) { return read_hello(in, false, fault); });
  if (type == "hi")
    return with(kHelloNames, [&](Fields& in) { return read_hello(in, true, fault); });
  if (type == "claim") return with(kClaimNames, read_claim);
  if (type == "roster")
    return with(kRosterNames, [&](Fields& in) { return read_roster(in, fault); });
  if (type == "hub_heard") return with(kHubHeardNames, read_hub_heard);
  if (type == "mark") return with(kMarkNames, read_mark);
  if (type == "holds") return with(kHoldsNames, [&](Fields& in) { return read_holds(in, fault); });
  if (type == "bye") return with(kByeNames, read_bye);
  if (type == "clone") return with(kCloneNames, read_clone);
  if (type == "index_get")
    return with(kIndexGetNames, [&](Fields& in) { return read_index_get(in, fault); });
  if (auto content = wire::read_content_message(type, object, fault)) return content;
  if (auto question = wire::read_question(type, object, fault)) return question;
  fault.set("unknown type ", printable(type, 40));
  return std::nullopt;
}

// Strings and bins stay where they are in the packet; they are copied once, into the struct.
bool keep_in_packet(msgpack::type::object_type, std::size_t, void*) { return true; }

std::optional<Message> parse(ByteView bytes, Fault& fault) {
  if (bytes.size() > kMaxMessageBytes) {
    fault.set("longer than 256 KiB");
    return std::nullopt;
  }
  try {
    msgpack::zone zone(32 * 1024);
    std::size_t offset = 0;
    bool referenced = false;
    std::string_view text = as_text(bytes);
    const msgpack::unpack_limit limit(kMaxMsgpackArray, kMaxMsgpackMap, kMaxMsgpackString,
                                      kMaxMsgpackString, 0, kMaxMsgpackDepth);
    Object object = msgpack::unpack(zone, text.data(), text.size(), offset, referenced,
                                    keep_in_packet, nullptr, limit);
    if (offset != bytes.size()) {
      fault.set("bytes after its end");
      return std::nullopt;
    }
    return read_message(object, fault);
  } catch (const std::exception& error) {
    // msgpack reports what does not parse by unpack_error, and by bad_alloc what it cannot hold.
    fault.set("not msgpack within the limits: ", error.what());
  }
  return std::nullopt;
}

}  // namespace

std::optional<Message> decode_message(ByteView bytes, std::string* why) {
  Fault fault;
  std::optional<Message> message = parse(bytes, fault);
  if (fault.any) {
    if (why != nullptr) *why = std::move(fault.why);
    return std::nullopt;
  }
  return message;
}

}  // namespace lansync
