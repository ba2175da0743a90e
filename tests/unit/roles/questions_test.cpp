// Questions and queries against each other: what one node asks, another answers, and a liar's
// answers in between.
#include "roles/questions.h"

#include <algorithm>
#include <deque>
#include <functional>

#include "roles/queries.h"
#include "sim/index_store.h"
#include "support/catch.h"
#include "support/hand_clock.h"
#include "support/manual_executor.h"
#include "support/memory_file_system.h"
#include "sync/hashing.h"

using namespace lansync;

namespace {

constexpr SessionId kSession = 7;

// One node that answers, one that asks, and a session between them that a test may bend.
class Rig : public QueryHost, public QuestionHost {
 public:
  Rig() {
    peer.bytes[0] = 0xbb;
    reach_works = true;
  }

  // ---- the node that is asked
  void answer(SessionId session, const Message& message) override {
    REQUIRE(session == over);
    Message sent = message;
    if (bend) bend(sent);
    answers.push_back(sent);
  }
  bool acts_as_hub() const override { return hub; }
  std::vector<HolderInfo> holders_of(const std::string&, const PathRecord&) const override {
    return holders;
  }
  void answered(SessionId, const std::string& command, const std::string& arguments,
                const std::string& result) override {
    history.push_back(str("in ", command, ' ', arguments, ": ", result));
  }

  // ---- the node that asks
  SessionId usable_session(const NodeId&) const override { return connected ? over : 0; }
  Status reach(const NodeId&) override {
    if (!reach_works) return Error{ErrorCode::kIo, "bob is not here"};
    return {};
  }
  void ask(SessionId session, const Message& message) override {
    REQUIRE(session == over);
    asked_messages.push_back(message);
  }
  Instant last_heard(SessionId) const override { return heard; }
  Address address_of(SessionId) const override { return {0x0a000001, 27801}; }
  std::string name_of(const NodeId&) const override { return "bob"; }
  void lied(SessionId, const std::string& what) override { lies.push_back(what); }
  void asked(const NodeId&, const std::string& command, const std::string& arguments,
             const std::string& result) override {
    history.push_back(str("out ", command, ' ', arguments, ": ", result));
  }

  void add(const std::string& path, const std::string& text, std::int64_t mtime = 0) {
    files.write_file(path, as_bytes(text));
    auto entry = std::make_shared<Entry>();
    entry->size = text.size();
    entry->mtime_ns = mtime;
    ContentDigests digests = digests_of(as_bytes(text));
    entry->content = digests.content;
    entry->md5 = digests.md5;
    replica.index().set_local(path, entry, *files.stat(path));
    replica.index().set_remote(path, entry);
  }

  // Carries what waits to where it goes, and runs jobs, until nothing moves.
  void run() {
    for (int i = 0; i < 100'000; ++i) {
      bool moved = executor.run_one();
      if (!asked_messages.empty()) {
        Message message = std::move(asked_messages.front());
        asked_messages.pop_front();
        if (!deaf) REQUIRE(queries.on_message(over, message, clock.at));
        moved = true;
      }
      if (!answers.empty()) {
        Message message = std::move(answers.front());
        answers.pop_front();
        fine = questions.on_message(over, message, clock.at) && fine;
        moved = true;
      }
      queries.pump(clock.at);
      moved = moved || !answers.empty() || queries.deadline() <= clock.at;
      if (!moved) return;
    }
    FAIL("it does not come to rest");
  }
  void pass(Duration time) {
    clock.at += time;
    questions.pump(clock.at);
    queries.pump(clock.at);
  }

