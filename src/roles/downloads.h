// `download`: the content of one file, fetched now, from the node that was named or from whoever
// holds it, straight between the two nodes, until it is whole and verified.
//
// What is absent here is fetched into the folder, as `get` does. What is here already, or is wanted
// elsewhere (--output), is fetched aside, into a temp file that is lent to whoever asked.
// Invariant: a temp file is lent for kLent at most. Driven by roles/node on the control thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/carrier_choice.h"
#include "base/log.h"
#include "roles/node_control.h"
#include "sync/replica.h"
#include "transport/session.h"

namespace lansync {

// What a download needs of its node. Implemented by Node.
class DownloadHost {
 public:
  virtual ~DownloadHost() = default;
  virtual Result<NodeId> find_peer(const std::string& name) const = 0;
  // A session with it in which it has said who it is; 0: none.
  virtual SessionId usable_session(const NodeId& node) const = 0;
  // Begins to open one.
  virtual Status reach(const NodeId& node) = 0;
  virtual std::string name_of(const NodeId& node) const = 0;
  virtual std::string name_of_source(SourceId source) const = 0;
  // Somebody is there who may have content.
  virtual bool has_sources() const = 0;
  virtual void choose_carrier(const ContentId& content, CarrierChoice carrier) = 0;
  virtual void forget_carrier(const ContentId& content) = 0;
  // For the histories of both nodes. `session`: where it came from, or should have; 0: none.
  virtual void downloaded(SessionId session, const std::string& peer, const std::string& name,
                          const std::string& arguments, const std::string& result) = 0;
};

class Downloads {
 public:
  using Done = NodeControl::Callback<DownloadReport>;
  static constexpr Duration kLent = 30s;
  static constexpr std::size_t kMaxDownloads = 64;

  Downloads(DownloadHost& host, Replica& replica) : host_(host), replica_(replica) {}

  void start(NodeControl::Token token, const DownloadAsk& what, Instant now, Done done);
  void cancel(NodeControl::Token token);
  // The lent temp file was read (or opened).
  void give_back(NodeControl::Token token);

  void on_unreachable(const NodeId& node, const std::string& why);
  void on_fetched(const ContentId& content, SourceId source, Via via);
  void on_fetch_failed(const std::string& path, const std::string& reason, Instant now);
  void pump(Instant now);
  Instant deadline() const;
  // Sessions that a download under way needs.
  bool uses(SessionId session) const;

 private:
  enum class Stage { kReach, kInstall, kAside, kVerify, kOver };
  struct One {
    NodeControl::Token token = 0;
    DownloadAsk what;
    std::optional<NodeId> peer;
    SessionId session = 0;  // of `peer`
    Stage stage = Stage::kReach;
    EntryPtr entry;
    int versions = 0;  // that were begun
    Instant started{};
    Instant until = kNever;  // kReach
    Instant alone_since = kNever;
    Instant refused_at = kNever;
    std::string why;  // the last refusal
    std::string from;
    SourceId source = 0;  // of `from`
    Via via = 0;
    bool fetched = false;
    Done done;
  };
  struct Lent {
    ContentId content;
    std::string temp;
    Instant until{};
  };

  void begin(One& one);
  void step(One& one, Instant now);
  void watch(One& one, Instant now);
  void on_aside(NodeControl::Token token, const ContentId& content,
                const Result<std::string>& temp);
  void verify(One& one, const std::string& path);
  void succeed(One& one, const std::string& file);
  void fail(One& one, std::string why);
  void let_go(One& one);
  void tell(const One& one, const std::string& result);
  EntryPtr entry_of(const std::string& path) const;

  DownloadHost& host_;
  Replica& replica_;
  Instant now_{};
  std::map<NodeControl::Token, One> ones_;
  std::map<NodeControl::Token, Lent> lent_;
};

}  // namespace lansync
