// A msgpack map read as the fields of a struct. For message_decode.cpp alone: the one header that
// includes msgpack. Invariant: after a fault every read gives zero, and only the first is told.
#pragma once

#define MSGPACK_NO_BOOST
#include <algorithm>
#include <array>
#include <limits>
#include <msgpack.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "base/rel_path.h"

namespace lansync::wire {

using Object = msgpack::object;
using Names = std::span<const std::string_view>;

// Room for the longest list of names (hello).
inline constexpr std::size_t kMaxFields = 24;

// The first thing that was wrong; all reading goes on with zeros after it and nothing is kept.
struct Fault {
  std::string why;
  bool any = false;
  void set(std::string_view what, std::string_view detail = {}) {
    if (any) return;
    any = true;
    why = str(what, detail);
  }
};

// One msgpack map as a struct's fields: every key known, none twice.
class Fields {
 public:
  Fields(const Object& object, Names names, Fault& fault) : names_(names), fault_(fault) {
    if (object.type != msgpack::type::MAP) {
      fault_.set("not a map");
      return;
    }
    std::size_t next = 0;  // our own encoder writes the fields in the order of `names`
    for (std::uint32_t i = 0; i < object.via.map.size && !fault_.any; ++i) {
      next = place(object.via.map.ptr[i], next) + 1;
    }
  }

  bool has(std::size_t field) const { return slots_[field] != nullptr; }

  const Object* take(std::size_t field, msgpack::type::object_type type) {
    const Object* value = slots_[field];
    if (value == nullptr) {
      fault_.set("missing field ", names_[field]);
      return nullptr;
    }
    if (value->type != type) {
      fault_.set("wrong type of ", names_[field]);
      return nullptr;
    }
    return value;
  }

  std::uint64_t number(std::size_t field, std::uint64_t max) {
    const Object* value = take(field, msgpack::type::POSITIVE_INTEGER);
    if (value == nullptr) return 0;
    if (value->via.u64 > max) {
      fault_.set("too large: ", names_[field]);
      return 0;
    }
    return value->via.u64;
  }
  template <typename T>
  T number(std::size_t field, std::uint64_t max = std::numeric_limits<T>::max()) {
    return static_cast<T>(number(field, max));
  }
  std::int64_t signed_number(std::size_t field) {
    if (has(field) && slots_[field]->type == msgpack::type::NEGATIVE_INTEGER)
      return slots_[field]->via.i64;
    return static_cast<std::int64_t>(
        number(field, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())));
  }
  bool flag(std::size_t field) {
    const Object* value = take(field, msgpack::type::BOOLEAN);
    return value != nullptr && value->via.boolean;
  }
  std::string_view text(std::size_t field, std::size_t max_bytes) {
    const Object* value = take(field, msgpack::type::STR);
    if (value == nullptr) return {};
    if (value->via.str.size > max_bytes) {
      fault_.set("too long: ", names_[field]);
      return {};
    }
    return {value->via.str.ptr, value->via.str.size};
  }
  std::string_view path(std::size_t field, bool may_be_empty = false) {
    std::string_view value = text(field, kMaxPathBytes);
    if (fault_.any || (value.empty() && may_be_empty)) return value;
    if (const char* rule = broken_path_rule(value)) {
      fault_.set(str("a name that ", rule, ": "), printable(value, 80));
      return {};
    }
    return value;
  }
  ByteView bytes(std::size_t field, std::size_t max_bytes) {
    const Object* value = take(field, msgpack::type::BIN);
    if (value == nullptr) return {};
    if (value->via.bin.size > max_bytes) {
      fault_.set("too long: ", names_[field]);
      return {};
    }
    return as_bytes({value->via.bin.ptr, value->via.bin.size});
  }
  template <typename T>
  T id(std::size_t field) {
    T value;
    ByteView from = bytes(field, T::kSize);
    if (from.size() == T::kSize) {
      std::copy(from.begin(), from.end(), value.bytes.begin());
    } else {
      fault_.set("wrong length of ", names_[field]);
    }
    return value;
  }
  std::span<const Object> list(std::size_t field, std::size_t max_size) {
    const Object* value = take(field, msgpack::type::ARRAY);
    if (value == nullptr) return {};
    if (value->via.array.size > max_size) {
      fault_.set("too many: ", names_[field]);
      return {};
    }
    return {value->via.array.ptr, value->via.array.size};
  }
  const Object& object(std::size_t field) const { return *slots_[field]; }

 private:
  // Puts one pair into its slot and returns the slot.
  std::size_t place(const msgpack::object_kv& pair, std::size_t next) {
    if (pair.key.type != msgpack::type::STR) {
      fault_.set("a key that is no string");
      return next;
    }
    std::string_view key(pair.key.via.str.ptr, pair.key.via.str.size);
    std::size_t slot = find(key, next);
    if (slot == names_.size()) {
      fault_.set("unknown field ", printable(key, 40));
    } else if (slots_[slot] != nullptr) {
      fault_.set("field twice: ", key);
    } else {
      slots_[slot] = &pair.val;
    }
    return slot;
  }

  std::size_t find(std::string_view key, std::size_t next) const {
    if (next < names_.size() && names_[next] == key) return next;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] == key) return i;
    }
    return names_.size();
  }

  Names names_;
  Fault& fault_;
  std::array<const Object*, kMaxFields> slots_{};
};

// A pair [a, b] of unsigned numbers.
inline std::optional<std::pair<std::uint64_t, std::uint64_t>> read_pair(const Object& object) {
  if (object.type != msgpack::type::ARRAY || object.via.array.size != 2) return std::nullopt;
  const Object& a = object.via.array.ptr[0];
  const Object& b = object.via.array.ptr[1];
  if (a.type != msgpack::type::POSITIVE_INTEGER || b.type != msgpack::type::POSITIVE_INTEGER)
    return std::nullopt;
  return std::pair{a.via.u64, b.via.u64};
}

}  // namespace lansync::wire
