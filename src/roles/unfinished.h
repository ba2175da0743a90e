// What this node was fetching when the node that had it went: named to people until it is here, or
// the group has something else under that name.
//
// Invariant: says nothing of what nobody promised: a row is a file that the hub had shown. Bounded;
// forgotten after a day. Driven by roles/node on the control thread; pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/time.h"
#include "sync/index.h"

namespace lansync {

class Unfinished {
 public:
  static constexpr std::size_t kMost = 1000;
  static constexpr Duration kRemembered = 24h;

  struct Row {
    EntryPtr entry;
    std::uint64_t done = 0;  // bytes that are here
    std::string holder;
    Instant at{};
  };

  // The hub `holder` is gone: what it had shown and is not here, as far as it is wanted here.
  // `done`: what had arrived, by name.
  void on_hub_gone(const Index& index, const std::map<std::string, std::uint64_t>& done,
                   std::uint64_t max_file_size, const std::string& holder, Instant now);
  // Who pushed that is gone before its content was here: nobody has it yet but for him.
  void on_pusher_gone(const std::string& path, const EntryPtr& entry, std::uint64_t done,
                      const std::string& pusher, Instant now);
  // What is here by now, or superseded, is dropped.
  void settle(const Index& index, Instant now);
  const std::map<std::string, Row>& rows() const { return rows_; }
  std::uint64_t more() const { return more_; }  // beyond kMost
  // A line for people; "": there is nothing.
  std::string text() const;

 private:
  std::map<std::string, Row> rows_;
  std::uint64_t more_ = 0;
};

}  // namespace lansync
