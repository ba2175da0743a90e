#include "app/genpass.h"

#include <string_view>

namespace lansync {

std::string generate_password(RandomSource& random) {
  // 32 signs: 5 bits each. No i, l, o, u: 1 and 0 are read for them, and no word comes about.
  static constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  static_assert(kAlphabet.size() == 32);
  std::string out;
  for (int i = 0; i < 16; ++i) {
    if (i != 0 && i % 4 == 0) out += '-';
    out += kAlphabet[random.below(kAlphabet.size())];
  }
  return out;
}

}  // namespace lansync
