#include "platform/magic_types.h"

#include <magic.h>

#include <mutex>

namespace lansync {

struct MagicTypes::Library {
  ~Library() {
    if (cookie != nullptr) magic_close(cookie);
  }
  void open() {
    opened = true;
    // Without MAGIC_COMPRESS it unpacks nothing and starts no other program.
    cookie = magic_open(MAGIC_MIME_TYPE);
    if (cookie != nullptr && magic_load(cookie, nullptr) != 0) {
      magic_close(cookie);
      cookie = nullptr;
    }
  }

  std::mutex mutex;  // a cookie is for one thread; jobs come one at a time, but on any worker
  magic_t cookie = nullptr;
  bool opened = false;
};

MagicTypes::MagicTypes() : library_(std::make_unique<Library>()) {}
MagicTypes::~MagicTypes() = default;

std::string MagicTypes::tell(ByteView head) {
  std::lock_guard lock(library_->mutex);
  if (!library_->opened) library_->open();
  const char* type = library_->cookie == nullptr
                         ? nullptr
                         : magic_buffer(library_->cookie, head.data(), head.size());
  return type == nullptr ? std::string(kUnknownType) : std::string(type);
}

}  // namespace lansync
