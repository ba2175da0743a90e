#include "sync/room_guard.h"

#include <array>

#include "base/log.h"

namespace lansync {

std::string shown_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {" KiB", " MiB", " GiB", " TiB", " PiB"};
  if (bytes < 1024) return str(bytes, " bytes");
  std::size_t unit = 0;
  std::uint64_t whole = bytes;
  while (whole >= 1024 * 1024 && unit + 1 < kUnits.size()) {
    whole /= 1024;
    ++unit;
  }
  return str(whole / 1024, '.', whole % 1024 * 10 / 1024, kUnits[unit]);
}

void RoomGuard::expect(bool first_pull) {
  if (!first_pull) {
    state_ = State::kOpen;
  } else if (state_ == State::kOpen) {
    state_ = State::kUnknown;
  }
}

void RoomGuard::restart() { next_ask_ = Instant{}; }

bool RoomGuard::on_answer(std::uint64_t wanted, std::uint64_t free, Instant now) {
  asking_ = false;
  if (state_ == State::kOpen) return true;
  wanted_ = wanted;
  free_ = free;
  next_ask_ = now + kAskAgain;
  bool fits = wanted == 0 || (wanted <= free && free - wanted >= reserve_);
  state_ = fits ? State::kOpen : State::kHeld;
  return fits;
}

std::string RoomGuard::reason() const {
  return str("the first sync needs ", shown_bytes(wanted_), " here, and ", shown_bytes(free_),
             " are free, of which ", shown_bytes(reserve_),
             " stay free: make room and it begins by itself, or start this node with a folder on "
             "a larger disk, with --on-demand (content when it is asked for) or with "
             "--max-file-size; `lansync confirm` takes what fits");
}

}  // namespace lansync
