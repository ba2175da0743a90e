#include "app/folder_guard.h"

#include <filesystem>

#include "support/catch.h"
#include "unit/app/fake_node.h"

using namespace lansync;

TEST_CASE("a folder that is a mistake is refused with the reason") {
  TempFolder node;
  std::filesystem::create_directories(node.path() + "/.lansync/trash/.lansync");
  std::filesystem::create_symlink("/", node.path() + "/link");
  std::string parent = std::filesystem::path(node.path()).parent_path();
  TempFolder outer("/deep");
  std::string around = std::filesystem::path(outer.path()).parent_path();
  Environment environment;
  environment.home = around + "/home";
  std::filesystem::create_directories(environment.home);
  auto why = [&environment](const std::string& dir) {
    Status status = check_folder(dir, environment);
    return status ? std::string() : status.error().detail;
  };
  CHECK(why("/").find("whole machine") != std::string::npos);
  CHECK(why(node.path() + "/link").find("whole machine") != std::string::npos);
  CHECK(why(environment.home).find("home directory") != std::string::npos);
  CHECK(why("/home/somebody").find("home directory") != std::string::npos);
  for (const char* dir : {"/etc", "/etc/x", "/usr/share/x", "/tmp", "/var", "/proc/1"}) {
    INFO(dir);
    CHECK(why(dir).find("system") != std::string::npos);
  }
  CHECK(why(node.path() + "/a/b").find("within " + node.path()) != std::string::npos);
  CHECK(why(around).find(outer.path()) != std::string::npos);
  CHECK(why(node.path() + "/a").find("--force-dir") != std::string::npos);
  CHECK(why(node.path()).empty());
  CHECK(why(around + "/home/LanSync").empty());
  CHECK(why("/etcetera").empty());
}
