// Writing messages. The fields and their order are docs/protocol.md's, section Messages.
#define MSGPACK_NO_BOOST
#include <algorithm>
#include <msgpack.hpp>

#include "base/assert.h"
#include "transport/message.h"

namespace lansync {
namespace {

// msgpack's output stream over our own buffer.
struct Sink {
  Bytes& out;
  void write(const char* data, std::size_t size) { out.insert(out.end(), data, data + size); }
};
using Packer = msgpack::packer<Sink>;

// Cut between UTF-8 sequences and not within one.
std::string_view cut(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  std::size_t end = max_bytes;
  while (end > 0 && (static_cast<std::uint8_t>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

class Encoder {
 public:
  explicit Encoder(Bytes& out) : sink_{out}, pack_(sink_) {}

  void operator()(const Hello& m) {
    std::uint32_t optional = (m.beacon_key ? 1 : 0) + (m.full ? 1 : 0) + (m.unanswered ? 1 : 0);
    if (!m.runs.empty()) ++optional;
    begin(m.answer ? "hi" : "hello", 16 + optional);
    text("name", cut(m.name, kMaxNodeName));
    text("program", cut(m.program, kMaxNodeName));
    number("role", static_cast<std::uint8_t>(m.role));
    number("manual", static_cast<std::uint8_t>(m.manual));
    flag("replica", m.full_replica);
    flag("data", m.has_data);
    number("disk", m.disk_log2);
    number("term", m.term);
    number("sync_term", m.sync_term);
    number("seq", m.seq);
    number("members", m.members);
    number("port", m.port);
    bytes("hub", m.hub.bytes);
    number("hub_term", m.hub_term);
    flag("in_sync", m.in_sync);
    flag("live", m.hub_live);
    if (m.beacon_key) bytes("key", m.beacon_key->bytes);
    if (m.full) flag("full", true);
    if (m.unanswered) flag("unanswered", true);
    if (m.runs.empty()) return;
    LS_ASSERT(m.runs.size() <= kMaxRuns);
    ByteWriter runs;
    for (const Run& run : m.runs) {
      runs.u64(run.first);
      runs.raw(run.id);
      runs.raw(run.before);
    }
    bytes("runs", runs.bytes());
  }

  void operator()(const Claim& m) {
    begin("claim", 2);
    number("term", m.term);
    number("members", m.members);
  }

  void operator()(const Roster& m) {
    begin("roster", 3);
    number("term", m.term);
    number("number", m.number);
    list("rows", m.rows.size(), kMaxRoster);
    // Arrays and not maps: 2048 rows with the longest names have to fit into one message.
    for (const RosterRow& row : m.rows) {
      pack_.pack_array(6);
      raw(row.node.bytes);
      raw(row.boot.bytes);
      raw_text(cut(row.name, kMaxNodeName));
      pack_.pack_uint32(row.address.ip);
      pack_.pack_uint16(row.address.port);
      pack_.pack_uint8(static_cast<std::uint8_t>(row.role));
    }
  }

  void operator()(const Bye& m) {
    begin("bye", 2);
    text("reason", cut(m.reason, kMaxReasonBytes));
    bytes("successor", m.successor.bytes);
  }

  void operator()(const Clone& m) {
    begin("clone", 1);
    flag("live", m.live);
  }

  void operator()(const Ping& m) {
    begin("ping", m.tells_progress() ? 5 : 1);
    number("seq", m.seq);
    if (!m.tells_progress()) return;
    number("heard", m.heard);
    number("files", m.files);
    number("bytes", m.bytes);
    number("obstacle", static_cast<std::uint8_t>(m.obstacle));
  }

  void operator()(const HubHeard& m) {
    begin("hub_heard", 3);
    bytes("node", m.node.bytes);
    number("ip", m.address.ip);
    number("port", m.address.port);
  }

  void operator()(const Hole& m) {
    begin("hole", 3);
    number("transfer", m.transfer);
    number("begin", m.begin);
    number("end", m.end);
  }

  void operator()(const Mark& m) {
    const bool word = !m.behind.is_zero();
    begin("mark", word ? 7 : 3);
    number("token", m.token);
    flag("answer", m.answer);
    flag("all", m.all);
    if (!word) return;
    bytes("behind", m.behind.bytes);
    number("files", m.files);
    number("bytes", m.bytes);
    number("obstacle", static_cast<std::uint8_t>(m.obstacle));
  }

  void operator()(const Holds& m) {
    begin("holds", 3);
    number("token", m.token);
    flag("answer", m.answer);
    list("hashes", m.hashes.size(), kMaxEntriesPerMessage);
    for (const ContentId& hash : m.hashes) raw(hash.bytes);
  }

  void operator()(const IndexGet& m) {
    begin("index_get", 5);
    number("buckets", m.bucket_count);
    LS_ASSERT(m.digests.size() <= kMaxDigestBytes);
    bytes("digests", m.digests);
    number("high", m.count_high);
    number("round", m.round);
    number("away", m.away);
  }

  void operator()(const Update& m) {
    begin("update", 10);
    number("term", m.term);
    number("seq", m.seq);
    flag("snapshot", m.snapshot);
    flag("last", m.last);
    number("seen", m.count_seen);
    number("round", m.round);
    number("away", m.away);
    number("unsynced", m.unsynced);
    list("buckets", m.buckets.size(), kMaxDigestBuckets);
    for (std::uint32_t bucket : m.buckets) pack_.pack_uint32(bucket);
    entries("entries", m.entries);
  }

  void operator()(const Push& m) {
    begin("push", 1);
    list("items", m.items.size(), kMaxEntriesPerMessage);
    for (const PushItem& item : m.items) {
      LS_ASSERT(item.entry != nullptr);
      entry(item.name, item.entry.get(), 0);
    }
  }

  void operator()(const Verdict& m) {
    begin(message_type(m), 1);
    list("items", m.items.size(), kMaxEntriesPerMessage);
    for (const VerdictItem& item : m.items) {
      entry(item.name, item.entry.get(), item.detail.empty() ? 0 : 1);
      if (item.detail.empty()) continue;
      if (m.kind == VerdictKind::kConflict) {
        text("copy", item.detail);
      } else {
        text("reason", cut(item.detail, kMaxReasonBytes));
      }
    }
  }

  void operator()(const Request& m) {
    const bool chosen = m.carrier != CarrierChoice::kAuto;
    begin("request", chosen ? 2 : 1);
    list("items", m.items.size(), kMaxEntriesPerMessage);
    for (const RequestItem& item : m.items) {
      pack_.pack_map(5);
      number("transfer", item.transfer);
      bytes("hash", item.hash.bytes);
      text("name", item.name);
      number("size", item.size);
      ranges(item.ranges, kMaxRanges);
    }
    if (chosen) number("carrier", static_cast<std::uint8_t>(m.carrier));
  }

  void operator()(const Carrier& m) {
    begin("carrier", 4);
    number("kind", m.tcp ? 2 : 1);
    flag("answer", m.answer);
    number("port", m.port);
    bytes("id", m.id);
  }

  void operator()(const Where& m) {
    begin("where", 1);
    list("hashes", m.hashes.size(), kMaxWhere);
    for (const ContentId& hash : m.hashes) raw(hash.bytes);
  }

  void operator()(const Holders& m) {
    begin("holders", 1);
    list("items", m.items.size(), kMaxWhere);
    for (const HolderItem& item : m.items) {
      pack_.pack_map(4);
      bytes("hash", item.hash.bytes);
      flag("whole", item.whole);
      ranges(item.ranges, kMaxPartRanges);
      list("nodes", item.nodes.size(), kMaxHolders);
      for (const HolderRow& row : item.nodes) {
        pack_.pack_array(4);
        raw(row.node.bytes);
        pack_.pack_uint32(row.address.ip);
        pack_.pack_uint16(row.address.port);
        pack_.pack_uint8(row.part ? 1 : 0);
      }
    }
  }

  void operator()(const Coming& m) {
    begin("coming", 1);
    list("items", m.items.size(), kMaxComing);
    for (const ComingItem& item : m.items) {
      pack_.pack_map(6);
      text("name", item.name);
      bytes("hash", item.hash.bytes);
      number("size", item.size);
      flag("over", item.over);
      number("part", item.part);
      number("parts", item.parts);
    }
  }

  void operator()(const Download& m) {
    begin("download", 1);
    list("items", m.items.size(), kMaxEntriesPerMessage);
    for (const DownloadItem& item : m.items) {
      pack_.pack_map(3);
      number("transfer", item.transfer);
      text("name", item.name);
      number("size", item.size);
    }
  }

  void operator()(const Done& m) {
    begin("done", 2);
    list("transfers", m.transfers.size(), kMaxEntriesPerMessage);
    for (const TransferEnd& end : m.transfers) {
      pack_.pack_map(4);
      number("transfer", end.transfer);
      flag("ok", end.ok);
      bytes("md5", end.md5.bytes);
      text("reason", cut(end.reason, kMaxReasonBytes));
    }
    entries("published", m.published);
  }

  void operator()(const IndexQuery& m) {
    begin("index_query", 4 + (m.from ? 1 : 0) + (m.to ? 1 : 0));
    number("id", m.id);
    flag("directories", m.directories);
    if (m.from) signed_number("from", *m.from);
    if (m.to) signed_number("to", *m.to);
    text("pattern", m.pattern);
    text("after", m.after);
  }

  void operator()(const IndexPage& m) {
    begin("index_page", 4);
    number("id", m.id);
    list("rows", m.rows.size(), kMaxPageRows);
    for (const FileRow& row : m.rows) {
      pack_.pack_map(4);
      text("name", row.name);
      number("size", row.size);
      signed_number("mtime", row.mtime_ns);
      text("type", cut(row.type, kMaxTypeBytes));
    }
    text("next", m.next);
    flag("last", m.last);
  }

  void operator()(const FileHash& m) {
    begin("file_hash", 4);
    number("id", m.id);
    text("name", m.name);
    text("after", m.after);
    flag("repair", m.repair);
  }

  void operator()(const FileHashes& m) {
    begin("file_hashes", 4);
    number("id", m.id);
    list("rows", m.rows.size(), kMaxPageRows);
    for (const HashRow& row : m.rows) {
      pack_.pack_map(6);
      text("name", row.name);
      number("size", row.size);
      signed_number("mtime", row.mtime_ns);
      bytes("md5", row.md5.bytes);
      number("state", static_cast<std::uint8_t>(row.state));
      text("reason", cut(row.reason, kMaxReasonBytes));
    }
    text("next", m.next);
    flag("last", m.last);
  }

  void operator()(const Search& m) {
    begin("search", m.quiet ? 6 : 5);
    number("id", m.id);
    text("name", m.name);
    flag("regex", m.regex);
    text("after", m.after);
    bytes("after_node", m.after_node.bytes);
    if (m.quiet) flag("quiet", true);
  }

  void operator()(const Found& m) {
    begin("found", 5);
    number("id", m.id);
    list("records", m.records.size(), kMaxPageRows);
    for (const FoundRecord& record : m.records) {
      pack_.pack_map(8);
      text("name", record.name);
      text("type", cut(record.type, kMaxTypeBytes));
      number("size", record.size);
      signed_number("mtime", record.mtime_ns);
      number("address", record.address.ip);
      number("port", record.address.port);
      bytes("id", record.id.bytes);
      text("node", cut(record.node, kMaxNodeName));
    }
    text("next", m.next);
    bytes("next_node", m.next_node.bytes);
    flag("last", m.last);
  }

  void operator()(const NotFound& m) { only_id("not_found", m.id); }
  void operator()(const Working& m) { only_id("working", m.id); }
  void operator()(const Cancel& m) { only_id("cancel", m.id); }

  void operator()(const Failed& m) {
    begin("failed", 2);
    number("id", m.id);
    text("reason", cut(m.reason, kMaxReasonBytes));
  }

  void operator()(const FileUpload& m) {
    begin("file_upload", 7);
    number("id", m.id);
    text("name", m.name);
    number("size", m.size);
    signed_number("mtime", m.mtime_ns);
    number("mode", m.mode);
    bytes("hash", m.hash.bytes);
    bytes("md5", m.md5.bytes);
  }

  void operator()(const FileUploadAllow& m) {
    begin("file_upload_allow", 3);
    number("id", m.id);
    flag("done", m.done);
    text("name", m.name);
  }

  void operator()(const FileUploadDeny& m) {
    begin("file_upload_deny", 2);
    number("id", m.id);
    text("reason", cut(m.reason, kMaxReasonBytes));
  }

  void operator()(const FileDownloaded& m) {
    begin("file_downloaded", 2);
    text("name", m.name);
    text("result", cut(m.result, kMaxReasonBytes));
  }

  void operator()(const TrashGet& m) {
    begin("trash_get", m.run == 0 ? 3 : 4);
    number("token", m.token);
    text("path", m.path);
    flag("all", m.all);
    if (m.run != 0) number("run", m.run);
  }

  void operator()(const TrashRows& m) {
    begin("trash", 4);
    number("token", m.token);
    list("rows", m.rows.size(), kMaxEntriesPerMessage);
    for (const FoundTrash& row : m.rows) {
      pack_.pack_map(5);
      text("name", row.name);
      text("path", row.path);
      signed_number("time", row.time_ns);
      number("size", row.size);
      bytes("node", row.node.bytes);
    }
    text("error", cut(m.error, kMaxReasonBytes));
    flag("last", m.last);
  }

  void operator()(const RestoreTrash& m) {
    begin("trash_restore", m.over ? 4 : 3);
    number("token", m.token);
    bytes("node", m.node.bytes);
    list("names", m.names.size(), kMaxEntriesPerMessage);
    for (const std::string& name : m.names) raw_text(name);
    if (m.over) bytes("over", m.over->bytes);
  }

  void operator()(const RunsKnown& m) {
    begin("runs", 1);
    list("known", m.words.size(), kMaxRunsKnown);
    for (std::uint64_t word : m.words) pack_.pack_uint64(word);
  }

  void operator()(const RunWord& m) {
    const RunRecord& record = m.record;
    begin("run", 9);
    number("word", static_cast<std::uint8_t>(record.word));
    number("run", record.run);
    number("number", record.number);
    bytes("digest", record.digest.bytes);
    signed_number("time", record.time.ns);
    bytes("key", record.key.bytes);
    bytes("signature", record.signature.bytes);
    number("offset", m.offset);
    LS_ASSERT(m.leaves.size() <= kMaxRunLeafBytes);
    bytes("leaves", m.leaves);
  }

 private:
  void only_id(std::string_view type, std::uint32_t id) {
    begin(type, 1);
    number("id", id);
  }
  void raw_text(std::string_view value) {
    pack_.pack_str(static_cast<std::uint32_t>(value.size()));
    pack_.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
  }
  void raw(ByteView value) {
    pack_.pack_bin(static_cast<std::uint32_t>(value.size()));
    pack_.pack_bin_body(as_text(value).data(), static_cast<std::uint32_t>(value.size()));
  }
  void key(std::string_view name) { raw_text(name); }
  void begin(std::string_view type, std::uint32_t fields) {
    pack_.pack_map(fields + 1);
    text("type", type);
  }
  void text(std::string_view name, std::string_view value) {
    key(name);
    raw_text(value);
  }
  void bytes(std::string_view name, ByteView value) {
    key(name);
    raw(value);
  }
  // pack_uint64 chooses the shortest form, whatever the width of what it is given.
  void number(std::string_view name, std::uint64_t value) {
    key(name);
    pack_.pack_uint64(value);
  }
  void signed_number(std::string_view name, std::int64_t value) {
    key(name);
    pack_.pack_int64(value);
  }
  void flag(std::string_view name, bool value) {
    key(name);
    if (value) {
      pack_.pack_true();
    } else {
      pack_.pack_false();
    }
  }
  // More than the other side accepts is a bug of whoever filled the message.
  void list(std::string_view name, std::size_t size, std::size_t max_size) {
    LS_ASSERT(size <= max_size);
    key(name);
    pack_.pack_array(static_cast<std::uint32_t>(size));
  }

  void ranges(const std::vector<WireRange>& all, std::size_t max_size) {
    list("ranges", all.size(), max_size);
    for (const WireRange& range : all) {
      pack_.pack_array(2);
      pack_.pack_uint64(range.begin);
      pack_.pack_uint64(range.end);
    }
  }

  void entries(std::string_view name, const std::vector<NamedEntry>& named) {
    list(name, named.size(), kMaxEntriesPerMessage);
    for (const NamedEntry& item : named) {
      LS_ASSERT(item.entry != nullptr);
      entry(item.name, item.entry.get(), 0);
    }
  }

  // The map of a name and, if given, its entry, `more` fields to follow. What a kind does not have
  // is left out.
  void entry(const std::string& name, const Entry* e, std::uint32_t more) {
    if (e == nullptr) {
      pack_.pack_map(1 + more);
      text("name", name);
      return;
    }
    std::uint32_t of_kind = 0;
    switch (e->kind) {
      case EntryKind::kFile:
        of_kind = 5;
        break;
      case EntryKind::kDirectory:
        of_kind = 1 + (e->run == 0 ? 0 : 1);
        break;
      case EntryKind::kSymlink:
        of_kind = 2 + (e->run == 0 ? 0 : 1);
        break;
      case EntryKind::kTombstone:
        of_kind = 2 + (e->content.is_zero() ? 0 : 1) + (e->run == 0 ? 0 : 1);
        break;
      case EntryKind::kSetting:
        of_kind = 1;
        break;
    }
    const bool edits_known = !(e->edits == LastEdits{});
    pack_.pack_map(6 + of_kind + (edits_known ? 1 : 0) + more);
    text("name", name);
    number("kind", static_cast<std::uint8_t>(e->kind));
    fields_of_kind(*e);
    // What could not be taken is not sent: Replica::push_order, Hub::start, settle().
    list("version", e->version.parts().size(), kMaxVectorFromOutside);
    for (const VersionVector::Part& part : e->version.parts()) {
      pack_.pack_array(2);
      pack_.pack_uint64(part.id);
      pack_.pack_uint64(part.count);
    }
    if (edits_known) edits(*e);
    number("author", e->author);
    text("host", cut(e->author_name, kMaxNodeName));
    signed_number("time", e->edited.ns);
  }

  void edits(const Entry& e) {
    const LastEdits& last = e.edits;
    const bool one = last.content == last.mode && last.mode == last.mtime;
    list("edits", one ? 1 : 3, 3);
    for (const Edit& edit : {last.content, last.mode, last.mtime}) {
      const Edit known = has_seen(e.version, edit) ? edit : Edit{};
      pack_.pack_array(2);
      pack_.pack_uint64(known.id);
      pack_.pack_uint64(known.count);
      if (one) return;
    }
  }

  void fields_of_kind(const Entry& e) {
    switch (e.kind) {
      case EntryKind::kFile:
        number("size", e.size);
        signed_number("mtime", e.mtime_ns);
        number("mode", e.mode);
        bytes("hash", e.content.bytes);
        bytes("md5", e.md5.bytes);
        break;
      case EntryKind::kDirectory:
        number("mode", e.mode);
        if (e.run != 0) number("run", e.run);
        break;
      case EntryKind::kSymlink:
        bytes("hash", e.content.bytes);
        text("target", e.target);
        if (e.run != 0) number("run", e.run);
        break;
      case EntryKind::kTombstone:
        number("mode", e.mode);
        if (!e.content.is_zero()) bytes("hash", e.content.bytes);
        number("was", static_cast<std::uint8_t>(e.was));
        if (e.run != 0) number("run", e.run);
        break;
      case EntryKind::kSetting:
        number("size", e.size);
        break;
    }
  }

  Sink sink_;
  Packer pack_;
};

}  // namespace

Bytes encode_message(const Message& message) {
  Bytes out;
  out.reserve(1024);
  Encoder encoder(out);
  std::visit(encoder, message);
  return out;
}

std::size_t entry_bytes_bound(const std::string& name, const Entry& entry) {
  // 320: all keys, their values of fixed size, the longest host name and the edits; 18: a pair
  // of 64-bit numbers and its header, 19 with the array's.
  return 320 + name.size() + entry.target.size() + 19 * entry.version.parts().size();
}

}  // namespace lansync
