// A TCP flow with CUBIC (RFC 9438) in little code, as a neighbour for lanes on a simulated line:
// window growth, the cut at a loss, retransmission by duplicate acknowledgements and by timeout.
//
// Invariant: at most `window` segments are in flight. Driven by the lane's tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>

#include "unit/transport/lane_rig.h"

namespace lansync::lane_rig {

class CubicFlow {
 public:
  CubicFlow(World& world, Pipe& there, Pipe& back) : world_(world), there_(there), back_(back) {}
  void start() {
    push();
    watch();
  }
  std::uint64_t delivered = 0;  // payload bytes

 private:
  static constexpr std::size_t kPayload = 1448;
  static constexpr std::size_t kFrame = 1514 + 24;
  static constexpr double kC = 0.4;
  static constexpr double kBeta = 0.7;

  double seconds() const {
    return static_cast<double>(world_.now().time_since_epoch().count()) / 1e6;
  }
  void push() {
    while (static_cast<double>(flying_.size()) < window_) transmit();
  }
  void transmit() {
    std::uint64_t number = next_++;
    flying_[number] = world_.now();
    there_.push(kFrame, {}, [this, number](Bytes) {
      back_.push(66 + 24, {}, [this, number](Bytes) { on_ack(number); });
    });
  }
  // Each segment is acknowledged by its own number, as SACK tells it.
  void on_ack(std::uint64_t number) {
    auto found = flying_.find(number);
    heard_ = world_.now();
    if (found == flying_.end()) return;
    rtt_ = rtt_ == 0us ? world_.now() - found->second
                       : (rtt_ * 7 + (world_.now() - found->second)) / 8;
    flying_.erase(found);
    delivered += kPayload;
    bool cut = false;
    while (!flying_.empty() && flying_.begin()->first + 3 <= number) {
      cut = cut || flying_.begin()->first >= recovery_;
      flying_.erase(flying_.begin());  // it is sent again as new data: the same to the line
    }
    if (cut)
      on_loss();
    else
      grow();
    push();
  }
  void on_loss() {
    recovery_ = next_;
    most_ = window_ < most_ ? window_ * (1 + kBeta) / 2 : window_;  // fast convergence
    window_ = std::max(2.0, window_ * kBeta);
    threshold_ = window_;
    reno_ = window_;
    epoch_ = 0;
  }
  void grow() {
    if (window_ < threshold_) {
      window_ += 1;
      return;
    }
    double rtt = static_cast<double>(rtt_.count()) / 1e6;
    if (epoch_ == 0) {
      epoch_ = seconds();
      k_ = std::cbrt(std::max(0.0, most_ - window_) / kC);
      reno_ = window_;
    }
    double t = seconds() - epoch_ + rtt;
    double target = kC * std::pow(t - k_, 3) + most_;
    reno_ += 3 * (1 - kBeta) / (1 + kBeta) / window_;
    if (target > window_)
      window_ += std::min((target - window_) / window_, 0.5);
    else
      window_ += 0.01 / window_;
    window_ = std::max(window_, reno_);
  }
  void watch() {
    if (world_.now() - heard_ > 200ms && !flying_.empty()) {
      flying_.clear();
      on_loss();
      window_ = 2;
      heard_ = world_.now();
      push();
    }
    world_.at(world_.now() + 50ms, [this] { watch(); });
  }

  World& world_;
  Pipe& there_;
  Pipe& back_;
  std::map<std::uint64_t, Instant> flying_;
  std::uint64_t next_ = 0;
  std::uint64_t recovery_ = 0;
  double window_ = 10;
  double threshold_ = 1e9;
  double most_ = 0;
  double reno_ = 0;
  double epoch_ = 0;
  double k_ = 0;
  Duration rtt_ = 0us;
  Instant heard_{};
};

}  // namespace lansync::lane_rig
