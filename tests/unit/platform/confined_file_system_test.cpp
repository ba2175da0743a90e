#include "platform/confined_file_system.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "temp_folder.h"

namespace lansync {
namespace {

namespace fs = std::filesystem;

struct Folder {
  explicit Folder(FileSystemLimits limits = {}) {
    auto guard = RootGuard::open(dir / "root", true);
    REQUIRE(guard);
    auto opened = ConfinedFileSystem::open(std::move(*guard), limits);
    REQUIRE(opened);
    files = std::move(*opened);
  }
  std::string at(const std::string& path) const { return dir / ("root/" + path); }
  void temp(const std::string& name, const std::string& text) {
    auto file = files->create_temp(name);
    REQUIRE(file);
    REQUIRE((*file)->write(0, as_bytes(text)));
    REQUIRE((*file)->set_metadata(0640, 1'500'000'000'123'456'789));
  }
  FileStat stat(const std::string& path) {
    auto found = files->stat(path);
    REQUIRE(found);
    return *found;
  }
  std::size_t temp_count() { return files->list_temp()->size(); }

  TempFolder dir;
  std::unique_ptr<ConfinedFileSystem> files;
};

// Every way around a kernel feature has to end in the same state as the feature.
std::vector<FileSystemLimits> all_limits() {
  FileSystemLimits none, walk, exchange, noreplace, links, bare;
  walk.no_openat2 = true;
  exchange.no_exchange = true;
  noreplace.no_noreplace = true;
  links.no_hard_links = true;
  bare.no_openat2 = bare.no_exchange = bare.no_noreplace = bare.no_hard_links = true;
  bare.no_reflink = bare.no_copy_range = true;
  return {none, walk, exchange, noreplace, links, bare};
}

TEST_CASE("a removed .lansync/tmp or trash is made again, and used at once") {
  Folder f;
  fs::remove_all(f.at(".lansync/tmp"));
  fs::remove_all(f.at(".lansync/trash"));
  // At the first need of it, before anybody looked.
  f.temp("t1", "one");
  REQUIRE(f.files->install_temp("t1", "a", std::nullopt, ""));
  CHECK(read_file(f.at("a")) == "one");
  // With the next look at the folder.
  REQUIRE(f.files->check_root());
  f.temp("t2", "two");
  REQUIRE(f.files->install_temp("t2", "a", f.stat("a"), "2026/a-1"));
  CHECK(read_file(f.at(".lansync/trash/2026/a-1")) == "one");
  CHECK((fs::status(f.at(".lansync/tmp")).permissions() & fs::perms::all) == fs::perms::owner_all);
}

TEST_CASE("a temp file is put in place, replaced, trashed and brought back on every file system") {
  for (const FileSystemLimits& limits : all_limits()) {
    Folder f(limits);
    REQUIRE(f.files->make_directory("d", 0755));
    f.temp("t1", "one");
    auto first = f.files->install_temp("t1", "d/a", std::nullopt, "");
    REQUIRE(first);
    CHECK(first->mode == 0640);
    CHECK(first->mtime_ns == 1'500'000'000'123'456'789);
    CHECK(read_file(f.at("d/a")) == "one");

    f.temp("t2", "two!");
    auto second = f.files->install_temp("t2", "d/a", *first, "2026/a-1");
    REQUIRE(second);
    CHECK(read_file(f.at("d/a")) == "two!");
    CHECK(read_file(f.at(".lansync/trash/2026/a-1")) == "one");
    CHECK(f.temp_count() == 0);

    f.temp("t3", "three");
    CHECK(f.files->install_temp("t3", "d/a", std::nullopt, "").error().code == ErrorCode::kExists);
    auto third = f.files->install_temp("t3", "d/a", *second, "");
    REQUIRE(third);
    CHECK(f.temp_count() == 0);

    REQUIRE(f.files->move_to_trash("d/a", *third, "2026/a-2"));
    CHECK_FALSE(fs::exists(f.at("d/a")));
    REQUIRE(f.files->copy_trash_to_temp("2026/a-2", "copy"));
    CHECK(read_file(f.at(".lansync/tmp/copy")) == "three");
    REQUIRE(f.files->restore_from_trash("2026/a-2", "d/a"));
    CHECK(read_file(f.at("d/a")) == "three");
    REQUIRE(f.files->remove_trash("2026/a-1"));
    REQUIRE(f.files->remove_trash("2026/a-1"));
    CHECK_FALSE(fs::exists(f.at(".lansync/trash/2026")));
    REQUIRE(f.files->sync_all());
  }
}

TEST_CASE("what is not the expected file is neither replaced nor removed") {
  for (const FileSystemLimits& limits : all_limits()) {
    Folder f(limits);
    write_file(f.at("a"), "old");
    FileStat expected = f.stat("a");
    write_file(f.at("a"), "edited by a person");
    f.temp("t", "incoming");
    auto put = f.files->install_temp("t", "a", expected, "x");
    REQUIRE_FALSE(put);
    CHECK(put.error().code == ErrorCode::kChanged);
    CHECK(f.files->move_to_trash("a", expected, "x").error().code == ErrorCode::kChanged);
    CHECK(read_file(f.at("a")) == "edited by a person");
    CHECK_FALSE(fs::exists(f.at(".lansync/trash/x")));
    CHECK(read_file(f.at(".lansync/tmp/t")) == "incoming");

    fs::remove(f.at("a"));
    CHECK(f.files->install_temp("t", "a", expected, "x").error().code == ErrorCode::kChanged);
    CHECK(f.files->move_to_trash("a", expected, "x").error().code == ErrorCode::kNotFound);
    CHECK_FALSE(fs::exists(f.at("a")));
  }
}

TEST_CASE("an edit that races with replacing is never lost") {
  Folder f;
  write_file(f.at("a"), "0");
  std::atomic<bool> stop{false};
  std::atomic<int> saves{0};
  // A person's editor: saves by rename, each save its own content.
  std::thread editor([&] {
    for (int i = 1; !stop; ++i) {
      std::string text = "person " + std::to_string(i);
      int fd = ::open(f.at("e").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      (void)!::write(fd, text.data(), text.size());
      ::close(fd);
      ::rename(f.at("e").c_str(), f.at("a").c_str());
      saves = i;
      for (int spin = 0; spin < 20'000; ++spin) stop.load();
    }
  });
  int replaced = 0;
  for (int i = 0; i < 3000; ++i) {
    auto now = f.files->stat("a");
    if (!now) continue;
    std::string expected_text = read_file(f.at("a"));
    std::string name = "t" + std::to_string(i);
    std::string trash = "v" + std::to_string(i);
    auto temp = f.files->create_temp(name);
    if (!temp || !(*temp)->write(0, as_bytes("net"))) continue;
    auto put = f.files->install_temp(name, "a", *now, trash);
    if (put) {
      ++replaced;
      // What was replaced is in the trash, and is the file of the stat.
      auto kept = f.files->stat("a");
      struct stat st {};
      REQUIRE(::stat(f.at(".lansync/trash/" + trash).c_str(), &st) == 0);
      CHECK(st.st_ino == now->inode);
      CHECK(st.st_size == static_cast<off_t>(now->size));
    } else {
      CHECK((put.error().code == ErrorCode::kChanged));
    }
  }
  stop = true;
  editor.join();
  CHECK(replaced > 0);
  CHECK(saves > 10);
  // The last save is at its name or, if we replaced it after that, in the trash.
  std::string last = "person " + std::to_string(saves.load());
  bool found = read_file(f.at("a")) == last;
  for (const auto& item : fs::directory_iterator(f.at(".lansync/trash"))) {
    found = found || read_file(item.path()) == last;
  }
  CHECK(found);
}

TEST_CASE("a reader finds a whole file under a name that is replaced again and again") {
  Folder f;
  write_file(f.at("a"), "aaaa");
  std::atomic<bool> stop{false};
  std::atomic<int> missing{0}, partial{0}, reads{0};
  std::thread reader([&] {
    while (!stop) {
      int fd = ::open(f.at("a").c_str(), O_RDONLY);
      char text[8];
      if (fd < 0) {
        ++missing;
      } else if (::read(fd, text, sizeof text) != 4) {
        ++partial;
      }
      if (fd >= 0) ::close(fd);
      ++reads;
    }
  });
  for (int i = 0; i < 2000 || reads < 1000; ++i) {
    f.temp("t", "bbbb");
    REQUIRE(f.files->install_temp("t", "a", f.stat("a"), ""));
  }
  stop = true;
  reader.join();
  CHECK(missing == 0);
  CHECK(partial == 0);
}

TEST_CASE("no path leads out of the folder, also while a directory turns into a link") {
  for (bool walk : {false, true}) {
    FileSystemLimits limits;
    limits.no_openat2 = walk;
    Folder f(limits);
    fs::create_directory(f.dir / "outside");
    write_file(f.dir / "outside/secret", "secret");
    for (const char* path : {"../outside/secret", "/etc/passwd", "a/../../outside/secret", "a//b",
                             "./a", ".lansync/lock", ".lansync"}) {
      CHECK(f.files->stat(path).error().code == ErrorCode::kRefused);
      CHECK(f.files->open_file(path).error().code == ErrorCode::kRefused);
    }
    fs::create_symlink(f.dir / "outside", f.at("link"));
    CHECK(f.files->open_file("link/secret").error().code == ErrorCode::kRefused);
    CHECK(f.files->list("link").error().code == ErrorCode::kRefused);
    CHECK(f.files->make_directory("link/new", 0755).error().code == ErrorCode::kRefused);
    fs::create_symlink(f.dir / "outside/secret", f.at("direct"));
    CHECK(f.files->open_file("direct").error().code == ErrorCode::kChanged);

    fs::create_directory(f.at("d"));
    fs::create_symlink(f.dir / "outside", f.at("evil"));
    std::atomic<bool> stop{false};
    std::thread attacker([&] {
      while (!stop) {
        ::renameat2(AT_FDCWD, f.at("d").c_str(), AT_FDCWD, f.at("evil").c_str(), RENAME_EXCHANGE);
      }
    });
    int through = 0;
    for (int i = 0; i < 3000; ++i) {
      f.temp("t", "payload");
      auto put = f.files->install_temp("t", "d/file" + std::to_string(i), std::nullopt, "");
      if (put) ++through;
    }
    stop = true;
    attacker.join();
    CHECK(through > 0);
    CHECK(std::distance(fs::directory_iterator(f.dir / "outside"), {}) == 1);
    CHECK(read_file(f.dir / "outside/secret") == "secret");
  }
}

TEST_CASE("a fifo, a socket or a directory in place of a file does not hang us") {
  Folder f;
  REQUIRE(::mkfifo(f.at("pipe").c_str(), 0644) == 0);
  fs::create_directory(f.at("dir"));
  CHECK(f.files->open_file("pipe").error().code == ErrorCode::kChanged);
  CHECK(f.files->open_file("dir").error().code == ErrorCode::kChanged);
  CHECK(f.files->copy_to_temp("pipe", "t").error().code == ErrorCode::kChanged);
  CHECK(f.stat("pipe").kind == FileKind::kOther);
}

TEST_CASE("the private directory is not listed, and names are given as they are on disk") {
  Folder f;
  write_file(f.at("a\x1b[2J"), "x");
  write_file(f.at("\xff"), "x");
  fs::create_directory(f.at("d"));
  auto items = f.files->list("");
  REQUIRE(items);
  std::vector<std::string> names;
  for (auto& item : *items) names.push_back(item.name);
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"a\x1b[2J", "d", "\xff"});
}

TEST_CASE("what a crash left half exchanged is moved to the trash at the next start") {
  TempFolder dir;
  {
    auto files = ConfinedFileSystem::open(dir / "root", true);
    REQUIRE(files);
  }
  write_file(dir / "root/.lansync/tmp/x-t1", "a person's");
  write_file(dir / "root/.lansync/tmp/t2", "partial");
  REQUIRE(::symlink("nowhere", (dir / "root/.lansync/tmp/s-1-0").c_str()) == 0);
  auto files = ConfinedFileSystem::open(dir / "root", true);
  REQUIRE(files);
  REQUIRE((*files)->saved_leftovers().size() == 1);
  const SavedLeftover& saved = (*files)->saved_leftovers()[0];
  CHECK(saved.size == 10);
  CHECK(read_file(dir / ("root/.lansync/trash/" + saved.trash_name)) == "a person's");
  auto temps = (*files)->list_temp();
  REQUIRE(temps);
  REQUIRE(temps->size() == 1);
  CHECK((*temps)[0].name == "t2");
}

// The parent kills a child at an arbitrary moment, again and again.
TEST_CASE("a process that is killed while it replaces a file loses neither version") {
  TempFolder dir;
  {
    auto files = ConfinedFileSystem::open(dir / "root", true);
    REQUIRE(files);
  }
  for (int round = 0; round < 30; ++round) {
    std::string mine = "version of a person " + std::to_string(round);
    write_file(dir / "root/a", mine);
    pid_t child = ::fork();
    if (child == 0) {
      auto files = ConfinedFileSystem::open(dir / "root", true);
      for (int i = 0; files; ++i) {
        auto now = (*files)->stat("a");
        auto temp = (*files)->create_temp("t");
        if (!now || !temp || !(*temp)->write(0, as_bytes("net"))) _exit(1);
        std::string trash = "r" + std::to_string(round) + "-" + std::to_string(i);
        if (!(*files)->install_temp("t", "a", *now, trash)) _exit(1);
      }
      _exit(1);
    }
    REQUIRE(child > 0);
    ::usleep(static_cast<useconds_t>(500 + round * 137));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    auto files = ConfinedFileSystem::open(dir / "root", true);
    REQUIRE(files);
    bool kept = read_file(dir / "root/a") == mine;
    bool whole = read_file(dir / "root/a") == mine || read_file(dir / "root/a") == "net";
    for (const auto& item : fs::directory_iterator(dir / "root/.lansync/trash")) {
      kept = kept || read_file(item.path()) == mine;
    }
    CHECK(kept);
    CHECK(whole);
  }
}

TEST_CASE("a second node on the folder is refused and told the first one's pid") {
  TempFolder dir;
  auto first = RootGuard::open(dir / "root", true);
  REQUIRE(first);
  auto second = RootGuard::open(dir / "root", true);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kBusy);
  CHECK(second.error().detail.find(std::to_string(::getpid())) != std::string::npos);
  *first = RootGuard();
  CHECK(RootGuard::open(dir / "root", true));
}

TEST_CASE("a folder is made private, and one that is swapped or gone is noticed") {
  Folder f;
  struct stat st {};
  REQUIRE(::stat(f.at("").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0700);
  REQUIRE(::stat(f.at(".lansync").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0700);
  CHECK(f.files->check_root());
  fs::rename(f.dir / "root/.lansync", f.dir / "moved");
  CHECK_FALSE(f.files->check_root());
  fs::create_directory(f.dir / "root/.lansync");
  CHECK_FALSE(f.files->check_root());
  fs::remove(f.dir / "root/.lansync");
  fs::rename(f.dir / "moved", f.dir / "root/.lansync");
  CHECK(f.files->check_root());
  fs::rename(f.dir / "root", f.dir / "other");
  CHECK_FALSE(f.files->check_root());
  fs::create_directory(f.dir / "root");
  CHECK_FALSE(f.files->check_root());
}

TEST_CASE("a .lansync that is a link is refused") {
  TempFolder dir;
  fs::create_directory(dir / "root");
  fs::create_directory(dir / "elsewhere");
  fs::create_symlink(dir / "elsewhere", dir / "root/.lansync");
  CHECK_FALSE(RootGuard::open(dir / "root", true));
}

TEST_CASE("holes stay holes in a copy") {
  for (bool by_hand : {false, true}) {
    FileSystemLimits limits;
    limits.no_reflink = limits.no_copy_range = by_hand;
    Folder f(limits);
    int fd = ::open(f.at("sparse").c_str(), O_RDWR | O_CREAT, 0644);
    REQUIRE(fd >= 0);
    REQUIRE(::ftruncate(fd, 4LL << 30) == 0);
    REQUIRE(::pwrite(fd, "data", 4, 3LL << 30) == 4);
    ::close(fd);
    REQUIRE(f.files->copy_to_temp("sparse", "t"));
    struct stat st {};
    REQUIRE(::stat(f.at(".lansync/tmp/t").c_str(), &st) == 0);
    CHECK(st.st_size == 4LL << 30);
    CHECK(st.st_blocks < 4096);
    auto temp = f.files->open_temp("t");
    REQUIRE(temp);
    std::vector<std::uint8_t> got(4);
    REQUIRE((*temp)->read(3ULL << 30, got));
    CHECK(as_text(got) == "data");
  }
}

TEST_CASE("links are made, replaced and told apart") {
  Folder f;
  auto made = f.files->make_symlink("../anywhere", "l", std::nullopt, "");
  REQUIRE(made);
  CHECK(made->kind == FileKind::kSymlink);
  CHECK(*f.files->read_link("l") == "../anywhere");
  auto again = f.files->make_symlink("b", "l", *made, "old-l");
  REQUIRE(again);
  CHECK(*f.files->read_link("l") == "b");
  CHECK(fs::read_symlink(f.at(".lansync/trash/old-l")) == "../anywhere");
  CHECK(f.files->make_symlink("c", "l", std::nullopt, "").error().code == ErrorCode::kExists);
  CHECK(f.temp_count() == 0);
  auto dated = f.files->set_metadata("l", 0777, -1'500'000'000, *again);
  REQUIRE(dated);
  CHECK(dated->mtime_ns == -1'500'000'000);
}

TEST_CASE("mode and time are set on the file that was looked at only") {
  Folder f;
  write_file(f.at("a"), "a");
  REQUIRE(::chmod(f.at("a").c_str(), 0) == 0);
  FileStat before = f.stat("a");
  auto set = f.files->set_metadata("a", 07644, 5'000'000'001, before);
  REQUIRE(set);
  struct stat st {};
  REQUIRE(::stat(f.at("a").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0644);
  CHECK(set->mtime_ns == 5'000'000'001);
  CHECK(f.files->set_metadata("a", 0600, std::nullopt, before).error().code == ErrorCode::kChanged);
}

TEST_CASE(
    "a time that 64 bits of nanoseconds cannot hold is the last that they can, and stays so") {
  constexpr std::int64_t kSecond = 1'000'000'000;
  CHECK(nanoseconds_of({9'223'372'035, 5}) == 9'223'372'035 * kSecond + 5);
  CHECK(nanoseconds_of({9'223'372'037, 0}) == 9'223'372'035 * kSecond);
  CHECK(nanoseconds_of({std::numeric_limits<time_t>::max(), 999'999'999}) ==
        9'223'372'035 * kSecond);
  CHECK(nanoseconds_of({std::numeric_limits<time_t>::min(), 0}) == -9'223'372'035 * kSecond);
  CHECK(nanoseconds_of({-2, 500'000'000}) == -1'500'000'000);
  Folder f;
  write_file(f.at("far"), "a");
  const timespec times[2] = {{0, UTIME_OMIT}, {20'000'000'000, 0}};  // 2603
  REQUIRE(::utimensat(AT_FDCWD, f.at("far").c_str(), times, 0) == 0);
  const FileStat far = f.stat("far");
  // A file system that cannot hold it says its own last time.
  CHECK(far.mtime_ns > 0);
  CHECK(far.mtime_ns <= 9'223'372'035 * kSecond);
  auto set = f.files->set_metadata("far", 0600, far.mtime_ns, far);
  REQUIRE(set);
  CHECK(set->mtime_ns == far.mtime_ns);
}

TEST_CASE("bits of a mode that an entry does not carry are left as they are") {
  Folder f;
  REQUIRE(f.files->make_directory("d", 0755));
  REQUIRE(::chmod(f.at("d").c_str(), 02775 | S_ISVTX) == 0);
  REQUIRE(f.files->set_metadata("d", 0750, std::nullopt, f.stat("d")));
  struct stat st {};
  REQUIRE(::stat(f.at("d").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == (02750 | S_ISVTX));
}

TEST_CASE("whether somebody has a file open for writing is told by the kernel, not by events") {
  Folder f;
  write_file(f.at("a"), "a");
  auto writes = [&] {
    auto answer = f.files->has_writer("a");
    REQUIRE(answer);
    return *answer;
  };
  CHECK_FALSE(writes());
  const int reader = ::open(f.at("a").c_str(), O_RDONLY | O_CLOEXEC);
  CHECK_FALSE(writes());
  const int writer = ::open(f.at("a").c_str(), O_WRONLY | O_CLOEXEC);
  CHECK(writes());
  ::close(writer);
  ::close(reader);
  CHECK_FALSE(writes());
  REQUIRE(::truncate(f.at("a").c_str(), 0) == 0);
  CHECK_FALSE(writes());
  CHECK(f.files->has_writer("none").error().code == ErrorCode::kNotFound);
}

TEST_CASE("a directory with something in it is not removed") {
  Folder f;
  REQUIRE(f.files->make_directory("d", 0751));
  CHECK(f.stat("d").mode == 0751);
  CHECK(f.files->make_directory("d", 0755).error().code == ErrorCode::kExists);
  write_file(f.at("d/x"), "");
  CHECK(f.files->remove_directory("d").error().code == ErrorCode::kChanged);
  fs::remove(f.at("d/x"));
  CHECK(f.files->remove_directory("d"));
}

TEST_CASE("making a temp file never truncates a file that shares its name's inode") {
  Folder f;
  write_file(f.at("a"), "precious");
  REQUIRE(::link(f.at("a").c_str(), f.at(".lansync/tmp/t").c_str()) == 0);
  CHECK_FALSE(f.files->open_temp("t"));
  f.temp("t", "x");
  CHECK(read_file(f.at("a")) == "precious");
}

// Root passes every permission check, so the work is done by a child that is not root.
TEST_CASE("a read-only directory of ours is written to and read-only again afterwards") {
  TempFolder dir;
  if (::geteuid() == 0) REQUIRE(::chown(dir.path().c_str(), 65534, 65534) == 0);
  pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) _exit(10);
    auto files = ConfinedFileSystem::open(dir / "root", true);
    if (!files) _exit(11);
    ConfinedFileSystem& f = **files;
    if (!f.make_directory("d", 0755)) _exit(12);
    auto temp = f.create_temp("t");
    if (!temp || !(*temp)->write(0, as_bytes("new"))) _exit(13);
    if (::chmod((dir / "root/d").c_str(), 0555) != 0) _exit(14);
    auto put = f.install_temp("t", "d/a", std::nullopt, "");
    if (!put) _exit(15);
    if (f.stat("d")->mode != 0555) _exit(16);
    if (!f.move_to_trash("d/a", *put, "old")) _exit(17);
    if (f.stat("d")->mode != 0555) _exit(18);
    ::chmod((dir / "root/d").c_str(), 0755);
    _exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("free and total space are told") {
  Folder f;
  CHECK(*f.files->free_bytes() > 0);
  CHECK(*f.files->total_bytes() >= *f.files->free_bytes());
}

// Not in the default run: figures for people. unit_platform "[.bench]"
TEST_CASE("installing 10,000 small files", "[.bench]") {
  Folder f;
  for (int i = 0; i < 100; ++i) REQUIRE(f.files->make_directory("d" + std::to_string(i), 0755));
  std::vector<FileStat> stats;
  for (const char* pass : {"new", "replace"}) {
    for (int i = 0; i < 10'000; ++i) f.temp("t" + std::to_string(i), std::string(4096, 'x'));
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 10'000; ++i) {
      std::string path = "d" + std::to_string(i % 100) + "/f" + std::to_string(i);
      bool fresh = stats.size() < 10'000;
      auto put = f.files->install_temp(
          "t" + std::to_string(i), path,
          fresh ? std::nullopt : std::optional(stats[static_cast<std::size_t>(i)]),
          "v/" + std::to_string(i));
      REQUIRE(put);
      if (fresh) stats.push_back(*put);
    }
    std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    WARN(pass << ": " << took.count() << " ms");
  }
}

}  // namespace
}  // namespace lansync
