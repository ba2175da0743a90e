// MIME types by libmagic, from the first bytes of a file.
//
// Invariant: the magic database is loaded when the first type is asked for and not before; without
// it every type is application/octet-stream. Called on worker threads, by one at a time.
#pragma once

#include <memory>
#include <string>

#include "sync/content_types.h"

namespace lansync {

class MagicTypes final : public TypeTeller {
 public:
  MagicTypes();
  ~MagicTypes() override;
  std::string tell(ByteView head) override;

 private:
  struct Library;
  std::unique_ptr<Library> library_;
};

}  // namespace lansync
