#include "platform/inotify_watcher.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "temp_folder.h"

namespace lansync {
namespace {

namespace fs = std::filesystem;
using Kind = WatchEventKind;

struct Watched {
  explicit Watched(std::size_t max_watches = SIZE_MAX) {
    auto made = RootGuard::open(dir / "root", true);
    REQUIRE(made);
    guard = std::move(*made);
    max = max_watches;
  }
  void start() {
    InotifyWatcher::Options options;
    options.max_watches = max;
    auto made = InotifyWatcher::create(guard, std::move(options));
    REQUIRE(made);
    watcher = std::move(*made);
    settle();
  }
  // Events are in the queue when the call that caused them has returned: nothing to wait for.
  void settle() {
    auto keep = [this](const WatchEvent& event) { events.push_back(event); };
    bool more = true;
    while (more) {
      more = watcher->read_events(keep, 100);
      more = watcher->continue_setup(3, keep) || more;
    }
  }
  int count(Kind kind, const std::string& path) const {
    return static_cast<int>(std::count_if(
        events.begin(), events.end(),
        [&](const WatchEvent& event) { return event.kind == kind && event.path == path; }));
  }
  std::string at(const std::string& path) const { return dir / ("root/" + path); }

  TempFolder dir;
  RootGuard guard;
  std::size_t max = 0;
  std::unique_ptr<InotifyWatcher> watcher;
  std::vector<WatchEvent> events;
};

TEST_CASE("a tree that is made at once is seen whole") {
  Watched w;
  w.start();
  fs::create_directories(w.at("a/b/c/d/e"));
  write_file(w.at("a/b/c/d/e/deep"), "x");
  write_file(w.at("a/near"), "x");
  w.settle();
  CHECK(w.count(Kind::kDirectoryCreated, "a/b/c/d/e") == 1);
  CHECK(w.count(Kind::kCreated, "a/b/c/d/e/deep") == 1);
  CHECK(w.count(Kind::kCreated, "a/near") == 1);
  w.events.clear();
  write_file(w.at("a/b/c/d/e/deep"), "y");
  w.settle();
  CHECK(w.count(Kind::kClosedAfterWrite, "a/b/c/d/e/deep") == 1);
}

TEST_CASE("what was there before is watched and not reported") {
  Watched w;
  fs::create_directories(w.at("a/b"));
  write_file(w.at("a/b/f"), "x");
  w.start();
  CHECK(w.events.empty());
  CHECK(w.watcher->watch_count() == 3);
  fs::remove(w.at("a/b/f"));
  w.settle();
  CHECK(w.count(Kind::kDeleted, "a/b/f") == 1);
}

TEST_CASE("after a rename of a directory its files are reported under the new name") {
  Watched w;
  fs::create_directories(w.at("old/sub"));
  w.start();
  fs::rename(w.at("old"), w.at("new"));
  w.settle();
  REQUIRE(w.count(Kind::kMoved, "new") == 1);
  CHECK(w.events[0].from == "old");
  CHECK(w.events[0].is_directory);
  w.events.clear();
  write_file(w.at("new/sub/f"), "x");
  fs::create_directory(w.at("old"));
  write_file(w.at("old/g"), "x");
  w.settle();
  CHECK(w.count(Kind::kClosedAfterWrite, "new/sub/f") == 1);
  CHECK(w.count(Kind::kCreated, "old/g") == 1);
  for (const WatchEvent& event : w.events) CHECK(event.path.rfind("old/sub", 0) != 0);
}

TEST_CASE("a directory that leaves is deleted and forgotten, one that comes is looked through") {
  Watched w;
  fs::create_directories(w.at("a/b"));
  w.start();
  fs::rename(w.at("a"), w.dir / "outside");
  w.settle();
  CHECK(w.count(Kind::kDeleted, "a") == 1);
  CHECK(w.watcher->watch_count() == 1);
  w.events.clear();
  write_file(w.dir / "outside/b/f", "x");
  w.settle();
  CHECK(w.events.empty());
  fs::rename(w.dir / "outside", w.at("back"));
  w.settle();
  CHECK(w.count(Kind::kDirectoryCreated, "back") == 1);
  CHECK(w.count(Kind::kCreated, "back/b/f") == 1);
}

TEST_CASE("a directory that is deleted and made again is watched again") {
  Watched w;
  fs::create_directory(w.at("a"));
  w.start();
  for (int i = 0; i < 3; ++i) {
    fs::remove_all(w.at("a"));
    fs::create_directory(w.at("a"));
    w.settle();
    w.events.clear();
    write_file(w.at("a/f"), "x");
    w.settle();
    CHECK(w.count(Kind::kClosedAfterWrite, "a/f") == 1);
  }
  CHECK(w.watcher->watch_count() == 2);
}

TEST_CASE("a file is open for writing from the first write to the close, also through a rename") {
  Watched w;
  fs::create_directory(w.at("d"));
  w.start();
  int fd = ::open(w.at("d/f").c_str(), O_WRONLY | O_CREAT, 0644);
  REQUIRE(::write(fd, "x", 1) == 1);
  w.settle();
  CHECK(w.watcher->open_for_write("d/f"));
  fs::rename(w.at("d"), w.at("e"));
  w.settle();
  CHECK_FALSE(w.watcher->open_for_write("d/f"));
  CHECK(w.watcher->open_for_write("e/f"));
  ::close(fd);
  w.settle();
  CHECK_FALSE(w.watcher->open_for_write("e/f"));
}

TEST_CASE("reading a file wakes nobody") {
  Watched w;
  write_file(w.at("f"), "x");
  w.start();
  CHECK(read_file(w.at("f")) == "x");
  for (const auto& item : fs::directory_iterator(w.at(""))) (void)item;
  w.settle();
  CHECK(w.events.empty());
}

TEST_CASE("a marker comes after every change made before it, and nothing else of .lansync does") {
  Watched w;
  w.start();
  fs::create_directories(w.at("a/b/c/d/e/f/g"));
  write_file(w.at("a/b/c/d/e/f/g/last"), "x");
  write_file(w.at(".lansync/marker-1"), "");
  fs::remove(w.at(".lansync/marker-1"));
  write_file(w.at(".lansync/tmp/noise"), "x");
  write_file(w.at(".lansync/other"), "x");
  w.settle();
  REQUIRE(w.count(Kind::kMarker, "marker-1") == 1);
  CHECK(w.events.back().kind == Kind::kMarker);
  CHECK(w.count(Kind::kCreated, "a/b/c/d/e/f/g/last") == 1);
  for (const WatchEvent& event : w.events) {
    CHECK(event.path.find("noise") == std::string::npos);
    CHECK(event.path.find("other") == std::string::npos);
  }
}

TEST_CASE("lost events are reported once everything is watched again") {
  Watched w;
  fs::create_directories(w.at("a/b"));
  w.start();
  // Two events each (create, close) against fs.inotify.max_queued_events, 16384 by default.
  for (int i = 0; i < 12'000; ++i) {
    int fd = ::open(w.at("a/f" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT, 0644);
    REQUIRE(fd >= 0);
    ::close(fd);
  }
  fs::rename(w.at("a/b"), w.at("a/c"));
  write_file(w.at(".lansync/marker-lost"), "");
  w.settle();
  REQUIRE(w.count(Kind::kOverflow, "") == 1);
  CHECK_FALSE(w.watcher->setup_pending());
  w.events.clear();
  write_file(w.at("a/c/new"), "x");
  w.settle();
  CHECK(w.count(Kind::kClosedAfterWrite, "a/c/new") == 1);
}

TEST_CASE("directories beyond the watch limit are named, and tried again when asked") {
  Watched w(3);
  for (const char* name : {"a", "b", "c", "d"}) fs::create_directory(w.at(name));
  w.start();
  CHECK(w.watcher->degraded());
  CHECK(w.watcher->unwatched_count() == 2);
  CHECK(w.watcher->unwatched().size() == 2);
  std::string lost = *w.watcher->unwatched().begin();
  for (const char* name : {"a", "b", "c", "d"}) {
    if (w.watcher->unwatched().count(name) == 0) fs::remove(w.at(name));
  }
  write_file(w.at(lost + "/f"), "x");
  w.settle();
  w.events.clear();
  w.watcher->retry_unwatched();
  w.settle();
  CHECK_FALSE(w.watcher->degraded());
  CHECK(w.count(Kind::kCreated, lost + "/f") == 1);
}

TEST_CASE("a root or .lansync that goes away is reported once") {
  for (const char* victim : {"root", "root/.lansync"}) {
    Watched w;
    w.start();
    fs::rename(w.dir / victim, w.dir / "moved");
    w.settle();
    CHECK(w.count(Kind::kRootGone, "") == 1);
  }
  Watched w;
  w.start();
  fs::remove_all(w.dir / "root");
  w.settle();
  CHECK(w.count(Kind::kRootGone, "") == 1);
}

TEST_CASE("links are reported and not followed") {
  Watched w;
  fs::create_directory(w.dir / "outside");
  w.start();
  fs::create_symlink(w.dir / "outside", w.at("link"));
  w.settle();
  CHECK(w.count(Kind::kCreated, "link") == 1);
  write_file(w.dir / "outside/f", "x");
  w.events.clear();
  w.settle();
  CHECK(w.events.empty());
}

}  // namespace
}  // namespace lansync
