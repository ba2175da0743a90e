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
  HoldReport hold;
  hold.run = "0a0b0c0d";
  hold.number = 15;
  hold.names = {"x"};
  hold.author = "bob";
  hold.since = WallTime{1'000'000'000};
  hold.says = "15 deletes by bob";
  report.held = {hold};
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
  std::vector<PlanReport> plan() override { return planned; }
  Token doctor(Callback<DoctorFacts> done) override {
    done(examined);
    return 0;
  }
  std::vector<HoldReport> holds() override { return report.held; }
  void note_shown() override { ++shown; }
  Token confirm(HoldKind kind, const std::string& run, Callback<ActionReport> done) override {
    confirmed = std::string(to_string(kind)) + " " + run;
    done(ActionReport{"2 deletes go out", 2, {}});
    return 0;
  }
  Token reject(const std::string& run, Callback<RejectReport> done) override {
    rejected = run;
    done(RejectReport{{run},
                      {{"back.txt", RejectOutcome::kBack}, {"left.txt", RejectOutcome::kLeft}}});
    return 0;
  }
  Result<ActionReport> pause() override { return ActionReport{"paused", 0, {}}; }
  Result<ActionReport> resume() override { return ActionReport{"goes on", 0, {}}; }
  Result<ActionReport> rescan() override { return ActionReport{"looking", 0, {}}; }
  Result<ActionReport> stop() override {
    ++stops;
    if (on_stop) on_stop();
    return ActionReport{"stopping", 0, {}};
  }
  Token trash_restore(const TrashRestore& what, Callback<std::vector<TrashReport>> done) override {
    restored = what;
    done(std::vector<TrashReport>{{"x1", what.path, WallTime{0}, 5, "bob"}});
    return 0;
  }
  Token wait(const WaitAsk& what, Callback<StatusReport> done) override {
    wait_peers = what.peers;
    if (wait_at_once) {
      done(report);
      return 0;
    }
    waiting.emplace(++last_token, std::move(done));
    return last_token;
  }
  Token get(const std::vector<std::string>& names, Callback<ActionReport> done) override {
    named = names;
    done(ActionReport{"here", names.size(), names});
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
  Token index(const IndexAsk& what, Rows<FileReport> rows, Callback<AskEnd> done) override {
    index_asked = what;
    if (ask_error) {
      done(*ask_error);
      return 0;
    }
    give(std::move(rows), std::move(done), 0);
    return 0;
  }
  Token hash(const HashAsk& what, Rows<HashReport> rows, Callback<AskEnd> done) override {
    hash_asked = what;
    rows(hashes, [done, n = hashes.size()] { done(AskEnd{"bob", n}); });
    return 0;
  }
  Token search(const SearchAsk& what, Rows<RecordReport> rows, Callback<AskEnd> done) override {
    search_asked = what;
    if (ask_error) {
      done(*ask_error);
      return 0;
    }
    RecordReport record{{"a/b.txt", 5, WallTime{0}, "text/plain"}, "192.168.1.7", 27801, "bob"};
    rows({record}, [done] { done(AskEnd{"bob", 1}); });
    return 0;
  }
  Token history(std::optional<WallTime> since, Callback<std::vector<HistoryReport>> done) override {
    history_since = since;
    done(std::vector<HistoryReport>{{WallTime{0}, true, "bob", "index longlist", "", "3 names"}});
    return 0;
  }
  Token upload(const UploadAsk& what, Callback<UploadReport> done) override {
    uploaded = what;
    done(UploadReport{"x.txt", 5, WallTime{0}, "00", "bob", "lane", 1500ms});
    return 0;
  }
  std::vector<OfferReport> uploads() override { return {{3, "y.txt", 7, "bob", WallTime{0}}}; }
  Result<OfferReport> answer_upload(std::uint64_t id, bool) override {
    if (id != 3) return Error{ErrorCode::kNotFound, "no offer waits here"};
    return uploads()[0];
  }
  // Pages of `index_page` rows until `index_rows` are told, each when the one before was taken.
  void give(Rows<FileReport> rows, Callback<AskEnd> done, std::size_t told) {
    if (told == index_rows) return done(AskEnd{"bob", told});
    std::vector<FileReport> page;
    for (; page.size() < index_page && told < index_rows; ++told)
      page.push_back({"f" + std::to_string(told), told, WallTime{0}, "text/plain"});
    most_pages_waiting = std::max(most_pages_waiting, ++pages_waiting);
    rows(page, [this, rows, done, told] {
      --pages_waiting;
      give(rows, done, told);
    });
  }
  void cancel(Token token) override { cancelled += waiting.erase(token); }

  StatusReport report = sample_status();
  std::vector<PlanReport> planned{{"push", "new.txt", "only here", 9}};
  DoctorFacts examined;
  IndexAsk index_asked;
  HashAsk hash_asked;
  SearchAsk search_asked;
  UploadAsk uploaded;
  std::optional<WallTime> history_since;
  std::optional<Error> ask_error;
  std::size_t index_rows = 3;
  std::size_t index_page = 2;
  int pages_waiting = 0;
  int most_pages_waiting = 0;
  std::vector<HashReport> hashes{
      {"a.txt", 5, WallTime{0}, "00112233445566778899aabbccddeeff", true, "good", ""}};
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
  std::string confirmed;
  std::string rejected = "none";
  int shown = 0;
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
