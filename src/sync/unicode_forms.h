// A letter with an accent is one code point or two (NFC, NFD), and some disks take both for one
// name (a Mac's, by a share; casefolding ext4; ZFS with normalization).
//
// Invariant: canonically equal letters of the alphabets that are known give equal text. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace lansync {

// `c` as its base letter and its marks (NFD); other code points as they are.
void append_decomposed(std::u32string& out, std::uint32_t c);

}  // namespace lansync
