// The counts that this node puts on its edits, and what tells whether all edits under its id are
// its own: a clone or an old backup of its index goes on counting where this one did.
//
// Invariant: a start counts from a random distance above everything that was reserved before, so
// two copies of one index do not use the same counts, and a count of this id that is in none of its
// own runs was used by somebody else. Pure; driven by Replica, which stores it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"

namespace lansync {

class EditCounter {
 public:
  static constexpr std::size_t kMaxRuns = 64;
  // Two copies that make a thousand edits each use one range by chance once in 8,000 times.
  static constexpr std::uint64_t kJump = 1 << 24;

  // As index.db has it; empty texts are a new index, or one of a program that did not write them.
  struct Stored {
    std::string reserved;  // no count above it was used
    std::string last;      // the last that was used
    std::string begin;     // where the last run began
    std::string runs;      // those before it
    std::string shared;    // see shared()
  };

  void start(const Stored& stored, RandomSource& random);

  std::uint64_t last() const { return last_; }
  std::uint64_t next() { return ++last_; }
  void use(std::uint64_t n) { last_ += n; }
  std::uint64_t begin() const { return begin_; }
  std::string runs_text() const;

  // `seen` is a count of our id that the group knows: true if it is not from us.
  bool forgot(std::uint64_t seen) const;

  // Every edit up to this count is known to another node. Later ones may be only here, and if our
  // id turns out to be somebody else's too, they need another name.
  std::uint64_t shared() const { return shared_; }
  // All up to now. False if it was so already.
  bool note_shared();

 private:
  struct Run {
    std::uint64_t after = 0;  // the counts above this
    std::uint64_t last = 0;   // and up to this
  };

  void load_runs(const std::string& text);

  std::vector<Run> runs_;  // oldest first
  std::uint64_t begin_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t shared_ = 0;
};

}  // namespace lansync
