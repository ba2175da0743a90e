// The author of a version that is made where this disk had none of what the group has.
//
// Invariant: the id is of this very version and no other, so that no other version's vector can be
// part of its: it is concurrent with all but what it was made of. Pure; driven by the replica.
#pragma once

#include <cstdint>

#include "base/ids.h"

namespace lansync {

// `count`: the next of that node's own, so that no two are alike.
ShortId bystander_id(const NodeId& node, std::uint64_t count);

}  // namespace lansync
