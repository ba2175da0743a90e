// Files that one member offers another (command upload): what this node offers, and what waits here
// for an answer.
//
// Invariant: nothing of an offer is asked for before it was allowed, by the policy or by a person;
// an offer that nobody answers is denied after kPatience. What arrives replaces nothing. Driven by
// roles/node on the control thread; the content itself goes by the fetcher and the provider.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/log.h"
#include "roles/ask_control.h"
#include "sync/provider.h"
#include "sync/replica.h"
#include "transport/message.h"
#include "transport/session.h"

namespace lansync {

enum class UploadAnswer : std::uint8_t { kAllow, kAsk, kDeny };

// Implemented by roles/node, with QuestionHost.
class UploadHost {
 public:
  virtual ~UploadHost() = default;
  virtual SessionId usable_session(const NodeId& node) const = 0;
  virtual Status reach(const NodeId& node) = 0;
  virtual void ask(SessionId session, const Message& message) = 0;
  virtual Instant last_heard(SessionId session) const = 0;
  virtual std::string name_of(const NodeId& node) const = 0;
  virtual std::optional<NodeId> node_of(SessionId session) const = 0;
  // How what is large goes to that session now: enet, lane, tcp.
  virtual std::string carrier_to(SessionId session) const = 0;
  virtual void journal(bool incoming, const NodeId& node, const std::string& command,
                       const std::string& arguments, const std::string& result) = 0;
};

class Uploads {
 public:
  using Token = AskControl::Token;
  using OpenFile = std::function<Result<std::unique_ptr<ReadFile>>()>;

  static constexpr Duration kPatience = 10min;
  static constexpr Duration kReachPatience = 5s;
  // Nothing from it for so long (it pings each half second): it is dead.
  static constexpr Duration kSilence = 3s;
  static constexpr std::size_t kMaxWaiting = 256;  // offers here
  static constexpr std::size_t kMaxPerSession = 16;
  static constexpr std::size_t kMaxOffered = 64;

  Uploads(UploadHost& host, Replica& replica, Executor& executor, const Clock& clock, Log& log,
          UploadAnswer policy);
  ~Uploads();

  // ---- what we offer
  // `name`: FILE's last part. `open`: opens it anew, on a worker.
  void offer(Token token, const NodeId& node, const std::string& name, OpenFile open,
             AskControl::Callback<UploadReport> done, Instant now);
  void cancel(Token token);
  std::optional<LocatedContent> locate(const ContentId& content) const;

  // ---- what waits here
  std::vector<OfferReport> offers() const;
  Result<OfferReport> answer(std::uint64_t id, bool allow, Instant now);

  bool on_message(SessionId session, const Message& message, Instant now);
  void on_session_up(SessionId session, const NodeId& node, Instant now);
  void on_session_down(SessionId session);
  void on_unreachable(const NodeId& node, const std::string& why);
  bool uses(SessionId session) const;
  void pump(Instant now);
  Instant deadline() const;

 private:
  struct Hashing;
  struct Outgoing {
    Token token = 0;
    NodeId node;
    SessionId session = 0;
    FileUpload message;
    FileStat stat;
    OpenFile open;
    AskControl::Callback<UploadReport> done;
    bool hashed = false;
    bool sent = false;
    bool allowed = false;
    Instant until = kNever;
    Instant allowed_at{};
    std::string carrier;
  };
  struct Incoming {
    std::uint64_t id = 0;
    SessionId session = 0;
    NodeId node;
    FileUpload message;
    Instant until{};
    WallTime expires;
    bool allowed = false;
  };
  using OutgoingPtr = std::shared_ptr<Outgoing>;

  void hash(const OutgoingPtr& out);
  void hash_slice(const OutgoingPtr& out, const std::shared_ptr<Hashing>& job);
  void send(Outgoing& out, Instant now);
  void end(const OutgoingPtr& out, Result<UploadReport> result, const std::string& told);
  void fail(const OutgoingPtr& out, const std::string& why);
  bool on_offer(SessionId session, const FileUpload& message, Instant now);
  bool on_allow(SessionId session, const FileUploadAllow& message, Instant now);
  bool on_deny(SessionId session, const FileUploadDeny& message);
  void allow(Incoming& in);
  void deny(std::uint64_t id, const std::string& reason);
  bool silent(SessionId session, Instant now) const {
    return now - host_.last_heard(session) >= kSilence;
  }
  void drop(std::uint64_t id, const std::string& result);
  OutgoingPtr find(SessionId session, std::uint32_t id) const;

  UploadHost& host_;
  Replica& replica_;
  Executor& executor_;
  const Clock& clock_;
  Log& log_;
  UploadAnswer policy_;
  std::shared_ptr<bool> alive_;
  std::map<Token, OutgoingPtr> outgoing_;
  std::map<std::uint64_t, Incoming> incoming_;
  std::uint64_t next_id_ = 1;
  // Apart from the ids of questions, so that a cancel says which it means.
  std::uint32_t next_wire_id_ = 1U << 31;
  Instant now_{};
};

}  // namespace lansync
