// A message as a tree of values that a test can change before it is packed again: what our own
// encoder would never write (too many parts, counts beyond the limit, doubled or missing fields).
#pragma once

#define MSGPACK_NO_BOOST
#include <cstdint>
#include <functional>
#include <msgpack.hpp>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "transport/message.h"

namespace lansync {

struct RawValue {
  enum class Kind { kNil, kFlag, kNumber, kNegative, kText, kBytes, kList, kMap };
  Kind kind = Kind::kNil;
  bool flag = false;
  std::uint64_t number = 0;
  std::int64_t negative = 0;
  std::string text;               // kText, kBytes
  std::vector<RawValue> list;     // the values of a map, too
  std::vector<std::string> keys;  // kMap: as many as values

  static RawValue of(std::uint64_t value) {
    RawValue made;
    made.kind = Kind::kNumber;
    made.number = value;
    return made;
  }
  static RawValue of_list(std::vector<RawValue> items) {
    RawValue made;
    made.kind = Kind::kList;
    made.list = std::move(items);
    return made;
  }
  // The field of that name, made if it is missing.
  RawValue& at(const std::string& name) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (keys[i] == name) return list[i];
    }
    keys.push_back(name);
    return list.emplace_back();
  }
};

inline RawValue raw_of(const msgpack::object& object) {
  RawValue value;
  using Kind = RawValue::Kind;
  switch (object.type) {
    case msgpack::type::BOOLEAN:
      value.kind = Kind::kFlag;
      value.flag = object.via.boolean;
      break;
    case msgpack::type::POSITIVE_INTEGER:
      value.kind = Kind::kNumber;
      value.number = object.via.u64;
      break;
    case msgpack::type::NEGATIVE_INTEGER:
      value.kind = Kind::kNegative;
      value.negative = object.via.i64;
      break;
    case msgpack::type::STR:
      value.kind = Kind::kText;
      value.text.assign(object.via.str.ptr, object.via.str.size);
      break;
    case msgpack::type::BIN:
      value.kind = Kind::kBytes;
      value.text.assign(object.via.bin.ptr, object.via.bin.size);
      break;
    case msgpack::type::ARRAY:
      value.kind = Kind::kList;
      for (std::uint32_t i = 0; i < object.via.array.size; ++i)
        value.list.push_back(raw_of(object.via.array.ptr[i]));
      break;
    case msgpack::type::MAP:
      value.kind = Kind::kMap;
      for (std::uint32_t i = 0; i < object.via.map.size; ++i) {
        const auto& pair = object.via.map.ptr[i];
        value.keys.emplace_back(pair.key.via.str.ptr, pair.key.via.str.size);
        value.list.push_back(raw_of(pair.val));
      }
      break;
    default:
      break;
  }
  return value;
}

// Requires: what encode_message() made.
inline RawValue raw_of(const Message& message) {
  const Bytes bytes = encode_message(message);
  const std::string_view text = as_text(bytes);
  const msgpack::object_handle handle = msgpack::unpack(text.data(), text.size());
  return raw_of(handle.get());
}

template <typename Packer>
void pack_raw(Packer& packer, const RawValue& value) {
  using Kind = RawValue::Kind;
  const auto size = static_cast<std::uint32_t>(value.text.size());
  switch (value.kind) {
    case Kind::kNil:
      packer.pack_nil();
      break;
    case Kind::kFlag:
      packer.pack(value.flag);
      break;
    case Kind::kNumber:
      packer.pack_uint64(value.number);
      break;
    case Kind::kNegative:
      packer.pack_int64(value.negative);
      break;
    case Kind::kText:
      packer.pack_str(size);
      packer.pack_str_body(value.text.data(), size);
      break;
    case Kind::kBytes:
      packer.pack_bin(size);
      packer.pack_bin_body(value.text.data(), size);
      break;
    case Kind::kList:
      packer.pack_array(static_cast<std::uint32_t>(value.list.size()));
      for (const RawValue& item : value.list) pack_raw(packer, item);
      break;
    case Kind::kMap:
      packer.pack_map(static_cast<std::uint32_t>(value.keys.size()));
      for (std::size_t i = 0; i < value.keys.size(); ++i) {
        const std::string& key = value.keys[i];
        packer.pack_str(static_cast<std::uint32_t>(key.size()));
        packer.pack_str_body(key.data(), static_cast<std::uint32_t>(key.size()));
        pack_raw(packer, value.list[i]);
      }
      break;
  }
}

inline Bytes bytes_of(const RawValue& value) {
  msgpack::sbuffer buffer;
  msgpack::packer<msgpack::sbuffer> packer(buffer);
  pack_raw(packer, value);
  const ByteView packed = as_bytes({buffer.data(), buffer.size()});
  return {packed.begin(), packed.end()};
}

// A version vector as it stands in an entry.
inline RawValue raw_vector(const std::vector<VersionVector::Part>& parts) {
  std::vector<RawValue> pairs;
  for (const VersionVector::Part& part : parts)
    pairs.push_back(RawValue::of_list({RawValue::of(part.id), RawValue::of(part.count)}));
  return RawValue::of_list(std::move(pairs));
}

// Visits `value` and everything in it.
inline void each_value(RawValue& value, const std::function<void(RawValue&)>& visit) {
  visit(value);
  for (RawValue& item : value.list) each_value(item, visit);
}

// Every `version` in the message becomes `parts`.
inline void set_vectors(RawValue& value, const std::vector<VersionVector::Part>& parts) {
  each_value(value, [&](RawValue& one) {
    for (std::size_t i = 0; i < one.keys.size(); ++i) {
      if (one.keys[i] == "version") one.list[i] = raw_vector(parts);
    }
  });
}

}  // namespace lansync
