// What lies in the trash is what is listed, and what its limits may take.
#include "sync/trash.h"

#include "support/catch.h"
#include "support/manual_executor.h"
#include "support/memory_file_system.h"
#include "sync/batch_journal.h"
#include "sync/hashing.h"
#include "unit/sync/replica_rig.h"

namespace lansync {
namespace {

constexpr std::int64_t kDayNs = 24LL * 3600 * 1'000'000'000;

Bytes bytes_of(std::string_view text) {
  return Bytes(as_bytes(text).begin(), as_bytes(text).end());
}

// One start of a node after the other, over one disk and one list of rows.
struct Life {
  void start(const BatchJournal& left = {}) {
    index = std::make_unique<Index>();
    LoadedIndex loaded;
    for (const auto& [name, row] : rows) loaded.trash.push_back(row);
    REQUIRE(index->load(loaded).empty());
    trash = std::make_unique<Trash>(*index, fs, executor, log);
    trash->start(left, 7, now, observed_ns);
    run();
  }
  void run() {
    for (int i = 0; i < 50; ++i) {
      now += 1s;
      trash->pump(now, observed_ns);
      while (executor.run_one()) {
      }
    }
    const IndexBatch batch = index->take_batch();
    for (const std::string& name : batch.trash_removed) rows.erase(name);
    for (const TrashRow& row : batch.trash_added) rows[row.name] = row;
  }
  // As a batch would that ended well.
  void put(const std::string& name, std::string_view text, TrashReason reason,
           std::int64_t days_ago = 0) {
    TrashItem item;
    item.path = "p/" + name;
    item.content = content_id_of(as_bytes(text));
    item.size = text.size();
    item.put_at_ns = observed_ns - days_ago * kDayNs;
    item.reason = reason;
    lay(name, text);
    trash->keep(name, item);
  }
  void lay(const std::string& name, std::string_view text) {
    fs.write_file("aside", bytes_of(text));
    REQUIRE(fs.move_to_trash("aside", *fs.stat("aside"), name));
  }
  void have(const std::string& path, std::string_view text) {
    fs.write_file(path, bytes_of(text));
    Entry entry;
    entry.size = text.size();
    entry.content = content_id_of(as_bytes(text));
    index->set_local(path, std::make_shared<const Entry>(entry), *fs.stat(path));
  }
  std::vector<std::string> pruned(std::optional<std::uint64_t> bytes = std::nullopt) {
    Trash::Limits limits;
    limits.observed_ns = observed_ns;
    limits.bytes = bytes;
    limits.is_rotten = [](const std::string& path) { return path == "rotten"; };
    limits.is_needed = [](const std::string& path) { return path == "p/needed"; };
    limits.is_elsewhere = [this](const ContentId& content) {
      return content == content_id_of(as_bytes(elsewhere));
    };
    (void)trash->prune(limits);
    std::vector<std::string> before;
    for (const auto& [name, item] : index->trash().items()) before.push_back(name);
    run();
    std::erase_if(before, [&](const std::string& name) {
      const bool there = fs.trash_contents(name).has_value();
      CHECK(there == (index->trash().find(name) != nullptr));
      return there;
    });
    return before;
  }

