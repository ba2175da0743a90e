#include "platform/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "support/catch.h"
#include "temp_folder.h"

namespace lansync {
namespace {

constexpr std::string_view kMark = "MARK";

mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::lstat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

// Refused in one line that holds `word`; returns what the file holds then.
std::string refused_log(const std::string& path, const std::string& word) {
  auto opened = open_secret_log(path, kMark);
  REQUIRE_FALSE(opened);
  INFO(opened.error().detail);
  CHECK(opened.error().detail.find(word) != std::string::npos);
  CHECK(opened.error().detail.find(path) != std::string::npos);
  return read_file(path);
}

TEST_CASE("secrets go to a new file with mode 0600, whatever the umask") {
  TempFolder folder;
  mode_t mask = ::umask(GENERATE(0, 022, 077, 0777));
  auto opened = open_secret_log(folder / "keys", kMark);
  ::umask(mask);
  REQUIRE(opened);
  CHECK(mode_of(folder / "keys") == 0600);
  CHECK(::write(opened->get(), "MARK 1\n", 7) == 7);
  // And further into the file that an earlier run wrote.
  auto again = open_secret_log(folder / "keys", kMark);
  REQUIRE(again);
  CHECK(::write(again->get(), "MARK 2\n", 7) == 7);
  CHECK(read_file(folder / "keys") == "MARK 1\nMARK 2\n");
}

TEST_CASE(
    "secrets are not added to a file that others can read, could read or know by another name") {
  TempFolder folder;
  write_file(folder / "keys", "MARK 1\n");
  for (mode_t mode : {0644, 0640, 0604, 0620, 0602, 0601}) {
    ::chmod((folder / "keys").c_str(), mode);
    CHECK(refused_log(folder / "keys", "name a file that is not there yet") == "MARK 1\n");
  }
  ::chmod((folder / "keys").c_str(), 0600);
  REQUIRE(::link((folder / "keys").c_str(), (folder / "twin").c_str()) == 0);
  refused_log(folder / "keys", "second name");
  ::unlink((folder / "twin").c_str());
  CHECK(open_secret_log(folder / "keys", kMark));
}

TEST_CASE("secrets are not added to a file that holds something else") {
  TempFolder folder;
  for (const char* text : {"x", "MAR", "my thesis\n", "xMARK 1\n"}) {
    write_file(folder / "keys", text);
    ::chmod((folder / "keys").c_str(), 0600);
    CHECK(refused_log(folder / "keys", "holds something else") == text);
  }
  write_file(folder / "keys", "");
  CHECK(open_secret_log(folder / "keys", kMark));
}

TEST_CASE(
    "secrets are not written through links, into pipes or devices, and nothing hangs on one") {
  TempFolder folder;
  write_file(folder / "target", "");
  ::chmod((folder / "target").c_str(), 0600);
  REQUIRE(::symlink((folder / "target").c_str(), (folder / "link").c_str()) == 0);
  refused_log(folder / "link", "is a link");
  REQUIRE(::symlink((folder / "not-there").c_str(), (folder / "dangling").c_str()) == 0);
  refused_log(folder / "dangling", "is a link");
  CHECK(::access((folder / "not-there").c_str(), F_OK) != 0);
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_FALSE(open_secret_log(folder / "pipe", kMark));
  CHECK_FALSE(open_secret_log("/dev/null", kMark));
  CHECK_FALSE(open_secret_log(folder.path(), kMark));
  CHECK_FALSE(open_secret_log(folder / "no/such/directory", kMark));
}

TEST_CASE("another user's file is neither written nor believed") {
  if (::geteuid() != 0) return;  // only root can make one
  TempFolder folder;
  write_file(folder / "keys", "MARK 1\n");
  ::chmod((folder / "keys").c_str(), 0600);
  REQUIRE(::chown((folder / "keys").c_str(), 12345, 12345) == 0);
  refused_log(folder / "keys", "another user");
  CHECK_FALSE(check_log_file(folder / "keys"));
  CHECK_FALSE(read_guarded_file(folder / "keys", 100));
  CHECK(read_guarded_file(folder / "keys", 100, 12345));
  // Nor through a link of his to a file of ours.
  write_file(folder / "mine", "");
  REQUIRE(::symlink((folder / "mine").c_str(), (folder / "link").c_str()) == 0);
  REQUIRE(::lchown((folder / "link").c_str(), 12345, 12345) == 0);
  CHECK_FALSE(check_log_file(folder / "link"));
}

TEST_CASE("a log goes to a plain file, which may be reached by our own link") {
  TempFolder folder;
  CHECK(check_log_file(folder / "new"));
  write_file(folder / "log", "x");
  CHECK(check_log_file(folder / "log"));
  REQUIRE(::symlink((folder / "log").c_str(), (folder / "link").c_str()) == 0);
  CHECK(check_log_file(folder / "link"));
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  for (const std::string& path : {folder / "pipe", folder.path(), std::string("/dev/null")}) {
    Status checked = check_log_file(path);
    REQUIRE_FALSE(checked);
    CHECK(checked.error().detail.find("plain file") != std::string::npos);
  }
}

TEST_CASE("a file that others may read says so, and one that everybody may write is refused") {
  TempFolder folder;
  write_file(folder / "password", "correct horse\n");
  ::chmod((folder / "password").c_str(), 0600);
  auto read = read_guarded_file(folder / "password", 100);
  REQUIRE(read);
  CHECK(read->text == "correct horse\n");
  CHECK_FALSE(read->others_read);
  CHECK_FALSE(read->others_write);
  ::chmod((folder / "password").c_str(), 0664);
  read = read_guarded_file(folder / "password", 100);
  REQUIRE(read);
  CHECK(read->others_read);
  CHECK(read->others_write);
  ::chmod((folder / "password").c_str(), 0602);
  auto refused = read_guarded_file(folder / "password", 100);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().detail.find("chmod 600") != std::string::npos);
  ::chmod((folder / "password").c_str(), 0600);
  CHECK_FALSE(read_guarded_file(folder / "password", 10));
  CHECK_FALSE(read_guarded_file(folder.path(), 100));
  CHECK_FALSE(read_guarded_file("/dev/zero", 100));
}

TEST_CASE("a pipe is read to its end, also if its writer takes his time") {
  TempFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  std::string path = folder / "pipe";
  std::thread writer([path] {
    int fd = ::open(path.c_str(), O_WRONLY);
    (void)!::write(fd, "correct ", 8);
    (void)!::write(fd, "horse\n", 6);
    ::close(fd);
  });
  auto read = read_guarded_file(path, 100);
  writer.join();
  REQUIRE(read);
  CHECK(read->text == "correct horse\n");
}

TEST_CASE("what lies below a folder is found through links, and need not exist") {
  TempFolder folder;
  REQUIRE(::mkdir((folder / "sync").c_str(), 0700) == 0);
  REQUIRE(::mkdir((folder / "sync-not").c_str(), 0700) == 0);
  REQUIRE(::symlink((folder / "sync").c_str(), (folder / "way").c_str()) == 0);
  CHECK(lies_below(folder / "sync/keys", folder / "sync"));
  CHECK(lies_below(folder / "sync/a/b/keys", folder / "sync"));
  CHECK(lies_below(folder / "way/keys", folder / "sync"));
  CHECK(lies_below(folder / "sync/keys", folder / "way"));
  CHECK(lies_below(folder / "other/../sync/keys", folder / "sync"));
  CHECK_FALSE(lies_below(folder / "sync-not/keys", folder / "sync"));
  CHECK_FALSE(lies_below(folder / "keys", folder / "sync"));
}

}  // namespace
}  // namespace lansync
