// What the program around a node may ask of it: the seam between roles and the control socket, the
// terminal view and `lansync stop`.
//
// Invariant: plain values only, copied out; nothing here refers into the node's state. Driven on
// the control thread. Every callback is called once, on the control thread, possibly before the
// call that was given it returns; after cancel(token) it is not called any more.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/carrier_choice.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/role.h"
#include "base/time.h"
#include "roles/ask_control.h"

namespace lansync {

// The first that applies is shown, in this order (CONTRACT, status).
enum class NodeState : std::uint8_t { kError, kHeld, kPaused, kSeeking, kSyncing, kInSync };

enum class PeerState : std::uint8_t {
  kConnected,  // a session
  kKnown,      // roster or beacon
  kLost,
  kRefused,  // turned away: `why` says what for
};

// What a connected node has still to get, as far as this one knows.
struct PeerBehind {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::string why;  // what keeps it there: paused, held, no room; "" if nothing does
};

struct PeerReport {
  NodeId id;         // zero if not known (turned away before it told)
  std::string name;  // as shown to people: name~1a2b where two share one
  Role role = Role::kNone;
  std::string address;  // without the port; "" if not known
  std::uint16_t port = 0;
  PeerState state = PeerState::kKnown;
  std::optional<std::uint32_t> rtt_ms;  // with a session only
  int protocol = 0;                     // the version that it speaks; 0 if not known
  std::string why;                      // refused and lost: the reason, one line
  PeerBehind behind;                    // connected ones
};

struct TransferReport {
  std::string name;
  bool sending = false;  // direction "out", else "in"
  std::string peer;      // name; "" while several serve it
  std::string carrier;   // enet, lane, tcp, local
  std::uint64_t size = 0;
  std::uint64_t done = 0;
  std::uint64_t rate = 0;  // bytes per second, now
};

struct CounterReport {
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t payload_sent = 0;
  std::uint64_t payload_received = 0;
  std::uint64_t chunks_sent = 0;
  std::uint64_t chunks_resent = 0;
  std::uint64_t chunks_received = 0;
  std::uint64_t beacons_sent = 0;
  std::uint64_t beacons_received = 0;
  std::uint64_t auth_failures = 0;
  std::uint64_t rejected = 0;
};

struct HubReport {
  NodeId id;
  std::string name;
};

// What waits for a person's word (CONTRACT, confirm). The one list of kinds.
enum class HoldKind : std::uint8_t {
  kDeletes,  // a run of deletes
  kNetwork,  // strangers on a network that is new to an open group
  kRoom,     // a first pull that would not fit
  kAbsence,  // files of a node that was away for over a year, which the hub does not know
  kStrays,   // files on a store whose index was lost, equal to none of the group
  kName,     // a damaged copy on a store
};
const char* to_string(HoldKind kind);

struct HoldReport {
  HoldKind kind = HoldKind::kDeletes;
  std::string run;  // deletes: as `confirm` and `reject` take it
  std::uint64_t number = 0;
  std::vector<std::string> names;  // the first few
  std::string author;
  std::optional<WallTime> since;
  std::string says;  // one line
};

struct StatusReport {
  NodeId id;
  std::string name;
  std::string version;  // of the program
  std::string group;
  bool open = false;  // no password
  Role role = Role::kNone;
  std::string why_role;
  std::optional<HubReport> hub;  // ourselves on the hub
  std::uint64_t term = 0;
  NodeState state = NodeState::kSeeking;
  std::string reason;  // what is wrong or awaited, and what to do; "" when in sync
  std::string folder;  // absolute path
  std::uint64_t files = 0;
  std::uint64_t directories = 0;
  std::uint64_t bytes = 0;
  std::uint64_t absent_files = 0;  // known, their content not on this disk
  std::uint64_t absent_bytes = 0;
  bool on_demand = false;
  std::uint64_t pending_files = 0;
  std::uint64_t pending_bytes = 0;
  // Of that and what is done of it by now; on a hub that is in sync, of the member that is behind
  // most.
  std::uint64_t total_files = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t left_files = 0;
  std::uint64_t left_bytes = 0;
  double files_per_second = 0;
  double bytes_per_second = 0;
  std::optional<std::uint64_t> seconds_left;
  std::uint64_t held_deletes = 0;
  std::vector<HoldReport> held;
  std::uint64_t conflicts = 0;
  std::uint64_t under_replicated = 0;
  std::uint64_t only_here = 0;      // files that no other node is known to have
  std::vector<OfferReport> offers;  // uploads that wait for a person's word here
  std::vector<PeerReport> peers;    // the other nodes, those that were turned away too
  std::vector<TransferReport> transfers;
  CounterReport counters;
};

struct ConflictReport {
  std::string path;  // of the copy
  std::string of;    // the file that it is a version of
  std::string host;  // whose version it is
  WallTime time;     // when that version was made
};

struct TrashReport {
  std::string name;  // in the trash: what `.lansync/trash` shows
  std::string path;  // where it was
  WallTime time;     // when it went there
  std::uint64_t size = 0;
  std::string node;  // whose trash it is in
};

// What a person asks back: a file or a directory, as it was at `time`, else the latest.
struct TrashRestore {
  std::string path;
  std::optional<WallTime> time;
};

// One thing that a sync would do now.
struct PlanReport {
  std::string action;  // push, fetch, delete, delete-there, conflict, metadata, held, ...
  std::string path;
  std::string why;
  std::uint64_t size = 0;
};

// What confirm, reject, pause, resume, rescan and stop did.
struct ActionReport {
  std::string message;             // one line: "120 deletes go out"
  std::uint64_t count = 0;         // how many things it touched
  std::vector<std::string> names;  // which, as far as they have names
};

// What became of the files of a run of deletes that was undone.
enum class RejectOutcome : std::uint8_t {
  kBack,
  kLeft,     // it lived again before, and was left alone
  kMissing,  // nobody who is connected has it: it comes when its holder does
};
struct RejectRow {
  std::string name;
  RejectOutcome outcome = RejectOutcome::kBack;
};
struct RejectReport {
  std::vector<std::string> runs;
  std::vector<RejectRow> rows;  // by name
};

struct InterfaceFacts {
  std::string name;
  std::string address;  // "192.168.1.7/24"
  bool used = false;
  std::string why_not;  // when not used
  std::uint64_t beacons_sent = 0;
  std::uint64_t beacons_heard = 0;  // from others, of any group
  std::uint64_t members_heard = 0;  // nodes of our group heard here lately
  std::string send_error;           // the last one; "" if none
  std::uint64_t own_heard = 0;      // our own beacons, given back by the kernel
  std::uint32_t index = 0;          // the kernel's; not shown
};

struct DoctorFinding {
  bool problem = false;  // else a remark
  std::string what;
  std::string advice;  // what to do; may be ""
};

struct DoctorFacts {
  std::vector<InterfaceFacts> interfaces;
  std::uint16_t port = 0;         // N/udp and N/tcp; the lane is N+1
  std::uint16_t beacon_port = 0;  // udp
  std::uint64_t receive_buffer = 0;
  std::uint64_t send_buffer = 0;
  std::uint64_t watches_used = 0;
  std::uint64_t watches_limit = 0;  // 0: not known
  std::vector<DoctorFinding> findings;
  std::uint64_t instances_limit = 0;  // of inotify, for one user; 0: not known
  std::string firewall;               // what of the packet filter could be read
};

struct DownloadAsk {
  std::string name;
  std::string peer;  // a node's name; "": whoever holds it
  CarrierChoice carrier = CarrierChoice::kAuto;
  bool aside = false;  // lend the bytes, put nothing into the folder
};

struct DownloadReport {
  std::string name;
  std::uint64_t size = 0;
  WallTime mtime;
  std::string md5;
  std::string peer;
  std::string carrier;  // enet, lane, tcp; local: it was here, and nobody else was
  double seconds = 0;
  std::uint16_t mode = 0;
  // With `aside`: where the bytes stand, relative to the folder, until give_back(token) or 30 s.
  std::string file;
  std::uint64_t token = 0;
};

struct WaitAsk {
  std::uint32_t peers = 0;
  bool all = false;  // and every connected node has it
};

class NodeControl : public AskControl {
 public:
  // Answered from memory, in every state.
  virtual StatusReport status() = 0;
  virtual std::vector<PeerReport> peers() = 0;  // with those turned away
  virtual std::vector<ConflictReport> conflicts() = 0;
  virtual std::vector<PlanReport> plan() = 0;

