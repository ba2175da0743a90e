// Entries as bytes: the digest that two nodes compare, and the form in which index.db keeps them.
#pragma once

#include <string>
#include <string_view>

#include "base/entry.h"

namespace lansync {

// The digest of (path, entry) that goes into a bucket (sync/tree_digest.h): SHA-256 over path,
// kind, mode, size, mtime, content, target, was, run and version. Author and edit time are left
// out: two nodes need not agree on them.
ContentId entry_digest(const std::string& path, const Entry& entry);

// Binary form for index.db, versioned by its first byte. decode gives nullptr for anything
// malformed.
std::string encode_entry(const Entry& entry);
EntryPtr decode_entry(std::string_view bytes);

}  // namespace lansync
