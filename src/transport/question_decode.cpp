#include "transport/question_decode.h"

#include <algorithm>
#include <array>

#include "transport/message_readers.h"

namespace lansync::wire {
namespace {

constexpr NameTable<7> kIndexQueryNames = {"type", "id",      "directories", "from",
                                           "to",   "pattern", "after"};

Message read_index_query(Fields& in, Fault&) {
  IndexQuery m;
  m.id = in.number<std::uint32_t>(1);
  m.directories = in.flag(2);
  if (in.has(3)) m.from = in.signed_number(3);
  if (in.has(4)) m.to = in.signed_number(4);
  m.pattern = in.text(5, kMaxPattern);
  m.after = in.path(6, true);
  return m;
}

constexpr NameTable<5> kPageNames = {"type", "id", "rows", "next", "last"};
constexpr NameTable<4> kFileRowNames = {"name", "size", "mtime", "type"};

Message read_index_page(Fields& message, Fault& fault) {
  IndexPage m;
  m.id = message.number<std::uint32_t>(1);
  std::span<const Object> list = message.list(2, kMaxPageRows);
  m.rows.reserve(list.size());
  for (const Object& object : list) {
    Fields in(object, kFileRowNames, fault);
    if (fault.any) break;
    FileRow& row = m.rows.emplace_back();
    row.name = in.path(0);
    row.size = in.number(1, kMaxFileSize);
    row.mtime_ns = in.signed_number(2);
    row.type = in.text(3, kMaxTypeBytes);
  }
  m.next = message.path(3, true);
  m.last = message.flag(4);
  return m;
}

constexpr NameTable<5> kFileHashNames = {"type", "id", "name", "after", "repair"};

Message read_file_hash(Fields& in, Fault&) {
  FileHash m;
  m.id = in.number<std::uint32_t>(1);
  m.name = in.path(2, true);
  m.after = in.path(3, true);
  m.repair = in.flag(4);
  return m;
}

constexpr NameTable<6> kHashRowNames = {"name", "size", "mtime", "md5", "state", "reason"};

Message read_file_hashes(Fields& message, Fault& fault) {
  FileHashes m;
  m.id = message.number<std::uint32_t>(1);
  std::span<const Object> list = message.list(2, kMaxPageRows);
  m.rows.reserve(list.size());
  for (const Object& object : list) {
    Fields in(object, kHashRowNames, fault);
    if (fault.any) break;
    HashRow& row = m.rows.emplace_back();
    row.name = in.path(0);
    row.size = in.number(1, kMaxFileSize);
    row.mtime_ns = in.signed_number(2);
    row.md5 = in.id<Md5>(3);
    row.state = static_cast<HashState>(in.number(4, static_cast<std::uint64_t>(HashState::kGone)));
    row.reason = in.text(5, kMaxReasonBytes);
  }
  m.next = message.path(3, true);
  m.last = message.flag(4);
  return m;
}

constexpr NameTable<7> kSearchNames = {"type",  "id",         "name", "regex",
                                       "after", "after_node", "quiet"};

Message read_search(Fields& in, Fault&) {
  Search m;
  m.id = in.number<std::uint32_t>(1);
  m.regex = in.flag(3);
  m.name = m.regex ? in.text(2, kMaxPattern) : in.path(2);
  m.after = in.path(4, true);
  m.after_node = in.id<NodeId>(5);
  if (in.has(6)) m.quiet = in.flag(6);
  return m;
}

constexpr NameTable<6> kFoundNames = {"type", "id", "records", "next", "next_node", "last"};
constexpr NameTable<8> kRecordNames = {"name",    "type", "size", "mtime",
                                       "address", "port", "id",   "node"};

Message read_found(Fields& message, Fault& fault) {
  Found m;
  m.id = message.number<std::uint32_t>(1);
  std::span<const Object> list = message.list(2, kMaxPageRows);
  m.records.reserve(list.size());
  for (const Object& object : list) {
    Fields in(object, kRecordNames, fault);
    if (fault.any) break;
    FoundRecord& record = m.records.emplace_back();
    record.name = in.path(0);
    record.type = in.text(1, kMaxTypeBytes);
    record.size = in.number(2, kMaxFileSize);
    record.mtime_ns = in.signed_number(3);
    record.address.ip = in.number<std::uint32_t>(4);
    record.address.port = in.number<std::uint16_t>(5);
    record.id = in.id<NodeId>(6);
    record.node = in.text(7, kMaxNodeName);
  }
  m.next = message.path(3, true);
  m.next_node = message.id<NodeId>(4);
  m.last = message.flag(5);
  return m;
}

constexpr NameTable<2> kIdNames = {"type", "id"};
constexpr NameTable<3> kReasonNames = {"type", "id", "reason"};

template <typename T>
Message read_id(Fields& in, Fault&) {
  T m;
  m.id = in.number<std::uint32_t>(1);
  return m;
}

template <typename T>
Message read_reason(Fields& in, Fault&) {
  T m;
  m.id = in.number<std::uint32_t>(1);
  m.reason = in.text(2, kMaxReasonBytes);
  return m;
}

constexpr NameTable<8> kUploadNames = {"type",  "id",   "name", "size",
                                       "mtime", "mode", "hash", "md5"};

Message read_upload(Fields& in, Fault& fault) {
  FileUpload m;
  m.id = in.number<std::uint32_t>(1);
  m.name = in.path(2);
  if (m.name.find('/') != std::string::npos) fault.set("an upload with a directory in its name");
  m.size = in.number(3, kMaxFileSize);
  m.mtime_ns = in.signed_number(4);
  m.mode = in.number<std::uint16_t>(5, 0777);
  m.hash = in.id<ContentId>(6);
  m.md5 = in.id<Md5>(7);
  return m;
}

constexpr NameTable<4> kAllowNames = {"type", "id", "done", "name"};

Message read_allow(Fields& in, Fault&) {
  FileUploadAllow m;
  m.id = in.number<std::uint32_t>(1);
  m.done = in.flag(2);
  m.name = in.path(3, true);
  return m;
}

constexpr NameTable<5> kTrashGetNames = {"type", "token", "path", "all", "run"};

Message read_trash_get(Fields& in, Fault&) {
  TrashGet m;
  m.token = in.number<std::uint64_t>(1);
  m.path = in.path(2, true);
  m.all = in.flag(3);
  if (in.has(4)) m.run = in.number<std::uint64_t>(4);
  return m;
}

// A name in a trash: a folder of its own for each displaced thing, then the path that it had. It is
// looked up in an index and never opened as it comes; control bytes would still reach a log.
bool is_trash_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxTrashName &&
         std::none_of(name.begin(), name.end(), [](char c) { return c >= 0 && c < 0x20; });
}

constexpr NameTable<3> kDownloadedNames = {"type", "name", "result"};

Message read_downloaded(Fields& in, Fault&) {
  FileDownloaded m;
  m.name = in.path(1);
  m.result = in.text(2, kMaxReasonBytes);
  return m;
}

constexpr NameTable<5> kTrashNames = {"type", "token", "rows", "error", "last"};
constexpr NameTable<5> kTrashRowNames = {"name", "path", "time", "size", "node"};

Message read_trash(Fields& message, Fault& fault) {
  TrashRows m;
  m.token = message.number<std::uint64_t>(1);
  std::span<const Object> list = message.list(2, kMaxEntriesPerMessage);
  m.rows.reserve(list.size());
  for (const Object& object : list) {
    Fields in(object, kTrashRowNames, fault);
    if (fault.any) break;
    FoundTrash& row = m.rows.emplace_back();
    row.name = in.text(0, kMaxTrashName);
    row.path = in.path(1);
    row.time_ns = in.signed_number(2);
    row.size = in.number(3, kMaxFileSize);
    row.node = in.id<NodeId>(4);
    if (!is_trash_name(row.name)) fault.set("a trash name that cannot be one");
  }
  m.error = message.text(3, kMaxReasonBytes);
  m.last = message.flag(4);
  return m;
}

constexpr NameTable<5> kTrashRestoreNames = {"type", "token", "node", "names", "over"};

Message read_trash_restore(Fields& in, Fault& fault) {
  RestoreTrash m;
  m.token = in.number<std::uint64_t>(1);
  m.node = in.id<NodeId>(2);
  std::span<const Object> list = in.list(3, kMaxEntriesPerMessage);
  m.names.reserve(list.size());
  for (const Object& object : list) {
    bool fits = object.type == msgpack::type::STR;
    if (fits) m.names.emplace_back(object.via.str.ptr, object.via.str.size);
    if (fits && is_trash_name(m.names.back())) continue;
    fault.set("a trash name that cannot be one");
    break;
  }
  if (in.has(4)) m.over = in.id<ContentId>(4);
  return m;
}

constexpr NameTable<2> kRunsNames = {"type", "known"};

Message read_runs(Fields& in, Fault& fault) {
  RunsKnown m;
  for (const Object& object : in.list(1, kMaxRunsKnown)) {
    if (object.type != msgpack::type::POSITIVE_INTEGER) {
      fault.set("a word that is no number");
      break;
    }
    m.words.push_back(object.via.u64);
  }
  return m;
}

constexpr NameTable<10> kRunNames = {"type", "word", "run",       "number", "digest",
                                     "time", "key",  "signature", "offset", "leaves"};

Message read_run(Fields& in, Fault& fault) {
  RunWord m;
  RunRecord& record = m.record;
  const std::uint64_t word = in.number(1, 2);
  if (word == 0) fault.set("an unknown word");
  record.word = static_cast<RunDecision>(word);
  record.run = in.number<std::uint64_t>(2);
  record.number = in.number(3, kMaxRunDeletes);
  record.digest = in.id<ContentId>(4);
  record.time.ns = in.signed_number(5);
  record.key = in.id<PublicKey>(6);
  record.signature = in.id<Signature>(7);
  m.offset = in.number(8, kMaxRunDeletes);
  ByteView leaves = in.bytes(9, kMaxRunLeafBytes);
  m.leaves.assign(leaves.begin(), leaves.end());
  const std::uint64_t end = m.offset + leaves.size() / kRunLeafBytes;
  if (leaves.size() % kRunLeafBytes != 0 || end > record.number)
    fault.set("leaves that do not fit their run");
  return m;
}

constexpr Reader kReaders[] = {
    {"index_query", kIndexQueryNames, read_index_query},
    {"index_page", kPageNames, read_index_page},
    {"file_hash", kFileHashNames, read_file_hash},
    {"file_hashes", kPageNames, read_file_hashes},
    {"search", kSearchNames, read_search},
    {"found", kFoundNames, read_found},
    {"not_found", kIdNames, read_id<NotFound>},
    {"working", kIdNames, read_id<Working>},
    {"cancel", kIdNames, read_id<Cancel>},
    {"failed", kReasonNames, read_reason<Failed>},
    {"file_upload", kUploadNames, read_upload},
    {"file_upload_allow", kAllowNames, read_allow},
    {"file_upload_deny", kReasonNames, read_reason<FileUploadDeny>},
    {"file_downloaded", kDownloadedNames, read_downloaded},
    {"trash_get", kTrashGetNames, read_trash_get},
    {"trash", kTrashNames, read_trash},
    {"trash_restore", kTrashRestoreNames, read_trash_restore},
    {"runs", kRunsNames, read_runs},
    {"run", kRunNames, read_run},
};

}  // namespace

std::optional<Message> read_question(std::string_view type, const Object& object, Fault& fault) {
  return read_by_table(kReaders, type, object, fault);
}

}  // namespace lansync::wire
