#include "roles/identity.h"

#include <charconv>
#include <string_view>

#include "base/log.h"
#include "sync/doubt.h"
#include "sync/edit_counter.h"

namespace lansync {
namespace {

std::string stored(const LoadedIndex& loaded, const std::string& key) {
  auto at = loaded.meta.find(key);
  return at == loaded.meta.end() ? std::string() : at->second;
}

std::string text_of(const FolderPlace::Lasting& lasting) {
  return str(lasting.inode, ':', lasting.birth_ns);
}

// Empty: it is where it was, as far as that can be told.
std::string why_copied(const LoadedIndex& loaded, const FolderPlace& place) {
  if (stored(loaded, "machine") != place.machine)
    return "this folder was copied from another machine with its .lansync";
  const std::string before = stored(loaded, "lasting");
  if (place.lasting && !before.empty() && before != text_of(*place.lasting))
    return "this folder was copied here with its .lansync";
  return {};
}

// Under a key whose counts are not known one of them might be used twice.
bool counts_readable(const LoadedIndex& loaded) {
  return EditCounter::readable({stored(loaded, "edit_reserved"),
                                stored(loaded, "edit_count"),
                                stored(loaded, "run_begin"),
                                {},
                                {},
                                stored(loaded, "edit_shared")});
}

}  // namespace

std::map<std::string, std::string> meta_of(const SigningKey& signer) {
  return {{"key", to_hex(signer.seed())}};
}

Identity establish_identity(const LoadedIndex& loaded, const FolderPlace& place,
                            RandomSource& random) {
  KeySeed seed{};
  const bool known = from_hex(stored(loaded, "key"), seed);
  std::string copied = known ? why_copied(loaded, place) : std::string();
  if (known && copied.empty() && !counts_readable(loaded))
    copied = "the counts of its edits cannot be read in index.db";
  Identity identity{known ? SigningKey(seed) : SigningKey::generate(random),
                    !known && loaded.rows.empty(),
                    copied,
                    {}};
  if (!known) identity.meta = meta_of(identity.signer);
  identity.meta["machine"] = place.machine;
  // A disk that was moved to a file system which keeps neither is not compared there, nor after.
  identity.meta["lasting"] = place.lasting ? text_of(*place.lasting) : std::string();
  // `.lansync` was moved into another directory: that keys nobody else, but what is missing there
  // was never there.
  const std::string root = place.root ? text_of(*place.root) : std::string();
  const std::string before = stored(loaded, "root");
  if (known && !before.empty() && !root.empty() && root != before) identity.meta[kDoubtMeta] = "1";
  identity.meta["root"] = root;
  return identity;
}

}  // namespace lansync
