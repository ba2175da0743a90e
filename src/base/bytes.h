// Bounded reading and writing of fixed binary layouts, big-endian unless the name says otherwise.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace lansync {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Appends to a growing buffer.
class ByteWriter {
 public:
  void u8(std::uint8_t value) { out_.push_back(value); }
  void u16(std::uint16_t value) { be(value, 2); }
  void u32(std::uint32_t value) { be(value, 4); }
  void u64(std::uint64_t value) { be(value, 8); }
  void i64(std::int64_t value) { be(static_cast<std::uint64_t>(value), 8); }
  void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  template <typename Tag, std::size_t N>
  void raw(const TaggedBytes<Tag, N>& value) {
    raw(ByteView(value.bytes));
  }
  // u32 length, then the bytes.
  void text(std::string_view value) {
    u32(static_cast<std::uint32_t>(value.size()));
    raw(as_bytes(value));
  }
  const Bytes& bytes() const { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  void be(std::uint64_t value, int width) {
    for (int i = width - 1; i >= 0; --i)
      out_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  Bytes out_;
};

// Reads from a view. After the first read past the end every read gives zero and ok() is false, so
// a decoder checks once, at its end.
class ByteReader {
 public:
  explicit ByteReader(ByteView in) : in_(in) {}
  std::uint8_t u8() { return static_cast<std::uint8_t>(be(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(be(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(be(4)); }
  std::uint64_t u64() { return be(8); }
  std::int64_t i64() { return static_cast<std::int64_t>(be(8)); }
  ByteView raw(std::size_t size) {
    if (size > in_.size()) {
      ok_ = false;
      in_ = {};
      return {};
    }
    ByteView part = in_.first(size);
    in_ = in_.subspan(size);
    return part;
  }
  template <typename T>
  T id() {
    T value;
    ByteView part = raw(T::kSize);
    if (!part.empty()) std::memcpy(value.bytes.data(), part.data(), T::kSize);
    return value;
  }
  // u32 length and bytes; longer than `max_bytes` is an error.
  std::string_view text(std::size_t max_bytes) {
    std::size_t size = u32();
    if (size > max_bytes) {
      ok_ = false;
      return {};
    }
    return as_text(raw(size));
  }
  bool ok() const { return ok_; }
  std::size_t left() const { return in_.size(); }
  // Everything read, and nothing read past the end.
  bool finished() const { return ok_ && in_.empty(); }

 private:
  std::uint64_t be(int width) {
    ByteView part = raw(static_cast<std::size_t>(width));
    std::uint64_t value = 0;
    for (std::uint8_t byte : part) value = value << 8 | byte;
    return value;
  }
  ByteView in_;
  bool ok_ = true;
};

}  // namespace lansync
