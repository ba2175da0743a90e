// Does a first pull fit on the disk (CONTRACT, Guards)? One that would not does not begin: a person
// who starts a node on a small laptop should read two figures, not find a full disk.
//
// Invariant: nothing is fetched while waits() is true; a pull that was found to fit, or that a
// person confirmed, does not wait again. Driven by the replica, which counts what is wanted and
// asks the disk.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"

namespace lansync {

class RoomGuard {
 public:
  // How often the disk is asked while it is too small: freed room is used within some seconds.
  static constexpr Duration kAskAgain = 2s;

  explicit RoomGuard(std::uint64_t reserve) : reserve_(reserve) {}

  // The next pull is a first one (or, false, there is none to come).
  void expect(bool first_pull);
  // What the hub has became known anew: a pull that waits is judged anew at once.
  void restart();
  bool waits() const { return state_ != State::kOpen; }
  bool held() const { return state_ == State::kHeld; }
  // True once each time that the disk should be asked.
  bool should_ask(Instant now) const { return waits() && !asking_ && now >= next_ask_; }
  void on_asked() { asking_ = true; }
  // True: the pull may begin now.
  bool on_answer(std::uint64_t wanted, std::uint64_t free, Instant now);
  // It cannot be judged now: asked again as soon as somebody does.
  void on_no_answer() { asking_ = false; }
  void confirm() { state_ = State::kOpen; }
  Instant deadline() const { return waits() && !asking_ ? next_ask_ : kNever; }
  // Both figures and the ways out.
  std::string reason() const;

 private:
  enum class State { kOpen, kUnknown, kHeld };

  std::uint64_t reserve_;
  State state_ = State::kOpen;
  bool asking_ = false;
  std::uint64_t wanted_ = 0;
  std::uint64_t free_ = 0;
  Instant next_ask_{};
};

// "36.0 MiB": for people.
std::string shown_bytes(std::uint64_t bytes);

}  // namespace lansync
