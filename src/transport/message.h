// The messages between members, as plain structs. Everything after the handshake is one of these,
// as a msgpack map with a `type` (docs/protocol.md), or a chunk (fixed binary, see encode_chunk).
// Only message_encode.cpp, message_decode.cpp and message_fields.h know msgpack.
//
// Limits are part of the format: decode refuses what exceeds them, whoever sent it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/carrier_choice.h"
#include "base/entry.h"
#include "base/ids.h"
#include "base/role.h"
#include "base/run.h"
#include "transport/question_messages.h"

namespace lansync {

inline constexpr std::size_t kChunkBytes = 1000;           // DESIGN, Words
inline constexpr std::size_t kMaxEntriesPerMessage = 512;  // keeps a batch well below 256 KiB
inline constexpr std::size_t kMaxNodeName = 64;
inline constexpr std::size_t kMaxRoster = 2048;  // ENet peerCount (reliability.md E5)
inline constexpr std::size_t kMaxRanges = 1024;
inline constexpr std::size_t kMaxDigestBytes = 64 * 1024;
inline constexpr std::size_t kMaxDigestBuckets = 4096;  // kMaxDigestBytes of 16-byte digests
inline constexpr std::size_t kMaxReasonBytes = 256;
inline constexpr std::size_t kMaxWhere = 64;    // contents asked for at once
inline constexpr std::size_t kMaxHolders = 16;  // told of one content
inline constexpr std::size_t kMaxPartRanges = 128;
inline constexpr std::size_t kMaxComing = 64;  // contents told of at once
inline constexpr std::size_t kMaxRunsKnown = 1024;
inline constexpr std::size_t kRunLeafBytes = 16;
inline constexpr std::size_t kMaxRunLeafBytes = 4096 * kRunLeafBytes;
inline constexpr std::uint64_t kMaxRunDeletes = std::uint64_t{1} << 22;
inline constexpr std::size_t kMaxTrashName = 4352;  // a path, and the stamp before it
// A hub's sequence counts what it published in its reign; a reign begins below 2^62 (Node).
inline constexpr std::uint64_t kMaxSeq = ~std::uint64_t{0} >> 1;

// What a node says about itself in a session: `hello` from the side that dialled, `hi` in answer,
// and `hi` again whenever something in it changes. The hub's first one carries the group's beacon
// key.
struct Hello {
  bool answer = false;  // type hi
  std::string name;
  std::string program;  // version of the program, for people
  Role role = Role::kNone;
  ManualRole manual = ManualRole::kAuto;
  bool full_replica = true;
  bool has_data = false;
  std::uint8_t disk_log2 = 0;
  std::uint64_t term = 0;       // highest term this node knows
  std::uint64_t sync_term = 0;  // hub term and sequence at which it was last in sync
  std::uint64_t seq = 0;
  std::uint32_t members = 0;   // hub: sessions of members, itself included
  std::uint16_t port = 0;      // ENet's
  NodeId hub;                  // whom it follows; itself if hub; zero if none
  std::uint64_t hub_term = 0;  // that hub's term
  bool in_sync = false;        // with that hub: it hands over only to such a node
  bool full = false;           // its disk has no room for what came lately
  bool unanswered = false;     // that hub has given no verdict for 15 s
  bool hub_live = false;       // has heard that hub, authenticated, within the last 2 s
  std::optional<BeaconKey> beacon_key;
  // The first one of a session: the sender's runs, oldest first, the last being this one.
  std::vector<Run> runs;
  bool operator==(const Hello&) const = default;
};

// "I am the hub of term N." Counts only inside a session; durable at the sender before it is sent.
struct Claim {
  std::uint64_t term = 0;
  std::uint32_t members = 0;
};

struct RosterRow {
  NodeId node;
  BootId boot;
  std::string name;
  Address address;
  Role role = Role::kNone;
};
// The hub's numbered list of members, best successor first (the hub itself is not in it).
struct Roster {
  std::uint64_t term = 0;
  std::uint32_t number = 0;
  std::vector<RosterRow> rows;
};

// Leaving (or stepping down). `successor` is who should be hub now; zero = unknown.
struct Bye {
  std::string reason;  // stop, step-down, clone, refused
  NodeId successor;
};

// "You have a key that is somebody else's too": the receiver has to take a new one.
struct Clone {
  bool live = false;  // another node answers under it; else it has not stated a run that is known
};

// What keeps a member from taking what the group has, until a person or its disk ends it. kCannot:
// it is in sync but for some files that cannot stand on its disk as the group has them.
enum class Obstacle : std::uint8_t { kNone, kPaused, kHeld, kNoRoom, kError, kCannot };
inline constexpr std::uint64_t kLastObstacle = 5;

// Keeps "nothing authenticated for 2 s" from being true of a quiet session. Each 500 ms.
struct Ping {
  // A member's, to its hub: one more than the hub's sequence at which it was last in sync with it;
  // 0: not yet, or it is not the sender's hub.
  std::uint64_t seq = 0;
  // What a member still waits for, for people, as of the hub's sequence `heard`. On the wire only
  // if one of the four is not zero.
  std::uint64_t heard = 0;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  Obstacle obstacle = Obstacle::kNone;

