#include "unit/app/fake_node.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace lansync {

TempFolder::TempFolder(const std::string& below) {
  root_ = "/tmp/lansync-test-XXXXXX";
  if (!::mkdtemp(root_.data())) std::abort();
  path_ = root_ + below;
  std::filesystem::create_directories(path_ + "/.lansync");
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

void TempFolder::write(const std::string& name, const std::string& text) const {
  std::ofstream(path_ + "/" + name, std::ios::binary) << text;
}

}  // namespace lansync
