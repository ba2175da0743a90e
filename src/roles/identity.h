// Who this node is: what index.db says, unless it was copied (DESIGN, Identity).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/random.h"
#include "sync/index_store.h"

namespace lansync {

struct Identity {
  NodeId node;
  bool fresh = false;      // the index is new: what is found is an import
  std::string new_reason;  // why an id that was there is not used any more; empty: it is
  std::map<std::string, std::string> meta;  // to be stored
};

// `place` names the machine and the .lansync directory (machine-id, device, inode): where another
// one stands in the index, the folder was copied or the disk cloned, and one of the two needs a new
// id.
Identity establish_identity(const LoadedIndex& loaded, const std::string& place,
                            RandomSource& random);

}  // namespace lansync
