#include "sync/bystander.h"

#include "base/bytes.h"
#include "sync/hashing.h"

namespace lansync {

ShortId bystander_id(const NodeId& node, std::uint64_t count) {
  ByteWriter out;
  out.text("lansync bystander");
  out.raw(node);
  out.u64(count);
  const ContentId digest = content_id_of(out.bytes());
  ShortId id = 0;
  for (std::size_t i = 0; i < 8; ++i) id = id << 8 | digest.bytes[i];
  return id == 0 ? 1 : id;
}

}  // namespace lansync