  bool tells_progress() const {
    return heard != 0 || files != 0 || bytes != 0 || obstacle != Obstacle::kNone;
  }
};

// Join: "here is what I hold, as digests; send what differs." `digests` holds bucket_count digests
// of 16 bytes (sync/tree_digest.h). bucket_count is a power of two, at most 4096.
struct IndexGet {
  std::uint32_t bucket_count = 0;
  Bytes digests;
  // This node's own edit counter: a hub that saw a higher one says so.
  std::uint64_t count_high = 0;
  std::uint32_t round = 0;  // of this node: the answer carries it, so that a late one is known
  // Since this node last saw the receiver, in seconds and one more; 0: it does not know.
  std::uint64_t away = 0;
};

// A client heard another hub of the group: its own hub has to know (DESIGN, Self-assignment 5).
struct HubHeard {
  NodeId node;
  Address address;
};

// "Answer when you have sent everything before this": what `wait` uses to know that nothing is on
// its way. The answer comes on the same channel as updates.
struct Mark {
  std::uint64_t token = 0;
  bool answer = false;
  bool all = false;  // the answer waits until every connected member has what the hub has now
  // Not zero: no answer yet, but word of a member that is waited for, for people. On the wire only
  // then.
  NodeId behind{};
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  Obstacle obstacle = Obstacle::kNone;
};

// "Which of these contents do you keep?", asked before a copy is dropped. A full replica that is in
// sync answers with those that stand on its disk at this moment; an on-demand hub for the full
// replicas among its members; others with none.
struct Holds {
  std::uint64_t token = 0;
  bool answer = false;
  std::vector<ContentId> hashes;
};

struct NamedEntry {
  std::string name;
  EntryPtr entry;  // never null after decode
};

// The hub's word on entries. `snapshot`: the complete content of the buckets listed since the last
// message with `buckets`; entries of those buckets that are not in it are unknown to the hub.
struct Update {
  std::uint64_t term = 0;
  std::uint64_t seq = 0;    // the hub's sequence after this batch
  std::uint32_t round = 0;  // snapshot: of the index_get that it answers
  bool snapshot = false;    // part of the answer to index_get
  bool last = false;        // snapshot: nothing more to come
  std::uint64_t count_seen =
      0;  // snapshot, last: the highest edit count the group knows of the receiver
  // snapshot, last: since the hub saw the receiver, and since it saw it in sync with itself, in
  // seconds and one more; 0: it does not know.
  std::uint64_t away = 0;
  std::uint64_t unsynced = 0;
  std::vector<std::uint32_t>
      buckets;  // snapshot: whose entries this message begins (differing ones)
  std::vector<NamedEntry> entries;
};

struct PushItem {
  std::string name;
  EntryPtr entry;
};
struct Push {
  std::vector<PushItem> items;
};

// The hub's answer for some of the pushed names. For kHave `entry` is the hub's entry now; for
// kConflict `copy` is the name under which the pushed version will be kept; for kRefuse `reason`.
enum class VerdictKind : std::uint8_t { kAccept, kHave, kConflict, kRefuse };
struct VerdictItem {
  std::string name;
  EntryPtr entry;      // may be null
  std::string detail;  // copy name, or reason
};
struct Verdict {
  VerdictKind kind = VerdictKind::kAccept;
  std::vector<VerdictItem> items;
};

// "My socket of this carrier, and the id that I seal under": opens a carrier between the two, or
// opens it anew. Whoever gets one that is no answer, without having one of its own on the way,
// answers. Port 0: this node has no such carrier, or closes it because nothing went by it.
struct Carrier {
  bool tcp = false;  // kind: 1 lane, 2 tcp
  bool answer = false;
  std::uint16_t port = 0;
  std::array<std::uint8_t, 8> id{};  // fresh; derive_carrier_key
};

// Half-open byte range; begin < end.
struct WireRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool operator==(const WireRange&) const = default;
};