  void index(const IndexAsk& what, bool takes = true) {
    questions.index(
        1, peer, what,
        [this, takes](const std::vector<FileReport>& rows, AskControl::Taken next) {
          ++pages;
          largest = std::max(largest, rows.size());
          for (const FileReport& row : rows) names.push_back(row.name);
          if (takes)
            next();
          else
            waiting = next;
        },
        [this](const Result<AskEnd>& result) { end = result; }, clock.at);
  }
  void hash(const std::string& name, bool repair = false) {
    questions.hash(
        1, peer, {"", name, repair},
        [this](const std::vector<HashReport>& rows, const AskControl::Taken& next) {
          hashes.insert(hashes.end(), rows.begin(), rows.end());
          next();
        },
        [this](const Result<AskEnd>& result) { end = result; }, clock.at);
  }
  void search(const std::string& name, bool regex = false) {
    questions.search(
        1, peer, {name, regex},
        [this](const std::vector<RecordReport>& rows, const AskControl::Taken& next) {
          ++pages;
          records.insert(records.end(), rows.begin(), rows.end());
          next();
        },
        [this](const Result<AskEnd>& result) { end = result; }, clock.at);
  }
  std::string error() const { return end && !*end ? end->error().detail : ""; }

  SessionId over = kSession;
  MemoryFileSystem files;
  sim::SimIndexStore store;
  ManualExecutor executor;
  HandClock clock;
  LineLog log;
  Prng random{1};
  Fetcher fetcher{files, executor, clock};
  Replica replica{Replica::Options{}, files, store, executor, fetcher, random, clock, log};
  ContentTypes types{files, executor, nullptr};
  Queries queries{*this, replica, files, executor, types};
  Questions questions{*this, replica, files, executor};

  NodeId peer;
  bool connected = true;
  bool reach_works = false;
  bool hub = true;
  bool deaf = false;  // the asked node takes nothing
  bool fine = true;
  Instant heard{1h};
  std::function<void(Message&)> bend;
  std::vector<HolderInfo> holders;
  std::deque<Message> asked_messages;
  std::deque<Message> answers;
  std::vector<std::string> history;
  std::vector<std::string> lies;

  int pages = 0;
  std::size_t largest = 0;
  std::vector<std::string> names;
  std::vector<HashReport> hashes;
  std::vector<RecordReport> records;
  AskControl::Taken waiting;
  std::optional<Result<AskEnd>> end;
};

std::string numbered(int number) { return str("file ", 10000 + number); }

}  // namespace

TEST_CASE("an index comes whole, in order, in pages that are asked for one by one") {
  Rig rig;
  for (int i = 0; i < 2000; ++i) rig.add(numbered(i), "x");
  rig.index({}, false);
  rig.run();
  CHECK(rig.pages == 1);
  CHECK_FALSE(rig.end);
  while (rig.waiting) {
    auto next = std::exchange(rig.waiting, {});
    next();
    rig.run();
  }
  REQUIRE(rig.end);
  REQUIRE(*rig.end);
  CHECK((*rig.end)->rows == 2000);
  CHECK(rig.names.size() == 2000);
  CHECK(std::is_sorted(rig.names.begin(), rig.names.end()));
  CHECK(rig.largest <= kMaxPageRows);
  CHECK(rig.pages >= 4);
  CHECK(rig.queries.idle());
  CHECK(rig.history == std::vector<std::string>{"in index longlist : 2000 names",
                                                "out index longlist : 2000 rows"});
}

TEST_CASE("times include both ends, and a pattern is looked for anywhere in the name") {
  Rig rig;
  rig.add("a.txt", "1", 10);
  rig.add("b.txt", "1", 20);
  rig.add("sub/c.md", "1", 30);
  IndexAsk times;
  times.from = WallTime{20};
  times.to = WallTime{30};
  rig.index(times);
  rig.run();
  CHECK(rig.names == std::vector<std::string>{"b.txt", "sub/c.md"});
  rig.names.clear();
  IndexAsk pattern;
  pattern.pattern = "b|c\\.";
  rig.index(pattern);
  rig.run();
  CHECK(rig.names == std::vector<std::string>{"b.txt", "sub/c.md"});
}

