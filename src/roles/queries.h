// What this node answers to the questions of others: its index, its files read anew, and, on the
// hub, who has what.
//
// Invariants: a turn does kTurnCost steps of work at most, whatever is asked, and disks are read in
// jobs; at most kMaxPerSession questions of a session run at once, each with one page in memory.
// Driven by roles/node on the control thread; the asking side is roles/questions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/time.h"
#include "sync/content_types.h"
#include "sync/examiner.h"
#include "sync/name_pattern.h"
#include "sync/replica.h"
#include "transport/message.h"
#include "transport/session.h"

namespace lansync {

// A node that holds something, as the hub knows it.
struct HolderInfo {
  NodeId node;
  Address address;  // zeros: this node
  std::string name;
};

// Implemented by roles/node.
class QueryHost {
 public:
  virtual ~QueryHost() = default;
  virtual void answer(SessionId session, const Message& message) = 0;
  virtual bool acts_as_hub() const = 0;
  // Ordered by node id; of what was published only.
  virtual std::vector<HolderInfo> holders_of(const std::string& path,
                                             const PathRecord& record) const = 0;
  // A question ended: for the history.
  virtual void answered(SessionId session, const std::string& command, const std::string& arguments,
                        const std::string& result) = 0;
};

class Queries {
 public:
  static constexpr std::size_t kMaxPerSession = 16;
  static constexpr std::size_t kMaxInAll = 256;
  static constexpr std::uint64_t kTurnCost = 4'000'000;     // some 10 ms
  static constexpr std::size_t kHashFiles = 64;             // a page of hashes,
  static constexpr std::uint64_t kHashBytes = 64ULL << 20;  // or so many bytes
  static constexpr Duration kSignOfLife = 1s;
  static constexpr Duration kForgotten = 10min;  // the asker never asked for the next page

  Queries(QueryHost& host, Replica& replica, FileSystem& files, Executor& executor,
          ContentTypes& types);
  ~Queries();

  // False: the question has no place here (the peer's fault).
  bool on_message(SessionId session, const Message& message, Instant now);
  void on_session_down(SessionId session);
  bool uses(SessionId session) const;
  bool idle() const { return runs_.empty(); }
  void pump(Instant now);
  Instant deadline() const;

 private:
  using Key = std::pair<SessionId, std::uint32_t>;
  enum class Stage {
    kScanning,  // work for turns
    kWorking,   // a job runs
    kPaused,    // the next page was not asked for yet
  };
  struct Run {
    std::variant<IndexQuery, FileHash, Search> question;
    std::optional<NamePattern> pattern;
    Stage stage = Stage::kScanning;
    std::uint64_t serial = 0;  // of the run: a job of one that ended finds another
    std::string cursor;        // names after this one are next
    NodeId cursor_node;        // search: of `cursor`, nodes after this one
    bool last = false;         // the page ends the answer
    std::vector<std::pair<std::string, EntryPtr>> picked;  // what the page is made of
    std::vector<FoundRecord> records;
    std::size_t page_bytes = 0;
    std::uint64_t scanned = 0;
    std::vector<ContentTypes::Wanted> untyped;
    std::vector<HashRow> hashes;
    std::size_t repairs = 0;
    std::uint64_t told = 0;  // rows in all pages
    Instant sign_at = kNever;
    Instant since{};
  };

  bool begin(const Key& key, Run run, const std::string& pattern, Instant now);
  void continue_run(Run& run, Instant now);
  void fail(const Key& key, const std::string& reason);
  // By value: the callers have it from the run that ends here.
  void finish(Key key, const std::string& result);
  Run* find(const Key& key, std::uint64_t serial);
  // Steps of work that were done.
  std::uint64_t step(const Key& key, Run& run, Instant now);
  std::uint64_t scan_index(Run& run, std::uint64_t budget);
  std::uint64_t scan_group(Run& run, std::uint64_t budget);
  std::uint64_t scan_files(Run& run);
  bool add_records(Run& run, const std::string& path, const PathRecord& record);
  void end_page(const Key& key, Run& run, Instant now);
  void send_page(const Key& key, Run& run);
  void send_index_page(const Key& key, Run& run);
  void send_found(const Key& key, Run& run);
  void send_hashes(const Key& key, Run& run);
  void read_anew(const Key& key, Run& run, Instant now);
  void on_read(const Key& key, std::uint64_t serial, const std::vector<Observation>& seen);
  HashRow judge(const Observation& seen);
  void repair(const Key& key, Run& run);

  QueryHost& host_;
  Replica& replica_;
  FileSystem& files_;
  Executor& executor_;
  ContentTypes& types_;
  std::shared_ptr<bool> alive_;
  std::map<Key, Run> runs_;
  Key next_turn_{};  // whose turn it is
  std::uint64_t next_serial_ = 1;
  bool scanning_ = false;  // something is left for the next turn
};

// For the history: command and arguments as a person would write them.
std::pair<std::string, std::string> describe_question(const Message& message);

}  // namespace lansync
