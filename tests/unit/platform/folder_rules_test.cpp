#include "platform/folder_rules.h"

#include "platform/root_guard.h"
#include "temp_folder.h"

namespace lansync {
namespace {

bool refused(const std::string& path) {
  FolderFacts facts;
  facts.path = path;
  facts.homes = {"/home/ann", "/srv/homes/bob", "/root"};
  return why_folder_is_refused(facts).has_value();
}

TEST_CASE("the system and home directories are refused, folders in them are not") {
  for (const char* path : {"/", "/home", "/home/ann", "/home/zoe", "/srv/homes/bob", "/root",
                           "/etc", "/etc/lansync", "/usr/share/x", "/proc/1", "/dev", "/tmp",
                           "/var", "/var/lib", "/mnt", "/boot/efi", "/run/lock", "/dev/shm"}) {
    INFO(path);
    CHECK(refused(path));
  }
  for (const char* path : {"/home/ann/LanSync", "/home/zoe/x", "/root/LanSync", "/tmp/x",
                           "/srv/share", "/var/lib/lansync", "/mnt/disk", "/usr/local/share/x",
                           "/dev/shm/x", "/etcetera", "/run/user/1000/x", "/srv/homes/bob/x"}) {
    INFO(path);
    CHECK_FALSE(refused(path));
  }
}

TEST_CASE("what is refused is refused by its other names, too, but for those that services make") {
  FolderFacts facts;
  facts.path = "/data/bound";
  facts.homes = {"/home/ann"};
  facts.other_names = {"/data/other", "/run/systemd/x", "/proc/1/root/data"};
  CHECK_FALSE(why_folder_is_refused(facts));
  for (const char* name : {"/", "/home/ann", "/etc", "/usr/share/x"}) {
    INFO(name);
    facts.other_names = {"/data/other", name};
    auto why = why_folder_is_refused(facts);
    REQUIRE(why);
    CHECK(why->find("/data/bound") != std::string::npos);
  }
}

TEST_CASE("a folder within or around another node's folder is refused, unless forced") {
  TempFolder dir;
  std::filesystem::create_directories(dir / "outer/node/inner");
  { REQUIRE(RootGuard::open(dir / "outer/node", false)); }
  auto inner = RootGuard::open(dir / "outer/node/inner", false);
  REQUIRE_FALSE(inner);
  CHECK(inner.error().code == ErrorCode::kRefused);
  CHECK(inner.error().detail.find("within") != std::string::npos);
  auto outer = RootGuard::open(dir / "outer", false);
  REQUIRE_FALSE(outer);
  CHECK(outer.error().detail.find("around") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(dir / "outer/.lansync"));
  CHECK(RootGuard::open(dir / "outer/node", false));
  CHECK(RootGuard::open(dir / "outer/node/inner", true));
  CHECK(RootGuard::open(dir / "fresh/with/parents", false));
}

}  // namespace
}  // namespace lansync
