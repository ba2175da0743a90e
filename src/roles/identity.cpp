#include "roles/identity.h"

namespace lansync {
namespace {

std::string stored(const LoadedIndex& loaded, const std::string& key) {
  auto at = loaded.meta.find(key);
  return at == loaded.meta.end() ? std::string() : at->second;
}

}  // namespace

Identity establish_identity(const LoadedIndex& loaded, const std::string& place,
                            RandomSource& random) {
  Identity identity;
  std::string id = stored(loaded, "node_id");
  std::string before = stored(loaded, "place");
  bool known = from_hex(id, identity.node.bytes);
  identity.fresh = !known && loaded.rows.empty();
  if (known && before == place) return identity;
  if (known) identity.new_reason = "this folder was copied here with its .lansync";
  identity.node = random.id<NodeId>();
  identity.meta["node_id"] = to_hex(identity.node);
  identity.meta["place"] = place;
  return identity;
}

}  // namespace lansync
