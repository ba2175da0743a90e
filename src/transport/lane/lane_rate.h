// How fast a lane sends: pacing rate and bytes in flight, from the measured delivery rate and the
// round trip (after BBR: Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016; samples
// as in draft-cheng-iccrg-delivery-rate-estimation).
//
// Invariant: loss alone never lowers what was measured to arrive; it lowers what may be in flight,
// down to what the path itself holds, and only if it is above what the path loses anyway. Pure, on
// a given clock in microseconds; driven by LaneSender.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lansync {

// What is remembered with a packet when it is sent: the bytes delivered at that time.
using LaneRateMark = std::uint64_t;

class LaneRate {
 public:
  LaneRateMark on_sent(std::int64_t now, std::uint64_t in_flight);
  // There is less to send than might be: samples say nothing of the path until it was delivered.
  void on_idle(std::uint64_t in_flight);

  // For each packet newly reported, then for those found lost, then end_report() once.
  void on_delivered(LaneRateMark mark, std::int64_t sent_us, std::uint64_t bytes);
  void on_lost(std::int64_t sent_us);
  void on_spurious() { spurious_ += 1; }
  // `rtt_us`: below 0 if this report gave none. `in_flight`: what is so after it.
  void end_report(std::int64_t now, std::int64_t rtt_us, std::uint64_t in_flight);

  double rate() const;  // bytes per microsecond, for pacing
  std::uint64_t in_flight_limit() const;
  std::int64_t min_rtt_us() const { return min_rtt_us_; }
  std::int64_t smoothed_rtt_us() const { return srtt_us_; }
  std::int64_t rtt_variation_us() const { return rttvar_us_; }
  double delivery_rate() const { return bandwidth(); }
  double path_loss() const { return path_loss_; }
  // Datagrams that may leave at once. What takes a train for one frame (a bridge, a tap, a tunnel)
  // loses it as one: where losses are seen short trains lose less at a time.
  std::size_t train_packets() const;
  const char* phase() const;

 private:
  enum class Phase : std::uint8_t { kStartup, kDrain, kCruise };
  double bandwidth() const;
  double pipe_bytes() const;
  double overhead_bytes() const;
  double low_limit() const;
  double roomy_bytes() const;
  void take_rtt(std::int64_t now, std::int64_t rtt_us);
  void take_sample(std::int64_t now);
  void take_bandwidth(double sample);
  double startup_gain() const;
  std::int64_t probe_us() const;
  void take_losses(std::int64_t now, std::uint64_t in_flight);
  double clump() const;
  bool calm(std::int64_t now) const;
  double calm_limit() const;
  void end_round(std::int64_t now, std::uint64_t in_flight);
  void learn_path_loss(std::int64_t now);
  void check_startup();
  void turn_cycle(std::int64_t now, std::uint64_t in_flight);

  // Delivery.
  std::uint64_t delivered_ = 0;
  std::uint64_t idle_until_ = 0;  // samples that began before so much was delivered are too low
  // Of the report under way: its newest packet.
  bool sampled_ = false;
  LaneRateMark newest_ = 0;
  std::int64_t newest_sent_us_ = 0;
  // Where the sample of the delivery rate under way began.
  std::int64_t sample_us_ = 0;
  std::int64_t sample_sent_us_ = 0;
  std::uint64_t sample_delivered_ = 0;

  // The highest rate of this generation of samples and of the one before.
  double best_ = 0;
  double best_before_ = 0;
  int generation_samples_ = 0;

  std::int64_t min_rtt_us_ = 0;  // 0: none yet
  std::int64_t min_rtt_at_us_ = 0;
  std::int64_t drained_until_us_ = 0;  // 0: not now
  std::int64_t drained_rtt_us_ = 0;
  std::int64_t srtt_us_ = 0;
  std::int64_t rttvar_us_ = 0;

  std::uint64_t round_end_ = 0;  // the round ends with a packet that was sent after this delivery
  Phase phase_ = Phase::kStartup;
  double full_rate_ = 0;
  int full_samples_ = 0;
  int cycle_ = 0;
  std::int64_t cycle_us_ = 0;
  bool competing_ = false;  // for the queue of the narrowest place, with others
  std::int64_t compete_until_us_ = 0;

  // Loss: of this round, of this window of packets, and the least of the last windows. Packets that
  // were sent at one time and lost are one event: they say as much as one lost packet does.
  static constexpr std::size_t kLossWindows = 10;
  std::int64_t last_lost_us_ = 0;
  double events_ = 0;  // lately, and how many packets were lost in them
  double event_packets_ = 0;
  std::uint64_t round_delivered_ = 0;
  std::uint64_t round_lost_ = 0;
  std::uint64_t window_delivered_ = 0;
  std::uint64_t window_lost_ = 0;
  std::int64_t window_us_ = 0;
  std::uint64_t spurious_ = 0;
  std::array<double, kLossWindows> loss_windows_{};
  std::size_t window_count_ = 0;
  double path_loss_ = 0;
  // The ceiling that losses above it set; it rises again round by round.
  double ceiling_ = 0;  // 0: none
  double slope_ = 0;    // bytes a round
  std::int64_t cut_us_ = 0;
  int rounds_since_cut_ = 0;
  std::uint64_t round_peak_ = 0;
};

}  // namespace lansync
