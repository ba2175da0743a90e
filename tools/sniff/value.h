// What a packet says, as a tree of names and values: what --json, -V and the one line are made
// from. Invariant: every string in it has passed printable(), so whoever writes it to a terminal
// need not think of who sent it. Filled by describe.cpp and the decoder, read by render.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace lansync::sniff {

struct Field;
class Value;
using List = std::vector<Value>;
using Fields = std::vector<Field>;

class Value {
 public:
  Value(bool value) : data_(value) {}                                     // NOLINT: implicit
  Value(std::string_view text);                                           // NOLINT: implicit
  Value(const std::string& text) : Value(std::string_view(text)) {}       // NOLINT: implicit
  Value(const char* text) : Value(std::string_view(text)) {}              // NOLINT: implicit
  Value(List list) : data_(std::in_place_type<List>, std::move(list)) {}  // NOLINT: implicit
  Value(Fields map);                                                      // NOLINT: implicit
  template <typename T>
  requires(std::is_unsigned_v<T> && !std::is_same_v<T, bool>) Value(T number)  // NOLINT: implicit
      : data_(std::uint64_t{number}) {}

  using Data = std::variant<bool, std::uint64_t, std::string, List, Fields>;
  const Data& data() const { return data_; }

 private:
  Data data_;
};

struct Field {
  std::string name;
  Value value;
};

}  // namespace lansync::sniff
