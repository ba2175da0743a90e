// One thing worth a line: a message, or a packet that carried none. Made by the decoder.
#pragma once

#include <optional>
#include <string>

#include "base/address.h"
#include "base/time.h"
#include "sniff/value.h"

namespace lansync::sniff {

struct Item {
  WallTime time;  // of the packet that completed it
  std::optional<Address> src;
  std::optional<Address> dst;
  std::string type;  // CONTRACT, lansync-sniff
  Fields fields;
};

}  // namespace lansync::sniff
