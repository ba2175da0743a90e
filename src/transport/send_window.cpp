#include "transport/send_window.h"

#include <algorithm>

namespace lansync {

void SendWindow::on_acknowledged(std::size_t bytes, bool limited) {
  if (!limited) return;
  bytes_ = std::min(kMost, bytes_ + (was_cut_ ? bytes / 8 : bytes));
}

void SendWindow::on_losses(std::uint32_t lost, std::size_t packets_in_flight, Duration patience,
                           Instant now) {
  constexpr std::size_t kFew = 4;
  if (now >= round_ends_) {
    lost_ = 0;
    round_ends_ = now + patience;
  }
  lost_ += lost >= lost_before_ ? lost - lost_before_ : lost;
  lost_before_ = lost;
  if (lost_ < kFew || lost_ * 8 < packets_in_flight || now < next_cut_) return;
  bytes_ = std::max(kLeast, bytes_ / 2);
  was_cut_ = true;
  lost_ = 0;
  next_cut_ = now + patience;
}

}  // namespace lansync
