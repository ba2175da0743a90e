// Under what a hub remembers of a member that left (MemberProgress) how far it was: a copy that
// stands elsewhere stands there also when its node is off.
#pragma once

#include "base/ids.h"
#include "transport/session.h"

namespace lansync {

// No session has it: theirs are counted up from 1.
inline SessionId as_gone(const NodeId& node) { return short_id(node) | SessionId{1} << 63; }

}  // namespace lansync
