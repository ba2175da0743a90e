// Tables of the readers of one family of messages, by their type. For the *_decode.cpp files alone.
// Invariant: a message whose fields are at fault is never handed to its reader.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "transport/message.h"
#include "transport/message_fields.h"

namespace lansync::wire {

template <std::size_t N>
using NameTable = std::array<std::string_view, N>;

struct Reader {
  std::string_view type;
  Names names;
  Message (*read)(Fields& in, Fault& fault);
};

// nullopt: the type is of another family. What is given with a fault is not to be used.
inline std::optional<Message> read_by_table(std::span<const Reader> readers, std::string_view type,
                                            const Object& object, Fault& fault) {
  for (const Reader& reader : readers) {
    if (reader.type != type) continue;
    Fields in(object, reader.names, fault);
    if (fault.any) return Ping{};
    return reader.read(in, fault);
  }
  return std::nullopt;
}

}  // namespace lansync::wire
