// Who this node is: the key that index.db holds, unless the folder was copied (DESIGN, Identity).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/random.h"
#include "sync/index_store.h"
#include "transport/ed25519.h"

namespace lansync {

// Where a folder is. `lasting` is the inode and birth time of `.lansync` where the file system
// keeps both; elsewhere (exFAT, overlay, network disks) they are other ones after each mount and
// say nothing. A device number never says anything: a disk gets another with the next port.
struct FolderPlace {
  struct Lasting {
    std::uint64_t inode = 0;
    std::int64_t birth_ns = 0;
    bool operator==(const Lasting&) const = default;
  };
  std::string machine;  // machine-id
  std::optional<Lasting> lasting;
  std::optional<Lasting> root;  // the same of the folder itself
};

struct Identity {
  SigningKey signer;
  bool fresh = false;                       // the index is new: what is found is an import
  std::string new_reason;                   // why it has to take a new key; empty: it has not
  std::map<std::string, std::string> meta;  // to be stored, with the new key if there is one
  NodeId node() const { return node_id_of(signer.public_key()); }
};

Identity establish_identity(const LoadedIndex& loaded, const FolderPlace& place,
                            RandomSource& random);

// What index.db has of a key.
std::map<std::string, std::string> meta_of(const SigningKey& signer);

}  // namespace lansync
