#include "sync/hashing.h"

#include <openssl/evp.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "sync/hash_blocks.h"

namespace lansync {
namespace {

// OpenSSL 3 looks an algorithm up by name on each EVP_sha256() use, which costs more than hashing a
// short entry does; fetched once, it is shared by all threads (an EVP_MD is immutable).
const EVP_MD* md5_algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "MD5", nullptr);
  LS_ASSERT(algorithm != nullptr);
  return algorithm;
}
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  LS_ASSERT(algorithm != nullptr);
  return algorithm;
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

Context new_context() {
  Context context(EVP_MD_CTX_new());
  LS_ASSERT(context != nullptr);
  return context;
}

void begin(const Context& context, const EVP_MD* algorithm) {
  LS_ASSERT(EVP_DigestInit_ex2(context.get(), algorithm, nullptr) == 1);
}

template <typename Digest>
Digest end(const Context& context) {
  Digest digest;
  unsigned size = 0;
  LS_ASSERT(EVP_DigestFinal_ex(context.get(), digest.bytes.data(), &size) == 1);
  LS_ASSERT(size == Digest::kSize);
  return digest;
}

}  // namespace

struct ContentHasher::Contexts {
  // One of the two: what this processor can.
  std::optional<DualHasher> dual;
  Context md5;
  Context sha256;
};

ContentHasher::ContentHasher() : contexts_(std::make_unique<Contexts>()) {
  if (has_dual_hash()) {
    contexts_->dual.emplace();
    return;
  }
  contexts_->md5 = new_context();
  contexts_->sha256 = new_context();
  reset();
}
ContentHasher::~ContentHasher() = default;
ContentHasher::ContentHasher(ContentHasher&&) noexcept = default;
ContentHasher& ContentHasher::operator=(ContentHasher&&) noexcept = default;

void ContentHasher::update(ByteView bytes) {
  LS_ASSERT(contexts_ != nullptr);
  if (contexts_->dual) {
    contexts_->dual->update(bytes);
    return;
  }
  // Slices that stay in the first-level cache, so that memory is read once for both digests.
  constexpr std::size_t kSlice = 16 * 1024;
  while (!bytes.empty()) {
    ByteView slice = bytes.first(std::min(kSlice, bytes.size()));
    LS_ASSERT(EVP_DigestUpdate(contexts_->md5.get(), slice.data(), slice.size()) == 1);
    LS_ASSERT(EVP_DigestUpdate(contexts_->sha256.get(), slice.data(), slice.size()) == 1);
    bytes = bytes.subspan(slice.size());
  }
}

ContentDigests ContentHasher::finish() {
  LS_ASSERT(contexts_ != nullptr);
  if (contexts_->dual) return contexts_->dual->finish();
  ContentDigests digests{end<Md5>(contexts_->md5), end<ContentId>(contexts_->sha256)};
  reset();
  return digests;
}

void ContentHasher::reset() {
  if (contexts_->dual) {
    contexts_->dual->reset();
    return;
  }
  begin(contexts_->md5, md5_algorithm());
  begin(contexts_->sha256, sha256_algorithm());
}

ContentId content_id_of(ByteView bytes) {
  // A context for each thread: making one costs about as much as hashing a short entry, and a first
  // sync hashes 100,000 of them. It carries nothing from one call to the next.
  thread_local const Context context = new_context();
  begin(context, sha256_algorithm());
  LS_ASSERT(EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1);
  return end<ContentId>(context);
}

ContentDigests digests_of(ByteView bytes) {
  ContentHasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

ShortId short_id_from(const ContentId& digest) {
  ShortId id = 0;
  for (std::size_t i = 0; i < 8; ++i) id = id << 8 | digest.bytes[i];
  return id == 0 ? 1 : id;
}

}  // namespace lansync