TEST_CASE("a pattern that is none, too long or too expensive is refused before anybody is asked") {
  Rig rig;
  for (const std::string& pattern :
       {std::string("("), std::string(2000, 'a'), std::string("((a{1,30}){1,30}){1,30}")}) {
    IndexAsk ask;
    ask.pattern = pattern;
    rig.end.reset();
    rig.index(ask);
    INFO(pattern.substr(0, 20));
    REQUIRE(rig.end);
    CHECK(rig.error().find("pattern") != std::string::npos);
    CHECK(rig.asked_messages.empty());
    // And nobody who is asked by another program compiles it either.
    IndexQuery query;
    query.id = 77;
    query.pattern = pattern;
    CHECK(rig.queries.on_message(kSession, query, rig.clock.at));
    REQUIRE(rig.answers.size() == 1);
    CHECK(std::holds_alternative<Failed>(rig.answers.front()));
    rig.answers.clear();
  }
}

TEST_CASE("a turn of matching is bounded, and a large folder with no match still goes on") {
  Rig rig;
  for (int i = 0; i < 40'000; ++i) rig.add(numbered(i), "");
  IndexAsk ask;
  ask.pattern = "(x+x+)+y";
  rig.index(ask);
  REQUIRE(rig.queries.on_message(kSession, rig.asked_messages.front(), rig.clock.at));
  rig.asked_messages.clear();
  int turns = 0;
  while (rig.answers.empty() && ++turns < 1000) rig.queries.pump(rig.clock.at);
  CHECK(turns > 1);
  rig.run();
  REQUIRE(rig.end);
  CHECK(*rig.end);
  CHECK(rig.names.empty());
}

TEST_CASE("an answer that lies is counted, named, and ends at once") {
  struct Lie {
    const char* what;
    std::function<void(IndexPage&)> bend;
  };
  const Lie lies[] = {
      {"names that do not rise", [](IndexPage& p) { std::swap(p.rows[0], p.rows[1]); }},
      {"names that do not rise", [](IndexPage& p) { p.rows.push_back(p.rows.back()); }},
      {"names that were not asked for", [](IndexPage& p) { p.rows[0].name = "aaa"; }},
      {"names that were not asked for", [](IndexPage& p) { p.rows[1].mtime_ns = 5; }},
      {"pages that do not go on", [](IndexPage& p) { p.next = p.rows[0].name; }},
      {"pages that do not go on",
       [](IndexPage& p) {
         p.rows.clear();
         p.next.clear();
         p.last = false;
       }},
  };
  for (const Lie& lie : lies) {
    Rig rig;
    for (int i = 0; i < 3; ++i) rig.add(numbered(i), "x", 100);
    rig.bend = [&](Message& message) {
      if (auto* page = std::get_if<IndexPage>(&message)) lie.bend(*page);
    };
    IndexAsk ask;
    ask.pattern = "file";
    ask.from = WallTime{50};
    rig.index(ask);
    rig.run();
    INFO(lie.what);
    REQUIRE(rig.lies.size() == 1);
    CHECK(rig.lies[0].find(lie.what) != std::string::npos);
    CHECK(rig.error().find("bob") != std::string::npos);
    CHECK(rig.error().find(lie.what) != std::string::npos);
    CHECK(rig.names.empty());
  }
}

TEST_CASE("pages without an end and without a row come to an end") {
  Rig rig;
  rig.deaf = true;
  rig.index({});
  int sent = 0;
  for (; !rig.end && sent < 100'000; ++sent) {
    IndexPage page;
    page.id = std::get<IndexQuery>(rig.asked_messages.front()).id;
    page.next = str("n", 1'000'000 + sent);
    rig.asked_messages.clear();
    rig.questions.on_message(kSession, page, rig.clock.at);
  }
  CHECK(sent < 10'000);
  REQUIRE(rig.lies.size() == 1);
  CHECK(rig.lies[0].find("pages without an end") != std::string::npos);
}

TEST_CASE("a page that nobody asked for is a lie, one that is late is not") {
  Rig rig;
  for (int i = 0; i < 3; ++i) rig.add(numbered(i), "x");
  rig.index({}, false);
  std::uint32_t id = std::get<IndexQuery>(rig.asked_messages.front()).id;
  rig.run();
  IndexPage page;
  page.id = id;
  CHECK(rig.questions.on_message(kSession, page, rig.clock.at));
  CHECK(rig.lies.size() == 1);
  CHECK(rig.questions.on_message(kSession, page, rig.clock.at));
  CHECK(rig.lies.size() == 1);
  page.id = id + 100;
  CHECK_FALSE(rig.questions.on_message(kSession, page, rig.clock.at));
}

TEST_CASE("a peer that goes, falls silent or does not answer ends the question with its name") {
  SECTION("its session ends") {
    Rig rig;
    rig.add("a", "x");
    rig.index({}, false);
    rig.connected = false;
    rig.questions.on_session_down(kSession, "timeout");
    CHECK(rig.error().find("bob went away") != std::string::npos);
  }
  SECTION("it moved to another session: asked again there") {
    Rig rig;
    rig.index({}, false);
    rig.asked_messages.clear();
    rig.questions.on_session_down(kSession + 1, "replaced");
    CHECK_FALSE(rig.end);
  }
  SECTION("nothing is heard of it") {
    Rig rig;
    rig.deaf = true;
    rig.index({});
    rig.pass(2s);
    CHECK_FALSE(rig.end);
    CHECK(rig.questions.deadline() == rig.heard + Questions::kSilence);
    rig.pass(1s);
    CHECK(rig.error().find("bob was not heard") != std::string::npos);
  }
  SECTION("it lives and does not answer; a sign of life counts") {
    Rig rig;
    rig.deaf = true;
    rig.index({});
    std::uint32_t id = std::get<IndexQuery>(rig.asked_messages.front()).id;
    for (int i = 0; i < 30; ++i) {
      rig.clock.at += 1s;
      rig.heard = rig.clock.at;
      CHECK(rig.questions.on_message(kSession, Working{id}, rig.clock.at));
      rig.questions.pump(rig.clock.at);
    }
    CHECK_FALSE(rig.end);
    for (int i = 0; i < 10; ++i) {
      rig.heard = rig.clock.at + 1s;
      rig.pass(1s);
    }
    CHECK(rig.error().find("bob does not answer") != std::string::npos);
  }
  SECTION("it cannot be reached") {
    Rig rig;
    rig.connected = false;
    rig.index({});
    CHECK_FALSE(rig.end);
    rig.questions.on_unreachable(rig.peer, "no answer");
    CHECK(rig.error().find("bob cannot be reached") != std::string::npos);
  }
  SECTION("the session takes too long") {
    Rig rig;
    rig.connected = false;
    rig.index({});
    rig.pass(Questions::kReachPatience);
    CHECK(rig.error().find("bob cannot be reached") != std::string::npos);
  }
}

TEST_CASE("what a session asks is bounded, and ends with it") {
  Rig rig;
  rig.add("a", "x");
  for (std::uint32_t id = 1; id <= Queries::kMaxPerSession + 1; ++id) {
    FileHash question;
    question.id = id;
    CHECK(rig.queries.on_message(kSession, question, rig.clock.at));
  }
  REQUIRE(rig.answers.size() == 1);
  CHECK(std::get<Failed>(rig.answers.front()).id == Queries::kMaxPerSession + 1);
  CHECK(rig.queries.uses(kSession));
  rig.queries.on_session_down(kSession);
  CHECK(rig.queries.idle());
  // Jobs that were under way find nobody.
  rig.answers.clear();
  rig.executor.run_all();
  rig.queries.pump(rig.clock.at);
  CHECK(rig.answers.empty());
}

TEST_CASE(
    "a page is told of while it takes long, and one that nobody comes back for is forgotten") {
  Rig rig;
  rig.add("a", "x");
  FileHash question;
  question.id = 1;
  CHECK(rig.queries.on_message(kSession, question, rig.clock.at));
  rig.queries.pump(rig.clock.at);
  rig.pass(1s);
  REQUIRE(rig.answers.size() == 1);
  CHECK(std::holds_alternative<Working>(rig.answers.front()));
  rig.queries.on_session_down(kSession);
  for (int i = 0; i < 600; ++i) rig.add(numbered(i), "x");
  IndexQuery list;
  list.id = 2;
  CHECK(rig.queries.on_message(kSession, list, rig.clock.at));
  rig.queries.pump(rig.clock.at);
  CHECK_FALSE(rig.queries.idle());
  rig.pass(Queries::kForgotten);
  CHECK(rig.queries.idle());
}

TEST_CASE("reading anew tells good, rotten, changed, unreadable and gone apart") {
  Rig rig;
  for (const char* name : {"changed", "gone", "good", "rotten", "unreadable"})
    rig.add(name, str("text of ", name));
  rig.files.write_file("changed", as_bytes("other text"));
  rig.files.remove("gone");
  // The index knows other bytes under the stat that the file has: nobody touched it.
  auto entry = std::make_shared<Entry>(*rig.replica.index().find("rotten")->local);
  entry->content = content_id_of(as_bytes("what it was"));
  rig.replica.index().set_local("rotten", entry, *rig.files.stat("rotten"));
  rig.files.set_fault([](const std::string& operation, const std::string& subject) {
    return operation == "open_file" && subject == "unreadable"
               ? std::optional<Error>(Error{ErrorCode::kIo, "the disk is broken"})
               : std::nullopt;
  });
  rig.hash("");
  rig.run();
  REQUIRE(rig.end);
  REQUIRE(*rig.end);
  std::map<std::string, std::string> states;
  for (const HashReport& row : rig.hashes) states[row.name] = row.state;
  CHECK(states == std::map<std::string, std::string>{{"changed", "changed"},
                                                     {"gone", "gone"},
                                                     {"good", "good"},
                                                     {"rotten", "rotten"},
                                                     {"unreadable", "unreadable"}});
  // Bytes that are known to be bad are given to nobody.
  CHECK_FALSE(rig.replica.locate(entry->content, "rotten"));
  CHECK(std::any_of(rig.log.lines.begin(), rig.log.lines.end(), [](const std::string& line) {
    return line.find("silent corruption: rotten") != std::string::npos;
  }));
}

TEST_CASE("a repair without another node says so and leaves the file alone") {
  Rig rig;
  rig.add("rotten", "text");
  auto entry = std::make_shared<Entry>(*rig.replica.index().find("rotten")->local);
  entry->content = content_id_of(as_bytes("what it was"));
  rig.replica.index().set_local("rotten", entry, *rig.files.stat("rotten"));
  rig.hash("rotten", true);
  rig.run();
  CHECK_FALSE(rig.end);
  rig.replica.pump(rig.clock.at);
  rig.run();
  REQUIRE(rig.hashes.size() == 1);
  CHECK(rig.hashes[0].state == "rotten");
  CHECK(rig.hashes[0].note.find("no other node") != std::string::npos);
  CHECK(*rig.files.contents("rotten") == Bytes{'t', 'e', 'x', 't'});
}

TEST_CASE("a file of one's own that is read anew is compared, not said to be missing") {
  Rig rig;
  rig.over = kSelfSession;
  rig.add("good", "as it should be");
  rig.add("rotten", "text");
  auto entry = std::make_shared<Entry>(*rig.replica.index().find("rotten")->local);
  entry->content = content_id_of(as_bytes("what it was"));
  rig.replica.index().set_local("rotten", entry, *rig.files.stat("rotten"));
  rig.hash("");
  rig.run();
  REQUIRE(rig.hashes.size() == 2);
  CHECK(rig.hashes[0].same == std::optional<bool>(true));
  CHECK(rig.hashes[1].state == "rotten");
  CHECK(rig.hashes[1].same == std::optional<bool>(false));
}

TEST_CASE("a hash of another file than the one that was asked for is a lie") {
  Rig rig;
  rig.add("a", "x");
  rig.bend = [](Message& message) {
    if (auto* page = std::get_if<FileHashes>(&message)) page->rows[0].name = "b";
  };
  rig.hash("a");
  rig.run();
  CHECK(rig.lies.size() == 1);
  CHECK(rig.hashes.empty());
}

TEST_CASE("a question of the program itself is in nobody's history, the asked one's neither") {
  for (const char* name : {"report.txt", "none.txt"}) {
    Rig rig;
    rig.add("report.txt", "x");
    auto ask = [&](bool regex, bool quiet) {
      rig.end.reset();
      rig.questions.search(
          1, rig.peer, {name, regex, quiet},
          [](const std::vector<RecordReport>&, const AskControl::Taken& next) { next(); },
          [&](const Result<AskEnd>& result) { rig.end = result; }, rig.clock.at);
      rig.run();
      REQUIRE(rig.end);
    };
    ask(false, true);
    CHECK(rig.history.empty());
    // What a person asks is in both, and nobody looks through all names unseen.
    ask(false, false);
    CHECK(rig.history.size() == 2);
    ask(true, true);
    CHECK(rig.history.size() == 3);
    CHECK(rig.history.back().starts_with("in search --regex "));
  }
}

TEST_CASE("a search tells every holder once, over as many pages as it takes") {
  Rig rig;
  for (int i = 0; i < 5; ++i) rig.add(str("d", i, "/report.txt"), "x");
  rig.add("report.txt.old", "x");
  for (int i = 0; i < 600; ++i) {
    HolderInfo holder;
    holder.node.bytes[0] = static_cast<std::uint8_t>(1 + i / 256);
    holder.node.bytes[1] = static_cast<std::uint8_t>(i % 256);
    holder.address = {0x0a000002, 27801};
    holder.name = str("n", i);
    rig.holders.push_back(holder);
  }
  rig.holders[0].address = {};
  rig.search("report.txt");
  rig.run();
  REQUIRE(rig.end);
  REQUIRE(*rig.end);
  CHECK(rig.lies.empty());
  CHECK(rig.records.size() == 5 * 600);
  std::set<std::pair<std::string, std::string>> seen;
  for (const RecordReport& record : rig.records) seen.insert({record.file.name, record.node});
  CHECK(seen.size() == 5 * 600);
  // The one who answers stands there with the address by which it was reached.
  CHECK(rig.records[0].address == "10.0.0.1");
  CHECK(rig.records[1].address == "10.0.0.2");
}

TEST_CASE("a search that finds nothing says so, and one that asks a node that is not the hub too") {
  Rig rig;
  rig.add("a.txt", "x");
  rig.search("b.txt");
  rig.run();
  REQUIRE(rig.end);
  REQUIRE_FALSE(*rig.end);
  CHECK(rig.end->error().code == ErrorCode::kNotFound);
  rig.end.reset();
  rig.hub = false;
  rig.search("a.txt");
  rig.run();
  CHECK(rig.error().find("not the hub") != std::string::npos);
}

TEST_CASE("a record of a name that was not searched is a lie") {
  Rig rig;
  rig.add("a.txt", "x");
  rig.holders.push_back({rig.peer, {}, "bob"});
  rig.bend = [](Message& message) {
    if (auto* found = std::get_if<Found>(&message)) found->records[0].name = "b.txt";
  };
  rig.search("a.txt");
  rig.run();
  CHECK(rig.lies.size() == 1);
  CHECK(rig.records.empty());
}

TEST_CASE("a question that is cancelled hands on nothing more") {
  Rig rig;
  for (int i = 0; i < 2000; ++i) rig.add(numbered(i), "x");
  rig.index({}, false);
  rig.run();
  rig.questions.cancel(1);
  rig.waiting();
  rig.run();
  CHECK(rig.pages == 1);
  CHECK_FALSE(rig.end);
  CHECK(rig.queries.idle());
  CHECK(rig.fine);
}