// "Who has these contents?"
struct Where {
  std::vector<ContentId> hashes;
};
// What the asked node has itself, and (the hub alone) who else has it, or part of it, as far as it
// knows. Hints: who is asked for it may still say that it is not there.
struct HolderRow {
  NodeId node;
  Address address;
  bool part = false;
};
struct HolderItem {
  ContentId hash;
  bool whole = false;
  std::vector<WireRange> ranges;  // what is here of it, if it is not whole
  std::vector<HolderRow> nodes;
};
struct Holders {
  std::vector<HolderItem> items;
};

// The hub is fetching what a member pushed: who wants it may fetch along, as far as the hub has it
// (`where` says). It is nobody's before the hub's `update`. `over`: nothing will come of it. Of
// those who are told, this is number `part` of `parts`: each asks the hub for other pieces first.
struct ComingItem {
  std::string name;
  ContentId hash;
  std::uint64_t size = 0;
  bool over = false;
  std::uint16_t part = 0;  // below parts
  std::uint16_t parts = 1;
};
struct Coming {
  std::vector<ComingItem> items;
};

// "Send me these bytes of that content." `name` is a hint where to find it. `transfer` is chosen by
// the receiver, unique in the session; what comes back carries it.
struct RequestItem {
  std::uint32_t transfer = 0;
  ContentId hash;
  std::string name;
  std::uint64_t size = 0;
  std::vector<WireRange> ranges;
};
// `carrier` is how the asker wants what is large; small files come in the session whatever it says.
struct Request {
  std::vector<RequestItem> items;
  CarrierChoice carrier = CarrierChoice::kAuto;
};
// Before the first chunk of a transfer. On kContent, as are chunks and Done, so that they keep
// order.
struct DownloadItem {
  std::uint32_t transfer = 0;
  std::string name;
  std::uint64_t size = 0;
};
struct Download {
  std::vector<DownloadItem> items;
};
// "These bytes are zeros": a hole of a sparse file travels as a range. On kContent, between chunks.
struct Hole {
  std::uint32_t transfer = 0;
  std::uint64_t begin = 0;  // on a chunk border
  std::uint64_t end = 0;    // on one, or the size
};
// After the last chunk of a transfer, or instead of it: `ok` false and why (changed, gone, io).
struct TransferEnd {
  std::uint32_t transfer = 0;
  bool ok = true;
  Md5 md5;  // of the whole content
  std::string reason;
};
// `done`: transfers that ended, and pushed names that are now the group's (their entry as
// committed).
struct Done {
  std::vector<TransferEnd> transfers;
  std::vector<NamedEntry> published;
};

// "What is in your trash at or below this path?" `all`: and in that of your members (asked of a
// hub).
struct TrashGet {
  std::uint64_t token = 0;
  std::string path;  // empty: everything
  bool all = false;
  RunId run = 0;  // not 0: of that run of deletes only, just what its tombstones name
};
struct FoundTrash {
  std::string name;  // in that node's trash
  std::string path;  // where it was
  std::int64_t time_ns = 0;
  std::uint64_t size = 0;
  NodeId node;  // whose trash has it
};
// Answers trash_get with what is there, and trash_restore with what came back.
struct TrashRows {
  std::uint64_t token = 0;
  std::vector<FoundTrash> rows;
  std::string error;
  bool last = false;
};
// "Put these back into your folder." For `node`; a hub hands it on to its member. What stands in
// their place is left alone, unless it is what whoever asks sees there and wants replaced.
struct RestoreTrash {
  std::uint64_t token = 0;
  NodeId node;
  std::vector<std::string> names;
  std::optional<ContentId> over;
};

