#include "sniff/describe.h"

#include <algorithm>
#include <array>
#include <type_traits>

#include "base/log.h"
#include "sniff/render.h"
#include "transport/handshake.h"

namespace lansync::sniff {
namespace {

template <typename Id>
Value hex(const Id& id) {
  return to_hex(id);
}

const char* obstacle_name(Obstacle obstacle) {
  static constexpr std::array kNames{"none", "paused", "held", "no-room", "error", "cannot"};
  static_assert(kNames.size() == kLastObstacle + 1);
  return kNames[static_cast<std::size_t>(obstacle)];
}

const char* suite_name(std::uint8_t bit) {
  return bit == 1 ? "chacha20-poly1305" : bit == 2 ? "aes-256-gcm" : "unknown";
}

const char* kind_name(EntryKind kind) {
  switch (kind) {
    case EntryKind::kFile:
      return "file";
    case EntryKind::kDirectory:
      return "directory";
    case EntryKind::kSymlink:
      return "symlink";
    case EntryKind::kTombstone:
      return "tombstone";
    case EntryKind::kSetting:
      return "setting";
  }
  return "unknown";
}

Value short_id_text(ShortId id) {
  ByteWriter out;
  out.u64(id);
  return to_hex(out.bytes());
}

// Octal, as people read it.
Value mode_text(std::uint16_t mode) {
  std::string text = "0000";
  for (std::size_t i = 0; i < 4; ++i)
    text[3 - i] = static_cast<char>('0' + ((mode >> (3 * i)) & 7));
  return text;
}

void add_entry(Fields& out, const Entry& e) {
  out.push_back({"kind", kind_name(e.kind)});
  if (e.is_file() || e.kind == EntryKind::kSetting) out.push_back({"size", e.size});
  if (e.is_file()) out.push_back({"mtime", iso_time({e.mtime_ns})});
  if (e.is_file() || e.is_directory()) out.push_back({"mode", mode_text(e.mode)});
  if (e.is_file() || e.is_symlink()) out.push_back({"hash", hex(e.content)});
  if (e.is_file()) out.push_back({"md5", hex(e.md5)});
  if (e.is_symlink()) out.push_back({"target", e.target});
  if (e.is_tombstone()) {
    out.push_back({"mode", mode_text(e.mode)});
    if (!e.content.is_zero()) out.push_back({"hash", hex(e.content)});
    out.push_back({"was", kind_name(e.was)});
    if (e.run != 0) out.push_back({"run", short_id_text(e.run)});
  }
  List version;
  for (const VersionVector::Part& part : e.version.parts())
    version.push_back(List{short_id_text(part.id), part.count});
  out.push_back({"version", std::move(version)});
  List edits;
  for (const Edit& edit : {e.edits.content, e.edits.mode, e.edits.mtime})
    edits.push_back(List{short_id_text(edit.id), edit.count});
  if (!(e.edits == LastEdits{})) out.push_back({"edits", std::move(edits)});
  out.push_back({"author", short_id_text(e.author)});
  out.push_back({"host", e.author_name});
  out.push_back({"time", iso_time(e.edited)});
}

Fields named_entry(const std::string& name, const Entry* entry) {
  Fields out{{"name", name}};
  if (entry != nullptr) add_entry(out, *entry);
  return out;
}

List named_entries(const std::vector<NamedEntry>& entries) {
  List out;
  for (const NamedEntry& item : entries) out.push_back(named_entry(item.name, item.entry.get()));
  return out;
}

List range_list(const std::vector<WireRange>& ranges) {
  List out;
  for (const WireRange& range : ranges) out.push_back(List{range.begin, range.end});
  return out;
}

struct Describer {
  Fields operator()(const Hello& m) const {
    Fields out{{"name", m.name},
               {"program", m.program},
               {"role", to_string(m.role)},
               {"manual", to_string(m.manual)},
               {"replica", m.full_replica},
               {"data", m.has_data},
               {"disk", m.disk_log2},
               {"term", m.term},
               {"sync_term", m.sync_term},
               {"seq", m.seq},
               {"members", m.members},
               {"port", m.port},
               {"hub", hex(m.hub)},
               {"hub_term", m.hub_term},
               {"in_sync", m.in_sync},
               {"live", m.hub_live}};
    // Shown to who has the session's keys and so could read it anyway.
    if (m.beacon_key) out.push_back({"key", hex(*m.beacon_key)});
    if (m.full) out.push_back({"full", true});
    if (m.unanswered) out.push_back({"unanswered", true});
    List runs;
    for (const Run& run : m.runs) runs.push_back(List{run.first, hex(run.id), hex(run.before)});
    if (!runs.empty()) out.push_back({"runs", std::move(runs)});
    return out;
  }
  Fields operator()(const Claim& m) const { return {{"term", m.term}, {"members", m.members}}; }
  Fields operator()(const Roster& m) const {
    List rows;
    for (const RosterRow& row : m.rows)
      rows.push_back(Fields{{"node", hex(row.node)},
                            {"boot", hex(row.boot)},
                            {"name", row.name},
                            {"ip", ip_to_string(row.address.ip)},
                            {"port", row.address.port},
                            {"role", to_string(row.role)}});
    return {{"term", m.term}, {"number", m.number}, {"rows", std::move(rows)}};
  }
  Fields operator()(const Clone& m) const { return {{"live", m.live}}; }
  Fields operator()(const Bye& m) const {
    return {{"reason", m.reason}, {"successor", hex(m.successor)}};
  }
  Fields operator()(const Ping& m) const {
    if (!m.tells_progress()) return {{"seq", m.seq}};
    return {{"seq", m.seq},
            {"heard", m.heard},
            {"files", m.files},
            {"bytes", m.bytes},
            {"obstacle", obstacle_name(m.obstacle)}};
  }
  Fields operator()(const HubHeard& m) const {
    return {{"node", hex(m.node)}, {"ip", ip_to_string(m.address.ip)}, {"port", m.address.port}};
  }
  Fields operator()(const Hole& m) const {
    return {{"transfer", m.transfer}, {"begin", m.begin}, {"end", m.end}};
  }
  Fields operator()(const Carrier& m) const {
    return {{"kind", m.tcp ? "tcp" : "lane"},
            {"answer", m.answer},
            {"port", m.port},
            {"id", to_hex(m.id)}};
  }
  Fields operator()(const Where& m) const {
    List hashes;
    for (const ContentId& hash : m.hashes) hashes.push_back(hex(hash));
    return {{"hashes", std::move(hashes)}};
  }
  Fields operator()(const Holders& m) const {
    List items;
    for (const HolderItem& item : m.items) {
      List nodes;
      for (const HolderRow& row : item.nodes)
        nodes.push_back(Fields{{"node", hex(row.node)},
                               {"ip", ip_to_string(row.address.ip)},
                               {"port", row.address.port},
                               {"part", row.part}});
      items.push_back(Fields{{"hash", hex(item.hash)},
                             {"whole", item.whole},
                             {"ranges", range_list(item.ranges)},
                             {"nodes", std::move(nodes)}});
    }
    return {{"items", std::move(items)}};
  }
  Fields operator()(const Coming& m) const {
    List items;
    for (const ComingItem& item : m.items)
      items.push_back(Fields{{"name", item.name},
                             {"hash", hex(item.hash)},
                             {"size", item.size},
                             {"over", item.over},
                             {"part", item.part},
                             {"parts", item.parts}});
    return {{"items", std::move(items)}};
  }
  Fields operator()(const Mark& m) const {
    Fields fields{{"token", m.token}, {"answer", m.answer}, {"all", m.all}};
    if (m.behind.is_zero()) return fields;
    fields.push_back({"behind", hex(m.behind)});
    fields.push_back({"files", m.files});
    fields.push_back({"bytes", m.bytes});
    fields.push_back({"obstacle", obstacle_name(m.obstacle)});
    return fields;
  }
  Fields operator()(const Holds& m) const {
    List hashes;
    for (const ContentId& hash : m.hashes) hashes.push_back(hex(hash));
    return {{"token", m.token}, {"answer", m.answer}, {"hashes", std::move(hashes)}};
  }
  Fields operator()(const IndexGet& m) const {
    return {{"buckets", m.bucket_count},
            {"digests", to_hex(m.digests)},
            {"high", m.count_high},
            {"away", m.away}};
  }
  Fields operator()(const Update& m) const {
    List buckets;
    for (std::uint32_t bucket : m.buckets) buckets.push_back(bucket);
    return {{"term", m.term},
            {"seq", m.seq},
            {"snapshot", m.snapshot},
            {"last", m.last},
            {"seen", m.count_seen},
            {"away", m.away},
            {"unsynced", m.unsynced},
            {"buckets", std::move(buckets)},
            {"entries", named_entries(m.entries)}};
  }
  Fields operator()(const Push& m) const {
    List items;
    for (const PushItem& item : m.items) {
      Fields fields = named_entry(item.name, item.entry.get());
      items.push_back(std::move(fields));
    }
    return {{"items", std::move(items)}};
  }
  Fields operator()(const Verdict& m) const {
    List items;
    for (const VerdictItem& item : m.items) {
      Fields fields = named_entry(item.name, item.entry.get());
      if (!item.detail.empty())
        fields.push_back({m.kind == VerdictKind::kConflict ? "copy" : "reason", item.detail});
      items.push_back(std::move(fields));
    }
    return {{"items", std::move(items)}};
  }
  Fields operator()(const Request& m) const {
    List items;
    for (const RequestItem& item : m.items) {
      items.push_back(Fields{{"transfer", item.transfer},
                             {"hash", hex(item.hash)},
                             {"name", item.name},
                             {"size", item.size},
                             {"ranges", range_list(item.ranges)}});
    }
    return {{"items", std::move(items)}, {"carrier", to_string(m.carrier)}};
  }
  Fields operator()(const Download& m) const {
    List items;
    for (const DownloadItem& item : m.items)
      items.push_back(
          Fields{{"transfer", item.transfer}, {"name", item.name}, {"size", item.size}});
    return {{"items", std::move(items)}};
  }
  Fields operator()(const Done& m) const {
    List transfers;
    for (const TransferEnd& end : m.transfers)
      transfers.push_back(Fields{{"transfer", end.transfer},
                                 {"ok", end.ok},
                                 {"md5", hex(end.md5)},
                                 {"reason", end.reason}});
    return {{"transfers", std::move(transfers)}, {"published", named_entries(m.published)}};
  }
  Fields operator()(const IndexQuery& m) const {
    Fields out{{"id", m.id}, {"directories", m.directories}};
    if (m.from) out.push_back({"from", iso_time({*m.from})});
    if (m.to) out.push_back({"to", iso_time({*m.to})});
    out.push_back({"pattern", m.pattern});
    out.push_back({"after", m.after});
    return out;
  }
  Fields operator()(const IndexPage& m) const {
    List rows;
    for (const FileRow& row : m.rows)
      rows.push_back(Fields{{"name", row.name},
                            {"size", row.size},
                            {"mtime", iso_time({row.mtime_ns})},
                            {"type", row.type}});
    return {{"id", m.id}, {"rows", std::move(rows)}, {"next", m.next}, {"last", m.last}};
  }
  Fields operator()(const FileHash& m) const {
    return {{"id", m.id}, {"name", m.name}, {"after", m.after}, {"repair", m.repair}};
  }
  Fields operator()(const FileHashes& m) const {
    static constexpr const char* kStates[] = {"good",     "changed",    "rotten",
                                              "repaired", "unreadable", "gone"};
    List rows;
    for (const HashRow& row : m.rows)
      rows.push_back(Fields{{"name", row.name},
                            {"size", row.size},
                            {"mtime", iso_time({row.mtime_ns})},
                            {"md5", hex(row.md5)},
                            {"state", kStates[static_cast<std::size_t>(row.state)]},
                            {"reason", row.reason}});
    return {{"id", m.id}, {"rows", std::move(rows)}, {"next", m.next}, {"last", m.last}};
  }
  Fields operator()(const Search& m) const {
    return {{"id", m.id},
            {"name", m.name},
            {"regex", m.regex},
            {"after", m.after},
            {"after_node", hex(m.after_node)},
            {"quiet", m.quiet}};
  }
  Fields operator()(const Found& m) const {
    List records;
    for (const FoundRecord& record : m.records)
      records.push_back(Fields{{"name", record.name},
                               {"type", record.type},
                               {"size", record.size},
                               {"mtime", iso_time({record.mtime_ns})},
                               {"address", ip_to_string(record.address.ip)},
                               {"port", record.address.port},
                               {"id", hex(record.id)},
                               {"node", record.node}});
    return {{"id", m.id},
            {"records", std::move(records)},
            {"next", m.next},
            {"next_node", hex(m.next_node)},
            {"last", m.last}};
  }
  Fields operator()(const NotFound& m) const { return {{"id", m.id}}; }
  Fields operator()(const Working& m) const { return {{"id", m.id}}; }
  Fields operator()(const Cancel& m) const { return {{"id", m.id}}; }
  Fields operator()(const Failed& m) const { return {{"id", m.id}, {"reason", m.reason}}; }
  Fields operator()(const FileUpload& m) const {
    return {{"id", m.id},
            {"name", m.name},
            {"size", m.size},
            {"mtime", iso_time({m.mtime_ns})},
            {"mode", mode_text(m.mode)},
            {"hash", hex(m.hash)},
            {"md5", hex(m.md5)}};
  }
  Fields operator()(const FileUploadAllow& m) const {
    return {{"id", m.id}, {"done", m.done}, {"name", m.name}};
  }
  Fields operator()(const FileUploadDeny& m) const { return {{"id", m.id}, {"reason", m.reason}}; }
  Fields operator()(const FileDownloaded& m) const {
    return {{"name", m.name}, {"result", m.result}};
  }
  Fields operator()(const TrashGet& m) const {
    Fields out{{"token", m.token}, {"path", m.path}, {"all", m.all}};
    if (m.run != 0) out.push_back({"run", short_id_text(m.run)});
    return out;
  }
  Fields operator()(const TrashRows& m) const {
    List rows;
    for (const FoundTrash& row : m.rows)
      rows.push_back(Fields{{"name", row.name},
                            {"path", row.path},
                            {"time", iso_time({row.time_ns})},
                            {"size", row.size},
                            {"node", hex(row.node)}});
    return {{"token", m.token}, {"rows", std::move(rows)}, {"error", m.error}, {"last", m.last}};
  }
  Fields operator()(const RestoreTrash& m) const {
    List names;
    for (const std::string& name : m.names) names.push_back(name);
    Fields out{{"token", m.token}, {"node", hex(m.node)}, {"names", std::move(names)}};
    if (m.over) out.push_back({"over", hex(*m.over)});
    return out;
  }
  Fields operator()(const RunsKnown& m) const {
    List known;
    for (std::uint64_t word : m.words) known.push_back(short_id_text(word));
    return {{"known", std::move(known)}};
  }
  Fields operator()(const RunWord& m) const {
    const RunRecord& r = m.record;
    return {{"word", r.word == RunDecision::kConfirmed ? "confirmed" : "rejected"},
            {"run", short_id_text(r.run)},
            {"number", r.number},
            {"digest", hex(r.digest)},
            {"time", iso_time(r.time)},
            {"key", hex(r.key)},
            {"signature", hex(r.signature)},
            {"offset", m.offset},
            {"leaves", static_cast<std::uint64_t>(m.leaves.size() / kRunLeafBytes)}};
  }
};

const char* command_name(std::uint8_t type) {
  static constexpr const char* kNames[] = {"none",
                                           "acknowledge",
                                           "connect",
                                           "verify_connect",
                                           "disconnect",
                                           "ping",
                                           "reliable",
                                           "unreliable",
                                           "fragment",
                                           "unsequenced",
                                           "bandwidth",
                                           "throttle_configure",
                                           "unreliable_fragment"};
  return type < std::size(kNames) ? kNames[type] : "unknown";
}

}  // namespace

Fields describe(const Message& message) { return std::visit(Describer{}, message); }

Fields describe(const Beacon& b) {
  Fields out{{"version", b.version},
             {"seek", (b.flags & Beacon::kSeek) != 0},
             {"goodbye", (b.flags & Beacon::kGoodbye) != 0},
             {"data", (b.flags & Beacon::kHasData) != 0},
             {"hub_lost", (b.flags & Beacon::kHubLost) != 0},
             {"group", hex(b.group)},
             {"node", hex(b.node)},
             {"boot", hex(b.boot)}};
  // Of another version only what stands above was read.
  if (b.version != kProtocolVersion) return out;
  out.insert(out.end(), {{"counter", b.counter},
                         {"role", to_string(b.role)},
                         {"manual", to_string(b.manual)},
                         {"replica", b.full_replica},
                         {"disk", b.disk_log2},
                         {"term", b.term},
                         {"index_seq", b.index_seq},
                         {"port", b.port},
                         {"heard", b.heard},
                         {"clock", b.time},
                         {"name", b.name},
                         {"tagged", !b.tag.is_zero()},
                         {"tag", hex(b.tag)}});
  return out;
}

Fields describe(const CookiePacket& packet) {
  if (const auto* hello = std::get_if<CookieHello>(&packet))
    return {{"packet", "hello"}, {"nonce", hex(hello->nonce)}};
  if (const auto* challenge = std::get_if<CookieChallenge>(&packet))
    return {{"packet", "challenge"},
            {"nonce", hex(challenge->nonce)},
            {"cookie", hex(challenge->cookie)}};
  if (const auto* answer = std::get_if<CookieAnswer>(&packet))
    return {{"packet", "answer"},
            {"nonce", hex(answer->nonce)},
            {"cookie", hex(answer->cookie)},
            {"member_proof", hex(answer->proof)}};
  return {{"packet", "busy"}, {"nonce", hex(std::get<CookieBusy>(packet).nonce)}};
}

Fields describe(const enet_wire::Command& command) {
  Fields out{{"command", command_name(command.type)},
             {"channel", command.channel},
             {"sequence", command.sequence}};
  ByteReader in(command.fields);
  switch (command.type) {
    case enet_wire::kAcknowledge:
      out.push_back({"acknowledged", in.u16()});
      break;
    case enet_wire::kConnect:
    case enet_wire::kVerifyConnect: {
      const auto fields = enet_wire::connect_fields(command);
      out.push_back({"outgoing_peer", fields.outgoing_peer});
      out.push_back({"mtu", fields.mtu});
      out.push_back({"window", fields.window});
      out.push_back({"channels", fields.channels});
      break;
    }
    case enet_wire::kDisconnect:
      out.push_back({"data", in.u32()});
      break;
    case enet_wire::kSendFragment:
    case enet_wire::kSendUnreliableFragment: {
      const auto fields = enet_wire::fragment_fields(command);
      out.push_back({"start", fields.start});
      out.push_back({"number", fields.number});
      out.push_back({"count", fields.count});
      out.push_back({"total", fields.total});
      out.push_back({"offset", fields.offset});
      break;
    }
    default:
      break;
  }
  if (!command.data.empty()) out.push_back({"bytes", command.data.size()});
  return out;
}

std::optional<AuthMessage> parse_auth(ByteView bytes) {
  ByteReader in(bytes);
  AuthMessage auth;
  auth.number = in.u8();
  if (!in.ok() || auth.number < 1 || auth.number > 4) return std::nullopt;
  auth.fields.push_back({"message", str('M', auth.number)});
  if (auth.number > 2) {
    if (bytes.size() != kHandshakeConfirmBytes) return std::nullopt;
    auth.fields.push_back({"confirm", to_hex(in.raw(in.left()))});
    return auth;
  }
  auth.fields.push_back({"version", in.u8()});
  if (auth.number == 2 && bytes.size() == 2) {
    auth.refusal = true;
    auth.fields.push_back({"refused", "another version"});
    return auth;
  }
  const std::uint8_t suites = in.u8();
  const PublicKey key = in.id<PublicKey>();
  const BootId boot = in.id<BootId>();
  if (!in.ok()) return std::nullopt;
  List names;
  for (std::uint8_t bit : {std::uint8_t{1}, std::uint8_t{2}})
    if ((suites & bit) != 0) names.push_back(suite_name(bit));
  if (auth.number == 1) {
    auth.fields.push_back({"suites", std::move(names)});
  } else {
    auth.fields.push_back({"suite", suite_name(suites)});
  }
  auth.fields.push_back({"node", hex(node_id_of(key))});
  auth.fields.push_back({"key", hex(key)});
  auth.fields.push_back({"boot", hex(boot)});
  if (auth.number == 2 && in.left() == 0) {
    auth.refusal = true;
    auth.fields.push_back({"refused", "this node itself"});
    return auth;
  }
  if (bytes.size() != kHandshakeHelloBytes) return std::nullopt;
  const ByteView random = in.raw(auth.random.size());
  std::copy(random.begin(), random.end(), auth.random.begin());
  auth.fields.push_back({"random", to_hex(random)});
  auth.fields.push_back({"share", to_hex(in.raw(in.left()))});
  return auth;
}

}  // namespace lansync::sniff
