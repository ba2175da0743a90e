// What waits for a person's word on this node, and that word: `confirm` and `reject` (CONTRACT).
//
// Invariant: a confirmation lets go what `status` had shown before it, no more; who has seen
// nothing yet lets go all. Driven by roles/node on the control thread; the answer to a person comes
// when the word is durable, and of a reject when the files are back or nobody brings them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "roles/network_guard.h"
#include "roles/node_control.h"
#include "roles/run_decisions.h"
#include "sync/replica.h"

namespace lansync {

// A run as people write it: the first 8 hex digits.
std::string run_text(RunId run);

class HeldThings {
 public:
  static constexpr Duration kMarkerPatience = 3s;
  // For a reject: so long without a file more that came back.
  static constexpr Duration kPatience = 10s;
  static constexpr std::int64_t kRememberedNs = 24LL * 3600 * 1'000'000'000;

  template <typename T>
  using Callback = NodeControl::Callback<T>;
  using Token = NodeControl::Token;

  HeldThings(Replica& replica, RunDecisions& decisions, const Clock& clock);

  // `network`: the guard of an open group, which may hold everything back.
  std::vector<HoldReport> list(const NetworkGuard& network, Instant now) const;
  // What is held now has been shown to a person.
  void note_shown();

  void confirm_deletes(Token token, const std::string& run, Callback<ActionReport> done);
  Result<ActionReport> confirm_room();
  Result<ActionReport> confirm_absence();
  // "": every run that is held here. `marker`: what the watcher is to report first, because what
  // was deleted before the word is meant as well; "" if there is no watcher.
  void reject(Token token, const std::string& run, const std::string& marker, Instant now,
              Callback<RejectReport> done);
  void on_marker(const std::string& marker);
  void cancel(Token token);

  void tick(Instant now);
  Instant deadline() const;

 private:
  // Asked before the first scan was done, which may find more of the run, or before the watcher
  // has told of all that was deleted by then.
  struct Early {
    std::string marker;
    Instant until{};  // of the marker
    std::function<void(Instant now)> ask;
  };
  struct Confirm {
    std::set<RunId> runs;
    std::uint64_t number = 0;
    std::uint64_t later = 0;  // joined after they were shown
    std::string label;        // how people call them
    std::vector<std::string> names;
    Callback<ActionReport> done;
  };
  struct Reject {
    std::set<std::string> waiting;
    RejectReport report;
    Instant until{};
    Callback<RejectReport> done;
  };

  Result<std::set<RunId>> find_runs(const std::string& text) const;
  void reject_now(Token token, const std::string& run, Instant now, Callback<RejectReport> done);
  bool lives(const std::string& path) const;
  void finish(Reject reject) const;

  Replica& replica_;
  RunDecisions& decisions_;
  const Clock& clock_;
  std::map<RunId, std::uint64_t> shown_;  // up to which mark
  std::map<Token, Early> early_;
  std::map<Token, Confirm> confirms_;
  std::map<Token, Reject> rejects_;
};

}  // namespace lansync
