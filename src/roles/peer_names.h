// What nodes are called to people, and who is meant by what people call them: two of one name are
// name~1a2b, with the first digits of the node id (CONTRACT, --name).
//
// Invariant: shown names differ, and each resolves to the node that it is shown for. Pure.
#pragma once

#include <map>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace lansync {

struct NamedPeer {
  std::string name;
  // In a session, or a member of the hub's list. Who is gone, or was only heard (a beacon says what
  // its sender likes), takes nobody's name and makes none ambiguous.
  bool live = true;
};

std::map<NodeId, std::string> shown_names(const std::map<NodeId, NamedPeer>& peers);

// `wanted`: a shown name, a name that only one node has, or the first digits of an id (4 at least).
// The error lists whom it could have been; `self` stands in `peers` too, and is nobody to suggest.
Result<NodeId> find_named(const std::map<NodeId, NamedPeer>& peers, const std::string& wanted,
                          const NodeId& self = {});

}  // namespace lansync
