// A password for a group: 80 random bits as sixteen letters and digits in groups of four, without
// those that people mix up. Pure: randomness is passed in.
#pragma once

#include <string>

#include "base/random.h"

namespace lansync {

std::string generate_password(RandomSource& random);  // "k7md-29xq-wp4r-hn8t"

}  // namespace lansync
