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
  Value(bool value);               // NOLINT: implicit, as are the others
  Value(std::string_view text);    // NOLINT
  Value(const std::string& text);  // NOLINT
  Value(const char* text);         // NOLINT
  Value(List list);                // NOLINT
  Value(Fields map);               // NOLINT
  template <typename T>
  requires(std::is_unsigned_v<T> && !std::is_same_v<T, bool>) Value(T number);  // NOLINT
  // Defined below Field: clang wants it complete where a vector of it may be destroyed.
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();

  using Data = std::variant<bool, std::uint64_t, std::string, List, Fields>;
  const Data& data() const { return data_; }

 private:
  Data data_;
};

struct Field {
  std::string name;
  Value value;
};

inline Value::Value(bool value) : data_(value) {}
template <typename T>
requires(std::is_unsigned_v<T> && !std::is_same_v<T, bool>) Value::Value(T number)
    : data_(std::uint64_t{number}) {}
inline Value::Value(const std::string& text) : Value(std::string_view(text)) {}
inline Value::Value(const char* text) : Value(std::string_view(text)) {}
inline Value::Value(List list) : data_(std::in_place_type<List>, std::move(list)) {}
inline Value::Value(Fields map) : data_(std::in_place_type<Fields>, std::move(map)) {}
inline Value::Value(const Value& other) = default;
inline Value::Value(Value&& other) noexcept = default;
inline Value& Value::operator=(const Value& other) = default;
inline Value& Value::operator=(Value&& other) noexcept = default;
inline Value::~Value() = default;

}  // namespace lansync::sniff