  // What waits for a person's word; and that a person has seen it: what joins later is not meant by
  // a word that follows.
  virtual std::vector<HoldReport> holds() = 0;
  virtual void note_shown() = 0;
  // Lets go what is held of this kind; of deletes those of one run, or of all (""). Errors are for
  // the person who asked: "no deletes are held".
  virtual Token confirm(HoldKind kind, const std::string& run, Callback<ActionReport> done) = 0;
  // Undoes a run of deletes, or all that are held (""); answers when the files are back.
  virtual Token reject(const std::string& run, Callback<RejectReport> done) = 0;
  virtual Result<ActionReport> pause() = 0;
  virtual Result<ActionReport> resume() = 0;
  virtual Result<ActionReport> rescan() = 0;
  // Begins the orderly end: goodbye, then the program's loop ends.
  virtual Result<ActionReport> stop() = 0;

  // This node's trash and that of the members that can be asked, newest first.
  virtual Token trash(std::optional<WallTime> since, Callback<std::vector<TrashReport>> done) = 0;
  // Files move on workers: answers with what was brought back.
  virtual Token trash_restore(const TrashRestore& what,
                              Callback<std::vector<TrashReport>> done) = 0;
  // Fetches the content of the group's files at or below `names`; answers when it is here,
  // verified.
  virtual Token get(const std::vector<std::string>& names, Callback<ActionReport> done) = 0;
  // Frees the space of those that a full replica in sync says that it keeps.
  virtual Token drop(const std::vector<std::string>& names, Callback<ActionReport> done) = 0;
  // Fetches the file now, from that node or whoever holds it, straight; answers when it is whole.
  virtual Token download(const DownloadAsk& what, Callback<DownloadReport> done) = 0;
  virtual void give_back(Token token) = 0;
  // Answers with the status at the moment when `peers` other nodes are known and this node is in
  // sync, every change made on its disk before this call included; on the hub, when these are on
  // another full replica too, if one is connected (CONTRACT, wait).
  virtual Token wait(const WaitAsk& what, Callback<StatusReport> done) = 0;
  // Looks at the machine too, which takes a second or two at most.
  virtual Token doctor(Callback<DoctorFacts> done) = 0;
  // An unknown or finished token is fine.
  virtual void cancel(Token token) = 0;
};

}  // namespace lansync
