// A fingerprint of everything that happened, and its text if somebody wants to read it. Two runs of
// one seed must end with the same fingerprint (I10).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/log.h"
#include "sim/event_queue.h"

namespace lansync::sim {

class Trace {
 public:
  explicit Trace(const EventQueue& queue) : queue_(queue) {}

  void set_sink(std::function<void(const std::string&)> sink) { sink_ = std::move(sink); }
  // Datagrams too: many.
  void tell_datagrams(bool on) { datagrams_ = on; }
  bool datagrams_told() const { return datagrams_ && sink_; }
  bool told() const { return static_cast<bool>(sink_); }
  void add(ByteView bytes) {
    // FNV-1a over words: only has to notice a difference, not to withstand anybody.
    std::uint64_t word = 0;
    std::size_t i = 0;
    for (; i + 8 <= bytes.size(); i += 8) {
      std::memcpy(&word, bytes.data() + i, 8);
      mix(word);
    }
    word = bytes.size();
    for (; i < bytes.size(); ++i) word = word << 8 | bytes[i];
    mix(word);
  }
  void add(std::uint64_t number) { mix(number); }
  void line(std::string_view who, std::string_view what) {
    add(static_cast<std::uint64_t>(queue_.now().time_since_epoch().count()));
    add(as_bytes(who));
    add(as_bytes(what));
    remark(who, what);
  }
  // For who reads along; not in the fingerprint.
  void remark(std::string_view who, std::string_view what) {
    if (!sink_) return;
    const std::int64_t us = queue_.now().time_since_epoch().count();
    std::string fraction = std::to_string(1'000'000 + us % 1'000'000).substr(1);
    sink_(str(us / 1'000'000, '.', fraction, " ", who, ": ", what));
  }
  std::uint64_t hash() const { return hash_; }

 private:
  void mix(std::uint64_t word) {
    hash_ = (hash_ ^ word) * 0x100000001b3u;
    hash_ ^= hash_ >> 29;
  }
  const EventQueue& queue_;
  std::uint64_t hash_ = 0xcbf29ce484222325u;
  std::function<void(const std::string&)> sink_;
  bool datagrams_ = false;
};

}  // namespace lansync::sim
