#include "sync/confirmed_runs.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"
#include "sync/hashing.h"

namespace lansync {

DeleteLeaf delete_leaf(const std::string& path, const VersionVector& version) {
  ByteWriter out;
  out.text("lansync delete");
  out.text(path);
  for (const VersionVector::Part& part : version.parts()) {
    out.u64(part.id);
    out.u64(part.count);
  }
  const ContentId digest = content_id_of(out.bytes());
  DeleteLeaf leaf;
  std::memcpy(leaf.data(), digest.bytes.data(), leaf.size());
  return leaf;
}

ContentId digest_of_leaves(const std::vector<DeleteLeaf>& leaves) {
  static_assert(sizeof(DeleteLeaf) == 16);
  return content_id_of(
      ByteView(reinterpret_cast<const std::uint8_t*>(leaves.data()), leaves.size() * 16));
}

bool is_sorted_set(const std::vector<DeleteLeaf>& leaves) {
  return std::adjacent_find(leaves.begin(), leaves.end(), std::greater_equal<>()) == leaves.end();
}

void ConfirmedRuns::add(RunId run, std::vector<DeleteLeaf> leaves) {
  LS_ASSERT(is_sorted_set(leaves));
  runs_[run].push_back(std::move(leaves));
}

bool ConfirmedRuns::covers(RunId run, const std::string& path, const VersionVector& version) const {
  auto at = runs_.find(run);
  if (at == runs_.end()) return false;
  const DeleteLeaf leaf = delete_leaf(path, version);
  return std::any_of(at->second.begin(), at->second.end(), [&](const auto& leaves) {
    return std::binary_search(leaves.begin(), leaves.end(), leaf);
  });
}

}  // namespace lansync
