#include "transport/lane/lane_rate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "transport/lane/lane_packet.h"

namespace lansync {
namespace {

constexpr double kPacket = kLaneMaxDatagram;
// 2 / ln 2: the least gain with which the rate doubles each round.
constexpr double kStartupGain = 2.89;
constexpr double kShortStartupGain = 2;  // where samples are longer than round trips
constexpr std::int64_t kSampleUs = 10'000;
constexpr int kGenerationSamples = 6;
constexpr double kDrainGain = 0.35;
// One phase above the measured rate finds more if there is more; the next gives back what queued.
constexpr std::array<double, 8> kCycle = {1.25, 0.75, 1, 1, 1, 1, 1, 1};
constexpr int kProbing = 0;
constexpr int kEmptying = 1;
// What a probe may add to a queue; a slow flow may probe for longer, and has to, to see anything.
constexpr double kProbePackets = 24;
constexpr std::int64_t kMaxProbeUs = 60'000;
constexpr double kEmptyingGain = 0.5;
constexpr std::int64_t kEmptyingUs = 4000;
// A neighbour's queue is shared by a window that grows and is cut like theirs, for so long.
constexpr std::int64_t kCompeteUs = 500'000;
constexpr std::int64_t kMinPhaseUs = 1000;
// So often the own queue is let run empty, to see the path's own round trip; and for so long.
constexpr std::int64_t kMinRttLifeUs = 10'000'000;
constexpr std::int64_t kDrainedUs = 10'000;
constexpr double kMinInFlight = 32 * kPacket;
// Where the round trip is tens of microseconds and most of it is waiting for a processor, twice
// rate x round trip would starve; a queue that cannot take this says so by losses. On a slow line
// the time counts: nobody wants to wait behind us for long.
constexpr double kRoomyInFlight = 768 * 1024;
constexpr double kRoomyUs = 2000;
constexpr double kRoomyStartUs = 24'000;
constexpr double kNoticedLoss = 0.005;
constexpr double kRoomyLossUs = 8000;  // what is lost is in it as well, until that is noticed
constexpr double kInitialPackets = 256;
constexpr double kInitialUs = 2000;
// The receiver reports each 64 packets or each quarter of a millisecond, and we send in bursts.
constexpr double kReportPackets = 64;
constexpr double kReportUs = 250;
constexpr double kBurstPackets = 60;
constexpr double kBurstUs = 128;
constexpr double kNoticePackets = 96;
constexpr double kNoticeUs = 1500;
constexpr std::uint64_t kWindowPackets = 4096;
constexpr std::uint64_t kFewPackets = 512;
constexpr std::int64_t kWindowUs = 100'000;
// A window of few trains may lose none by chance: the least of ten would say that nothing is lost.
constexpr double kLeastOfTen = 1.54;  // standard deviations, from the mean
constexpr double kClumpEvents = 128;
constexpr double kVerdictTrains = 24;
constexpr double kShortTrainUs = 64;
constexpr double kShortTrain = 4;
constexpr double kCut = 0.8;
constexpr double kSlopePackets = 3;  // a round: what holds against CUBIC, found by trying
// A ceiling that has stood so long without losses rises ever faster.
constexpr std::int64_t kPatienceUs = 1'000'000;
constexpr int kPatienceRounds = 64;
// TCP on our own machine keeps a millisecond of its rate in the queue, and less the slower it gets.
constexpr std::int64_t kCalmUs = 200'000;
constexpr std::int64_t kCalmQueueUs = 4000;
constexpr double kCalmBytes = 128 * 1024;

}  // namespace

double LaneRate::bandwidth() const { return std::max(best_, best_before_); }

double LaneRate::pipe_bytes() const {
  return bandwidth() * static_cast<double>(std::max<std::int64_t>(min_rtt_us_, 1));
}

// What is in flight besides the path's own: waiting for a report, and one burst.
double LaneRate::overhead_bytes() const {
  return std::min(bandwidth() * kReportUs, kReportPackets * kPacket) +
         std::min(bandwidth() * kBurstUs, kBurstPackets * kPacket);
}

double LaneRate::low_limit() const {
  double pipe = 1.1 * pipe_bytes() + overhead_bytes();
  // What is lost is in flight until that is noticed, and a report may be among it.
  if (path_loss_ > 0) pipe += std::min(bandwidth() * kNoticeUs, kNoticePackets * kPacket);
  return std::max(kMinInFlight, pipe);
}

LaneRateMark LaneRate::on_sent(std::int64_t now, std::uint64_t in_flight) {
  if (in_flight == 0 && now - newest_sent_us_ > kSampleUs) {  // it begins, or begins anew
    sample_us_ = now;
    sample_sent_us_ = now;
    sample_delivered_ = delivered_;
  }
  round_peak_ = std::max(round_peak_, in_flight);
  return delivered_;
}

double LaneRate::roomy_bytes() const {
  // At first what is measured is little, and a neighbour's queue is to be outgrown.
  double span = phase_ == Phase::kStartup ? kRoomyStartUs : kRoomyUs;
  if (path_loss_ > kNoticedLoss) span = std::max(span, kRoomyLossUs);
  return std::min(kRoomyInFlight, bandwidth() * span);
}

void LaneRate::on_idle(std::uint64_t in_flight) {
  // Waiting for credit with a full pipe is not idle.
  if (bandwidth() == 0 || static_cast<double>(in_flight) < pipe_bytes() + overhead_bytes())
    idle_until_ = delivered_ + in_flight;
}

void LaneRate::on_delivered(LaneRateMark mark, std::int64_t sent_us, std::uint64_t bytes) {
  delivered_ += bytes;
  ++round_delivered_;
  ++window_delivered_;
  if (!sampled_ || sent_us >= newest_sent_us_) {
    sampled_ = true;
    newest_ = mark;
    newest_sent_us_ = sent_us;
  }
}

void LaneRate::on_lost(std::int64_t sent_us) {
  ++window_lost_;
  if (sent_us != last_lost_us_) {
    last_lost_us_ = sent_us;
    if (events_ >= kClumpEvents) {
      events_ /= 2;
      event_packets_ /= 2;
    }
    ++events_;
  }
  ++event_packets_;
  // One cut answers all that was on its way when it was made.
  if (sent_us > cut_us_) ++round_lost_;
}

void LaneRate::end_report(std::int64_t now, std::int64_t rtt_us, std::uint64_t in_flight) {
  if (rtt_us >= 0) take_rtt(now, rtt_us);
  if (sampled_) {
    sampled_ = false;
    take_sample(now);
    if (newest_ >= round_end_) end_round(now, in_flight);
  }
  turn_cycle(now, in_flight);
}

// A token bucket lets through 100 KB and more at the speed of the machine, and reports that waited
// come together: over less than some milliseconds a rate says nothing of the path. The longer one
// of the time that sending took and that the reports took leaves out the second.
void LaneRate::take_sample(std::int64_t now) {
  std::int64_t coming = now - sample_us_;
  if (coming < std::max(min_rtt_us_, kSampleUs)) return;
  std::int64_t interval = std::max(coming, newest_sent_us_ - sample_sent_us_);
  double sample =
      static_cast<double>(delivered_ - sample_delivered_) / static_cast<double>(interval);
  bool idle = sample_us_ == 0 || sample_delivered_ < idle_until_;
  sample_us_ = now;
  sample_sent_us_ = newest_sent_us_;
  sample_delivered_ = delivered_;
  if (idle && sample <= bandwidth()) return;
  take_bandwidth(sample);
  if (!idle && phase_ == Phase::kStartup) check_startup();
}

void LaneRate::take_rtt(std::int64_t now, std::int64_t rtt_us) {
  rtt_us = std::max<std::int64_t>(rtt_us, 1);
  if (srtt_us_ == 0) {
    srtt_us_ = rtt_us;
    rttvar_us_ = rtt_us / 2;
  } else {
    rttvar_us_ += (std::abs(srtt_us_ - rtt_us) - rttvar_us_) / 4;
    srtt_us_ += (rtt_us - srtt_us_) / 8;
  }
  if (min_rtt_us_ == 0 || rtt_us <= min_rtt_us_) {
    min_rtt_us_ = rtt_us;
    min_rtt_at_us_ = now;
  }
  if (drained_until_us_ == 0) {
    if (now - min_rtt_at_us_ <= kMinRttLifeUs) return;
    drained_until_us_ = now + kDrainedUs + 2 * srtt_us_;
    drained_rtt_us_ = rtt_us;
    return;
  }
  drained_rtt_us_ = std::min(drained_rtt_us_, rtt_us);
  if (now < drained_until_us_) return;
  min_rtt_us_ = drained_rtt_us_;
  min_rtt_at_us_ = now;
  drained_until_us_ = 0;
}

void LaneRate::take_bandwidth(double sample) {
  if (++generation_samples_ > kGenerationSamples) {
    best_before_ = best_;
    best_ = 0;
    generation_samples_ = 1;
  }
  best_ = std::max(best_, sample);
}

void LaneRate::end_round(std::int64_t now, std::uint64_t in_flight) {
  round_end_ = delivered_;
  take_losses(now, in_flight);
  round_peak_ = in_flight;
}

void LaneRate::check_startup() {
  bool overrun = round_lost_ * 8 > round_delivered_;
  if (bandwidth() > full_rate_ * 1.25) {
    full_rate_ = bandwidth();
    full_samples_ = 0;
  } else if ((full_samples_ += overrun ? 3 : 1) >= 3) {
    phase_ = Phase::kDrain;
    // What startup overran is not what the path loses.
    window_delivered_ = window_lost_ = spurious_ = 0;
    window_count_ = 0;
    path_loss_ = 0;
  }
}

// The least loss of the last windows is what the path loses whatever we do: in one window of ten
// the pace does not make up for losses, so that those of our own making are not in it.
void LaneRate::learn_path_loss(std::int64_t now) {
  std::uint64_t packets = window_delivered_ + window_lost_;
  // While nothing is known, or little comes, fewer have to do: what is taken for congestion
  // meanwhile slows us down, so that it would take ever longer to know better.
  bool few = window_count_ < 2 || now - window_us_ > kWindowUs;
  if (packets < (few ? kFewPackets : kWindowPackets)) return;
  window_us_ = now;
  std::uint64_t lost = window_lost_ - std::min(window_lost_, spurious_);
  loss_windows_[window_count_ % kLossWindows] =
      static_cast<double>(lost) / static_cast<double>(packets);
  ++window_count_;
  window_delivered_ = window_lost_ = spurious_ = 0;
  std::size_t known = std::min(window_count_, kLossWindows);
  auto end = loss_windows_.begin() + static_cast<std::ptrdiff_t>(known);
  double least = *std::min_element(loss_windows_.begin(), end);
  double mean = std::accumulate(loss_windows_.begin(), end, 0.0) / static_cast<double>(known);
  double deviation = std::sqrt(mean * clump() / static_cast<double>(packets));
  if (known == kLossWindows) least = std::min(mean, least + kLeastOfTen * deviation);
  // While a queue is shared, every window has losses of the queue's.
  path_loss_ = competing_ ? std::min(path_loss_, least) : least;
}

// A queue that stays short and loses nothing: whoever shares it is not out to fill it.
bool LaneRate::calm(std::int64_t now) const {
  return now - cut_us_ > kCalmUs && srtt_us_ - min_rtt_us_ < kCalmQueueUs;
}

double LaneRate::calm_limit() const { return std::max(kCalmBytes, low_limit()); }

// Packets that are lost together.
double LaneRate::clump() const { return events_ > 0 ? event_packets_ / events_ : 1; }

void LaneRate::take_losses(std::int64_t now, std::uint64_t in_flight) {
  learn_path_loss(now);
  double packets = static_cast<double>(round_delivered_ + round_lost_);
  auto lost = static_cast<double>(round_lost_);
  // Of few trains chance may take any number.
  if (path_loss_ > 0 && packets < kVerdictTrains * clump()) return;
  double usual = packets * path_loss_;
  bool excess = lost > 1.5 * usual + 3 * std::sqrt(usual * clump());
  round_delivered_ = round_lost_ = 0;
  std::uint64_t peak = std::max(round_peak_, in_flight);
  if (phase_ == Phase::kStartup) return;
  if (excess) {
    auto from = static_cast<double>(peak);
    if (ceiling_ > 0) from = std::min(ceiling_, from);
    ceiling_ = std::max(from * kCut, low_limit());
    cut_us_ = now;
    rounds_since_cut_ = 0;
    slope_ = kSlopePackets * kPacket;
    return;
  }
  if (ceiling_ == 0) return;
  ++rounds_since_cut_;
  if (now - cut_us_ > kPatienceUs && rounds_since_cut_ > kPatienceRounds) {
    slope_ *= 2;
    cut_us_ = now - kPatienceUs * 3 / 4;
  }
  // It is not what holds us back: nothing says that more of it would do.
  if (static_cast<double>(peak) < 0.8 * ceiling_) return;
  // A neighbour that never fills the queue (TCP on our own machine keeps little in its) would be
  // left with ever less of it.
  if (competing_ && calm(now) && ceiling_ >= calm_limit()) return;
  ceiling_ += slope_;
  if (!competing_ && ceiling_ > std::max(2 * pipe_bytes() + overhead_bytes(), roomy_bytes()))
    ceiling_ = 0;
}

void LaneRate::turn_cycle(std::int64_t now, std::uint64_t in_flight) {
  bool drained = static_cast<double>(in_flight) <= pipe_bytes() + overhead_bytes();
  if (phase_ == Phase::kDrain && drained) {
    phase_ = Phase::kCruise;
    cycle_ = 2;
    cycle_us_ = now;
  }
  if (phase_ != Phase::kCruise) return;
  std::int64_t span = now - cycle_us_;
  if (cycle_ == kEmptying && !drained && !(competing_ && now < compete_until_us_)) {
    // What queued is ours, and goes when we send less; or it is another's, and stays.
    if (span < std::max({min_rtt_us_, kEmptyingUs, probe_us()})) return;
    competing_ = true;
    compete_until_us_ = now + kCompeteUs;
    if (ceiling_ == 0) {
      ceiling_ = static_cast<double>(in_flight_limit());
      slope_ = kSlopePackets * kPacket;
    }
    if (calm(now)) ceiling_ = std::min(ceiling_, calm_limit());
  } else if (cycle_ == kEmptying && drained) {
    competing_ = false;
    span = kMaxProbeUs + min_rtt_us_;  // over
  }
  if (span < std::max(min_rtt_us_, cycle_ == kProbing ? probe_us() : kMinPhaseUs)) return;
  cycle_ = (cycle_ + 1) % static_cast<int>(kCycle.size());
  cycle_us_ = now;
}

std::int64_t LaneRate::probe_us() const {
  double packets = kProbePackets * kPacket / (kCycle[kProbing] - 1);
  double span = packets / std::max(bandwidth(), 0.1);
  return std::clamp(static_cast<std::int64_t>(span), kMinPhaseUs, kMaxProbeUs);
}

double LaneRate::startup_gain() const {
  return min_rtt_us_ < kSampleUs / 2 ? kShortStartupGain : kStartupGain;
}

double LaneRate::rate() const {
  double measured = bandwidth();
  if (measured == 0) {
    return kInitialPackets * kPacket / std::max(static_cast<double>(srtt_us_), kInitialUs);
  }
  if (phase_ == Phase::kStartup) return measured * startup_gain();
  if (phase_ == Phase::kDrain) return measured * kDrainGain;
  double gain = kCycle[static_cast<std::size_t>(cycle_)];
  if (cycle_ == kEmptying && !competing_) gain = kEmptyingGain;
  bool honest = window_count_ % kLossWindows == 0;
  if (honest) return measured * std::min(gain, 1.0);
  return measured * gain / (1 - std::min(path_loss_, 0.25));
}

std::uint64_t LaneRate::in_flight_limit() const {
  double limit = kInitialPackets * kPacket;
  if (bandwidth() > 0) {
    double gain = phase_ == Phase::kStartup ? startup_gain() : 2;
    limit = std::max({gain * pipe_bytes() + overhead_bytes(), roomy_bytes(), kMinInFlight});
    if (ceiling_ > 0) {
      double shared = std::max(ceiling_, low_limit());
      limit = competing_ ? shared : std::min(limit, shared);
    }
    // On a long way half of what it holds queues nowhere, and all of it takes long to come back.
    if (drained_until_us_ > 0) limit = std::max(kMinInFlight, pipe_bytes() / 2);
  }
  return static_cast<std::uint64_t>(limit);
}

std::size_t LaneRate::train_packets() const {
  if (events_ == 0 || (window_count_ > 0 && path_loss_ == 0)) return kLaneMaxTrain;
  double packets = rate() * kShortTrainUs / kPacket;
  return static_cast<std::size_t>(
      std::clamp(packets, kShortTrain, static_cast<double>(kLaneMaxTrain)));
}

const char* LaneRate::phase() const {
  return phase_ == Phase::kStartup ? "startup" : phase_ == Phase::kDrain ? "drain" : "cruise";
}

}  // namespace lansync
