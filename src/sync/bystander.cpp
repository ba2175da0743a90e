#include "sync/bystander.h"

#include "base/bytes.h"
#include "sync/hashing.h"

namespace lansync {

ShortId bystander_id(const NodeId& node, std::uint64_t count) {
  ByteWriter out;
  out.text("lansync bystander");
  out.raw(node);
  out.u64(count);
  return short_id_from(content_id_of(out.bytes()));
}

}  // namespace lansync
