// The counts that this node puts on its edits, and the runs in which it did: what tells whether all
// edits under its id are its own. A clone or an old backup of its index goes on counting where this
// one did.
//
// Invariant: a start counts from a random distance above everything that was reserved before, so
// two copies of one index do not use the same counts, and a count of this id that is in none of its
// own runs was used by somebody else (what goes out is durable first, so a kill forgets none).
// Pure; driven by Replica, which stores it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/run.h"

namespace lansync {

class EditCounter {
 public:
  // Two copies that make a thousand edits each use one range by chance once in 8,000 times.
  static constexpr std::uint64_t kJump = 1 << 24;

  // As index.db has it; empty texts are a new index.
  struct Stored {
    std::string reserved;  // no count above it was used
    std::string last;      // the last that was used
    std::string begin;     // where the last run began
    std::string run;       // its id
    std::string runs;      // those before it
    std::string shared;    // see shared()
  };

  // Every count that was written down can be read, and can be one. Without them a count could be
  // used twice, and the node needs another key (roles/identity).
  static bool readable(const Stored& stored);
  // Begins a run.
  void start(const Stored& stored, RandomSource& random);
  // A new key: none of the runs so far were its own. Counts go on, and a run begins.
  void start_key(RandomSource& random);

  std::uint64_t last() const { return last_; }
  std::uint64_t next() { return ++last_; }
  void use(std::uint64_t n) { last_ += n; }
  std::uint64_t begin() const { return begin_; }
  const StartId& run() const { return run_; }
  std::string runs_text() const;
  // The runs of this key, oldest first; the last is this one.
  std::vector<Run> runs() const;

  // `seen` is a count of our id that the group knows: true if it is not from us.
  bool forgot(std::uint64_t seen) const;

  // Every edit up to this count is known to another node. Later ones may be only here, and if our
  // id turns out to be somebody else's too, they need another name.
  std::uint64_t shared() const { return shared_; }
  // The same as a part of a vector: 0 where this key has made none of them.
  std::uint64_t shared_part() const;
  // All up to now. False if it was so already.
  bool note_shared();

 private:
  struct Past {
    std::uint64_t after = 0;  // the counts above this
    std::uint64_t last = 0;   // and up to this; equal: it made none
    StartId id;
  };

  void load_runs(const std::string& text);

  std::vector<Past> past_;  // oldest first
  std::uint64_t begin_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t shared_ = 0;
  StartId run_;
};

}  // namespace lansync