  MemoryFileSystem fs;
  ManualExecutor executor;
  NoLog log;
  Instant now{1h};
  std::int64_t observed_ns = 1000 * kDayNs;
  std::string elsewhere = "nothing";
  std::map<std::string, TrashRow> rows;
  std::unique_ptr<Index> index;
  std::unique_ptr<Trash> trash;
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("what lies in the trash without a row is listed with its content at every start") {
  Life life;
  life.lay("leftover-0-c-12", "what a person wrote");
  life.lay("2026-11-21_12.30.05-9/deep/er.txt", "deleted");
  REQUIRE(life.fs.make_symlink("to/nowhere", "link", std::nullopt, ""));
  REQUIRE(life.fs.move_to_trash("link", *life.fs.stat("link"), "2026-11-21_12.30.05-8/link"));
  for (int starts = 0; starts < 3; ++starts) {
    life.start();
    REQUIRE(life.trash->walked());
    REQUIRE(life.rows.size() == 3);
    const TrashItem& left = *life.index->trash().find("leftover-0-c-12");
    CHECK(left.content == content_id_of(as_bytes("what a person wrote")));
    CHECK(left.size == 19);
    CHECK(left.reason == TrashReason::kFound);
    const TrashItem& deleted = *life.index->trash().find("2026-11-21_12.30.05-9/deep/er.txt");
    CHECK(deleted.path == "deep/er.txt");
    CHECK(deleted.content == content_id_of(as_bytes("deleted")));
    const TrashItem& link = *life.index->trash().find("2026-11-21_12.30.05-8/link");
    CHECK(link.symlink);
    CHECK(link.content == content_id_of(as_bytes("to/nowhere")));
    // A link's target is no file with these bytes.
    CHECK_FALSE(life.index->trash().find_content(link.content));
  }
}

TEST_CASE("a row whose file is not there goes; a trash that cannot be listed loses no row") {
  Life life;
  life.start();
  life.put("a", "a", TrashReason::kDeleted);
  life.put("b", "b", TrashReason::kDeleted);
  life.run();
  REQUIRE(life.fs.remove_trash("a"));
  bool broken = true;
  life.fs.set_fault([&](const std::string& operation, const std::string&) -> std::optional<Error> {
    if (broken && operation == "list_trash") return Error{ErrorCode::kIo, "input/output error"};
    return std::nullopt;
  });
  life.start();
  CHECK_FALSE(life.trash->walked());
  CHECK(life.rows.size() == 2);
  broken = false;
  life.now += 2min;
  life.run();
  CHECK(life.trash->walked());
  CHECK(life.rows.size() == 1);
  CHECK(life.rows.contains("b"));
}

TEST_CASE("what a batch was moving when the node died keeps its path, reason and content") {
  DiskChange change;
  change.kind = DiskChange::Kind::kTrash;
  change.path = "letters/mother.txt";
  auto gone = std::make_shared<Entry>();
  gone->kind = EntryKind::kTombstone;
  gone->version.raise(5, 6);
  change.entry = gone;
  change.trash = "2026-11-21_12.30.05-1/letters/mother.txt";
  change.displaces.content = content_id_of(as_bytes("dear"));
  change.displaces.size = 4;
  change.displaces.reason = TrashReason::kDeleted;
  change.displaces.put_at_ns = 3 * kDayNs;
  DiskChange other = change;
  other.path = "never-moved";
  other.trash = "2026-11-21_12.30.05-2/never-moved";
  BatchJournal journal;
  journal.load(BatchJournal{}.encode({change, other}));
  REQUIRE(journal.intended().size() == 2);
  CHECK(journal.intended("never-moved")->version == gone->version);
  Life life;
  life.lay(change.trash, "dear");
  life.start(journal);
  REQUIRE(life.rows.size() == 1);
  const TrashItem& item = *life.index->trash().find(change.trash);
  CHECK(item.path == "letters/mother.txt");
  CHECK(item.reason == TrashReason::kDeleted);
  CHECK(item.content == change.displaces.content);
  CHECK(item.put_at_ns == 3 * kDayNs);
  // Cut short anywhere, or with strange bytes, it is none.
  const std::string whole = BatchJournal{}.encode({change, other});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    BatchJournal cut;
    cut.load(std::string_view(whole).substr(0, size));
    CHECK(cut.resolved());
  }
}

TEST_CASE("a second name that a crash left in the trash goes: the file never left its place") {
  DiskChange change;
  change.path = "a";
  change.entry = std::make_shared<const Entry>();
  change.trash = "2026-11-21_12.30.05-1/a";
  BatchJournal journal;
  journal.load(BatchJournal{}.encode({change}));
  Life life;
  life.fs.write_file("a", bytes_of("in its place"));
  life.fs.link_into_trash("a", change.trash);
  life.start(journal);
  CHECK(life.rows.empty());
  CHECK_FALSE(life.fs.trash_contents(change.trash));
  CHECK(life.fs.contents("a") == bytes_of("in its place"));
}

TEST_CASE("the limits take what somebody went past, and of the rest no last copy") {
  Life life;
  life.start();
  for (int days : {0, 40}) {
    const std::string age = days == 0 ? "young-" : "old-";
    life.put(age + "replaced", age + "1", TrashReason::kReplaced, days);
    life.put(age + "deleted", age + "2", TrashReason::kDeleted, days);
    life.put(age + "lost", age + "3", TrashReason::kLost, days);
    life.put(age + "found", age + "4", TrashReason::kFound, days);
    life.put(age + "damaged", age + "5", TrashReason::kDamaged, days);
  }
  CHECK(life.pruned() == Names{"old-deleted", "old-replaced"});
  CHECK(life.pruned(0) == Names{"young-deleted", "young-replaced"});
  CHECK(life.pruned(0).empty());

  // A copy in the folder, or with another node, frees the rest; one that rots or was touched does
  // not.
  life.have("here", "old-3");
  life.elsewhere = "old-4";
  life.have("rotten", "old-5");
  life.have("touched", "young-3");
  life.fs.write_file("touched", bytes_of("young-3"));
  CHECK(life.pruned() == Names{"old-found", "old-lost"});
  CHECK(life.pruned(0).empty());
  // Its file, which nobody looked at since, may be anything.
  CHECK(life.fs.trash_contents("young-lost"));
}

TEST_CASE("what a program wrote into a file that was replaced under it is no version gone past") {
  for (const bool at_a_start : {false, true}) {
    INFO((at_a_start ? "seen at a start" : "seen when its time is over"));
    Life life;
    life.start();
    life.put("log", "early", TrashReason::kReplaced, 40);
    REQUIRE(life.fs.remove_trash("log"));
    life.lay("log", "early, and late");
    if (at_a_start) {
      life.run();
      life.start();
    }
    CHECK(life.pruned().empty());
    CHECK(life.pruned(0).empty());
    const TrashItem* item = life.index->trash().find("log");
    REQUIRE(item);
    CHECK(item->size == 15);
    CHECK(item->content == content_id_of(as_bytes("early, and late")));
    CHECK(item->path == "p/log");
    life.elsewhere = "early, and late";
    CHECK(life.pruned() == Names{"log"});
  }
}

TEST_CASE("the oldest go first, a run that may be undone stays, and ages are observed time") {
  Life life;
  life.start();
  life.put("x1", "12345", TrashReason::kDeleted, 3);
  life.put("x2", "23456", TrashReason::kDeleted, 2);
  life.put("x3", "34567", TrashReason::kDeleted, 1);
  life.put("needed", "45678", TrashReason::kDeleted, 60);
  CHECK(life.pruned(15) == Names{"x1"});
  CHECK(life.pruned(10) == Names{"x2"});
  life.observed_ns += 28 * kDayNs;
  CHECK(life.pruned().empty());
  life.observed_ns += 2 * kDayNs;
  CHECK(life.pruned() == Names{"x3"});
}

TEST_CASE("who deletes the copy that a conflict left lets go of the version that lost, too") {
  Life life;
  life.start();
  life.put("lost", "my version", TrashReason::kLost, 40);
  CHECK(life.pruned().empty());
  life.put("copy", "my version", TrashReason::kDeleted, 0);
  CHECK(life.pruned() == Names{"lost"});
  CHECK(life.rows.size() == 1);
}

TEST_CASE("a path of any length has a name in the trash that can be opened") {
  Life life;
  life.start();
  const std::string part(255, 'x');
  std::string path = part;
  while (path.size() + 256 <= 4095) path += '/' + part;
  CHECK(life.trash->name_for(path, WallTime{}).size() < 1000);
  CHECK(life.trash->name_for("a/b", WallTime{}).ends_with("/a/b"));
  CHECK(life.trash->name_for("a/b", WallTime{}) != life.trash->name_for("a/b", WallTime{}));
}

}  // namespace lansync
