// A NodeControl that answers with what a test put into it, and remembers what it was asked.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "roles/node_control.h"

namespace lansync {

inline StatusReport sample_status() {
  StatusReport report;
  report.id.bytes[0] = 0xaa;
  report.name = "alice";
  report.version = "0.1.0";
  report.group = "family";
  report.open = true;
  report.role = Role::kServer;
  report.why_role = "nobody else was heard";
  report.hub = HubReport{report.id, "alice"};
  report.term = 7;
  report.state = NodeState::kSyncing;
  report.reason = "3 files to go";
  report.folder = "/home/a/Shared";
  report.files = 11;
  report.directories = 12;
  report.bytes = 13;
  report.absent_files = 18;
  report.absent_bytes = 19;
  report.on_demand = true;
  report.pending_files = 3;
  report.pending_bytes = 14;
  report.held_deletes = 15;
  report.conflicts = 16;
  report.under_replicated = 17;
  PeerReport peer;
  peer.id.bytes[0] = 0xbb;
  peer.name = "bob";
  peer.role = Role::kClient;
  peer.address = "192.168.1.7";
  peer.port = 27801;
  peer.state = PeerState::kConnected;
  peer.rtt_ms = 2;
  peer.protocol = 1;
  report.peers = {peer};
  report.transfers = {{"a.txt", true, "bob", "lane", 100, 50, 25}};
  report.counters = {21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
  return report;
}

class FakeNode final : public NodeControl {
 public:
  StatusReport status() override { return report; }
  std::vector<PeerReport> peers() override { return report.peers; }
  std::vector<ConflictReport> conflicts() override {
    return {{"a (conflict bob).txt", "a.txt", "bob", WallTime{0}}};
  }
  Token trash(std::optional<WallTime> since, Callback<std::vector<TrashReport>> done) override {
    trash_since = since;
    done(std::vector<TrashReport>{{"x1", "gone.txt", WallTime{1'000'000'000}, 5, "bob"}});
    return 0;
  }
  std::vector<PlanReport> plan() override { return {{"push", "new.txt", "only here", 9}}; }
  Token doctor(Callback<DoctorFacts> done) override {
    done(DoctorFacts{});
    return 0;
  }
  Result<ActionReport> confirm() override {
    return Error{ErrorCode::kNotFound, "nothing is held: `lansync status` shows the state"};
  }
  Result<ActionReport> reject() override { return ActionReport{"2 files come back", 2}; }
  Result<ActionReport> pause() override { return ActionReport{"paused", 0}; }
  Result<ActionReport> resume() override { return ActionReport{"goes on", 0}; }
  Result<ActionReport> rescan() override { return ActionReport{"looking", 0}; }
  Result<ActionReport> stop() override {
    ++stops;
    if (on_stop) on_stop();
    return ActionReport{"stopping", 0};
  }
  Token trash_restore(const TrashRestore& what, Callback<std::vector<TrashReport>> done) override {
    restored = what;
    done(std::vector<TrashReport>{{"x1", what.path, WallTime{0}, 5, "bob"}});
    return 0;
  }
  Token wait(std::uint32_t peers, Callback<StatusReport> done) override {
    wait_peers = peers;
    if (wait_at_once) {
      done(report);
      return 0;
    }
    waiting.emplace(++last_token, std::move(done));
    return last_token;
  }
  Token get(const std::vector<std::string>& names, Callback<ActionReport> done) override {
    named = names;
    done(ActionReport{"here", names.size()});
    return 0;
  }
  Token drop(const std::vector<std::string>& names, Callback<ActionReport> done) override {
    named = names;
    done(Error{ErrorCode::kNotFound, "nobody else holds it"});
    return 0;
  }
  Token download(const DownloadAsk& what, Callback<DownloadReport> done) override {
    downloading = what;
    DownloadReport download;
    download.name = what.name;
    download.size = 5;
    download.mtime = WallTime{1'000'000'000};
    download.md5 = "5d41402abc4b2a76b9719d911017c592";  // "hello"
    download.peer = what.peer.empty() ? "alice" : what.peer;
    download.carrier = to_string(what.carrier);
    download.seconds = 0.25;
    download.mode = 0640;
    if (what.aside) download.file = "lent";
    done(download);
    return 0;
  }
  void give_back(Token) override { ++given_back; }
  void cancel(Token token) override { cancelled += waiting.erase(token); }

  StatusReport report = sample_status();
  std::optional<WallTime> trash_since;
  TrashRestore restored;
  bool wait_at_once = false;
  std::uint32_t wait_peers = 0;
  std::map<Token, Callback<StatusReport>> waiting;
  Token last_token = 0;
  std::size_t cancelled = 0;
  std::vector<std::string> named;
  DownloadAsk downloading;
  int given_back = 0;
  int stops = 0;
  std::function<void()> on_stop;
};

// A directory of its own, removed with everything in it.
class TempFolder {
 public:
  explicit TempFolder(const std::string& below = "");
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const;

 private:
  std::string root_;
  std::string path_;
};

}  // namespace lansync