// A person's word on a run of deletes, signed with the key of the node where it was given: these
// deletes may go, or the run is undone (DESIGN, Deletes).
enum class RunDecision : std::uint8_t { kConfirmed = 1, kRejected = 2 };
struct RunRecord {
  RunDecision word = RunDecision::kConfirmed;
  RunId run = 0;
  std::uint64_t number = 0;  // of its leaves; rejected: of its deletes, for people
  ContentId digest;          // over the leaves, in order; rejected: zeros
  WallTime time;
  PublicKey key;
  Signature signature;
  bool operator==(const RunRecord&) const = default;
};
// "These words I know", each by the first 8 bytes of its signature. Both sides say so when they
// meet, and send what the other lacks.
struct RunsKnown {
  std::vector<std::uint64_t> words;
};
// One of them. Its leaves, 16 bytes each and in order, come in as many messages as they need.
struct RunWord {
  RunRecord record;
  std::uint64_t offset = 0;  // of the first leaf here
  Bytes leaves;
};

using AnyMessage =
    std::variant<Hello, Claim, Roster, Bye, Clone, Ping, HubHeard, Mark, Holds, IndexGet, Update,
                 Push, Verdict, Request, Download, Hole, Done, Carrier, Where, Holders, Coming,
                 IndexQuery, IndexPage, FileHash, FileHashes, Search, Found, NotFound, Working,
                 Failed, Cancel, FileUpload, FileUploadAllow, FileUploadDeny, FileDownloaded,
                 TrashGet, TrashRows, RestoreTrash, RunsKnown, RunWord>;

// One of them. A type of its own whose copying is compiled once (message_codec.cpp): instantiated
// in each file that keeps messages, that alone took 2 s a file.
struct Message : AnyMessage {
  using AnyMessage::AnyMessage;
  Message();
  Message(const Message& other);
  Message(Message&& other) noexcept;
  Message& operator=(const Message& other);
  Message& operator=(Message&& other) noexcept;
  ~Message();
};

// The name in `type`: hello, hi, claim, roster, bye, clone, ping, hub_heard, mark, holds,
// index_get, update, push, accept, have, conflict, refuse, request, download, hole, done, carrier,
// where, holders, coming, index_query, index_page, file_hash, file_hashes, search, found,
// not_found, working, failed, cancel, file_upload, file_upload_allow, file_upload_deny, trash_get,
// trash, trash_restore, runs, run.
std::string_view message_type(const Message& message);

// Names, reasons and program versions of our own that are too long are cut, so that a long host
// name cannot make others refuse us.
Bytes encode_message(const Message& message);
// At most so many bytes of a message are one entry's (of `update`, `push`, `done`, a verdict): what
// a batch is cut by, kMaxMessageBytes being the end.
std::size_t entry_bytes_bound(const std::string& name, const Entry& entry);
// What a message needs besides its entries, at most (buckets apart: 5 bytes each).
inline constexpr std::size_t kMessageOverheadBytes = 256;
// nullopt for anything malformed, over a limit, of an unknown type, with a duplicate or missing
// field, with bytes after its end, or with a name that is not a valid path. `why` then says which.
std::optional<Message> decode_message(ByteView bytes, std::string* why = nullptr);

// A chunk: 0xC1 (the byte that msgpack never uses) | transfer4 | chunk number8 | 1..1000 bytes.
struct Chunk {
  std::uint32_t transfer = 0;
  std::uint64_t number = 0;
  ByteView bytes;
};
inline constexpr std::uint8_t kChunkMark = 0xC1;
inline constexpr std::size_t kChunkHeaderBytes = 13;
inline bool is_chunk(ByteView packet) { return !packet.empty() && packet[0] == kChunkMark; }
// Writes header and bytes to `out` (cleared first; reused so that a GiB does not mean a million
// allocations).
void encode_chunk(const Chunk& chunk, Bytes& out);
std::optional<Chunk> decode_chunk(ByteView packet);

}  // namespace lansync
