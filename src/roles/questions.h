// What this node asks of others for a person: opens a session if there is none, asks page after
// page as the person's end takes them, and gives up with a clear word when the other side dies,
// says nothing, or lies.
//
// Invariant: a row is handed on only if it fits the question and comes after all rows before it, so
// that an answer ends, whoever answers. Driven by roles/node on the control thread; the answering
// side is roles/queries.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/executor.h"
#include "base/time.h"
#include "roles/ask_control.h"
#include "sync/name_pattern.h"
#include "sync/replica.h"
#include "transport/message.h"
#include "transport/session.h"

namespace lansync {

// The node's own answers to its own questions: no session, the same code.
inline constexpr SessionId kSelfSession = std::numeric_limits<SessionId>::max();

// Implemented by roles/node.
class QuestionHost {
 public:
  virtual ~QuestionHost() = default;
  // A session with that node on which both have said who they are; 0: none.
  virtual SessionId usable_session(const NodeId& node) const = 0;
  // Begins to open one. The error says why it cannot be tried.
  virtual Status reach(const NodeId& node) = 0;
  virtual void ask(SessionId session, const Message& message) = 0;
  virtual Instant last_heard(SessionId session) const = 0;
  // Who answers, for records that leave the address out.
  virtual Address address_of(SessionId session) const = 0;
  virtual std::string name_of(const NodeId& node) const = 0;
  // Counted, logged, the session closed.
  virtual void lied(SessionId session, const std::string& what) = 0;
  virtual void asked(const NodeId& node, const std::string& command, const std::string& arguments,
                     const std::string& result) = 0;
};

class Questions {
 public:
  using Token = AskControl::Token;
  template <typename T>
  using Callback = AskControl::Callback<T>;
  template <typename T>
  using Rows = AskControl::Rows<T>;

  static constexpr Duration kReachPatience = 5s;
  // Nothing authenticated from it for so long (it pings each half second): it is dead.
  static constexpr Duration kSilence = 3s;
  // It lives, but neither answers nor says that it works on it.
  static constexpr Duration kAnswerPatience = 10s;
  // Pages without a row: a node passes over 32,768 names in one, so this is no folder.
  static constexpr int kMaxEmptyPages = 4096;
  static constexpr std::size_t kMaxAtOnce = 64;

  Questions(QuestionHost& host, const Replica& replica, FileSystem& files, Executor& executor);
  ~Questions();

  // `done` may be called before these return.
  void index(Token token, const NodeId& node, const IndexAsk& what, Rows<FileReport> rows,
             Callback<AskEnd> done, Instant now);
  void hash(Token token, const NodeId& node, const HashAsk& what, Rows<HashReport> rows,
            Callback<AskEnd> done, Instant now);
  void search(Token token, const NodeId& node, const SearchAsk& what, Rows<RecordReport> rows,
              Callback<AskEnd> done, Instant now);
  void cancel(Token token);

  // False: no answer to anything that was asked there.
  bool on_message(SessionId session, const Message& message, Instant now);
  void on_session_up(SessionId session, const NodeId& node, Instant now);
  // `why` is for people: "it closed the session".
  void on_session_down(SessionId session, const std::string& why);
  void on_unreachable(const NodeId& node, const std::string& why);
  bool uses(SessionId session) const;
  // Somebody waits for a session with it.
  bool waits_for(const NodeId& node) const;
  void pump(Instant now);
  Instant deadline() const;

 private:
  enum class Stage { kReaching, kAwaiting, kHandedOn };
  struct IndexState {
    IndexQuery question;
    std::optional<NamePattern> pattern;
    Rows<FileReport> rows;
  };
  struct HashAskState {
    FileHash question;
    Rows<HashReport> rows;
  };
  struct SearchState {
    Search question;
    std::optional<NamePattern> pattern;
    Rows<RecordReport> rows;
  };
  struct Ask {
    Token token = 0;
    std::uint32_t id = 0;
    NodeId node;
    SessionId session = 0;
    Stage stage = Stage::kReaching;
    Instant until = kNever;
    std::variant<IndexState, HashAskState, SearchState> state;
    Callback<AskEnd> done;
    std::uint64_t rows = 0;
    int empty_pages = 0;
    bool last = false;
    bool quiet = false;  // not in the history
  };
  using AskPtr = std::shared_ptr<Ask>;

  void start(AskPtr ask, Instant now);
  void send(Ask& ask, Instant now);
  static Message message_of(const Ask& ask);
  AskPtr find(SessionId session, std::uint32_t id) const;
  void on_page(const AskPtr& ask, const IndexPage& page, Instant now);
  void on_hashes(const AskPtr& ask, const FileHashes& page, Instant now);
  void on_found(const AskPtr& ask, const Found& page, Instant now);
  void compare_with_ours(const AskPtr& ask, std::vector<HashRow> rows);
  void deliver_hashes(const AskPtr& ask, const std::vector<HashRow>& rows,
                      const std::vector<Observation>& ours);
  bool counts_empty(const AskPtr& ask, std::size_t rows);
  AskControl::Taken taken(const AskPtr& ask);
  void go_on(const AskPtr& ask);
  void lie(const AskPtr& ask, const std::string& what);
  void fail(const AskPtr& ask, ErrorCode code, const std::string& why);
  void end(const AskPtr& ask, Result<AskEnd> result, const std::string& told);

  QuestionHost& host_;
  const Replica& replica_;
  FileSystem& files_;
  Executor& executor_;
  std::shared_ptr<bool> alive_;
  std::map<Token, AskPtr> asks_;
  std::uint32_t next_id_ = 1;
  Instant now_{};
};

}  // namespace lansync
