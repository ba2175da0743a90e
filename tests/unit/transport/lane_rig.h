// A simulated network for lanes, on a virtual clock and from a seed: pipes with a rate, a queue, a
// delay, losses, reordering, duplicates and flipped bits, shared by any number of flows.
//
// Invariant: the same seed and the same calls give the same run. Driven by the lane's tests and its
// benchmark.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/random.h"
#include "transport/lane/lane_connection.h"
#include "transport/lane/lane_packet.h"

namespace lansync::lane_rig {

class World {
 public:
  explicit World(std::uint64_t seed) : random(seed) {}
  Instant now() const { return now_; }
  void at(Instant when, std::function<void()> what) {
    events_.push(Event{std::max(when, now_), number_++, std::move(what)});
  }
  void run_until(Instant end) {
    while (!events_.empty() && events_.top().when <= end) step();
    now_ = std::max(now_, end);
  }
  void run_for(Duration span) { run_until(now_ + span); }
  // False if `span` passed before `done`.
  bool run_while(const std::function<bool()>& busy, Duration span) {
    Instant end = now_ + span;
    while (busy()) {
      if (events_.empty() || events_.top().when > end) return false;
      step();
    }
    return true;
  }

  Prng random;

 private:
  struct Event {
    Instant when;
    std::uint64_t number;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return when != other.when ? when > other.when : number > other.number;
    }
  };
  void step() {
    Event event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_ = event.when;
    event.what();
  }
  std::priority_queue<Event> events_;
  std::uint64_t number_ = 0;
  Instant now_{Duration(1'000'000)};
};

struct PipeSettings {
  double bytes_per_us = 0;   // 0: as fast as it comes
  std::size_t queue = 1000;  // full frames
  Duration delay = 50us;
  int loss_permille = 0;
  bool whole_trains = false;  // what is lost is all that was sent at once, as by a bridge or a tap
  int duplicate_permille = 0;
  int flip_permille = 0;
  int late_permille = 0;  // how many are late, by up to `late`
  Duration late = 0us;
};

// One direction of a line. Frames are told with their whole size.
class Pipe {
 public:
  Pipe(World& world, PipeSettings how) : settings(how), world_(world) {}

  // What is pushed next left its machine at once: with `whole_trains` it arrives or is lost so.
  void begin_train(std::size_t frames_bytes) {
    train_lost_ = settings.whole_trains && chance(settings.loss_permille);
    double now = static_cast<double>(world_.now().time_since_epoch().count());
    if (settings.whole_trains && settings.bytes_per_us > 0)
      train_end_ =
          std::max(busy_until_, now) + static_cast<double>(frames_bytes) / settings.bytes_per_us;
  }

  void push(std::size_t frame_bytes, Bytes payload, std::function<void(Bytes)> arrive) {
    ++frames;
    Instant leave = world_.now();
    if (settings.bytes_per_us > 0) {
      double now = static_cast<double>(world_.now().time_since_epoch().count());
      double queued = std::max(0.0, busy_until_ - now) * settings.bytes_per_us;
      if (queued + static_cast<double>(frame_bytes) > static_cast<double>(settings.queue) * 1084) {
        ++overflowed;
        return;
      }
      busy_until_ =
          std::max(busy_until_, now) + static_cast<double>(frame_bytes) / settings.bytes_per_us;
      double whole = settings.whole_trains ? std::max(train_end_, busy_until_) : busy_until_;
      leave = Instant(Duration(static_cast<std::int64_t>(whole)));
    }
    if (closed || (settings.whole_trains ? train_lost_ : chance(settings.loss_permille))) {
      ++lost;
      return;
    }
    Instant when = leave + settings.delay;
    if (chance(settings.late_permille))
      when += Duration(world_.random.below(static_cast<std::uint64_t>(settings.late.count()) + 1));
    if (!payload.empty() && chance(settings.flip_permille))
      payload[world_.random.below(payload.size())] ^=
          static_cast<std::uint8_t>(1U << world_.random.below(8));
    if (chance(settings.duplicate_permille)) deliver(when + 10us, payload, arrive);
    deliver(when, std::move(payload), std::move(arrive));
  }

  PipeSettings settings;
  bool closed = false;
  std::uint64_t frames = 0;
  std::uint64_t lost = 0;
  std::uint64_t overflowed = 0;

 private:
  bool chance(int permille) {
    return permille > 0 && world_.random.chance(static_cast<std::uint64_t>(permille), 1000);
  }
  void deliver(Instant when, Bytes payload, std::function<void(Bytes)> arrive) {
    world_.at(when, [payload = std::move(payload), arrive = std::move(arrive)]() mutable {
      arrive(std::move(payload));
    });
  }
  World& world_;
  double busy_until_ = 0;
  bool train_lost_ = false;
  double train_end_ = 0;
};

// What stands at a place of a file: no two chunks are equal, and a run of words is quick to make.
inline void fill_pattern(std::uint32_t transfer, std::uint64_t first, Bytes& data) {
  for (std::size_t at = 0; at < data.size(); at += 8) {
    std::uint64_t word = (first * 125 + at / 8) * 0x9E3779B97F4A7C15U + transfer;
    std::memcpy(data.data() + at, &word, std::min<std::size_t>(8, data.size() - at));
  }
}

inline std::pair<CarrierPeer, CarrierPeer> make_pair(Prng& random,
                                                     Suite suite = Suite::kAes256Gcm) {
  CarrierPeer a;
  a.session = 1;
  a.keys.suite = suite;
  random.fill(a.keys.prk);
  random.fill(a.own);
  random.fill(a.theirs);
  a.address = Address{0x7f000001, 27802};
  a.initiator = true;
  CarrierPeer b = a;
  b.session = 2;
  b.initiator = false;
  std::swap(b.own, b.theirs);
  return {a, b};
}

// One end: the connection, when it is called next, what it sent and got.
class End {
 public:
  End(World& world, const CarrierPeer& peer, Pipe& out)
      : lane(std::make_unique<LaneConnection>(peer, world.now())), world_(world), out_(out) {}

  void connect(End& other) { other_ = &other; }

  // To be called after anything was done to `lane`.
  void pump() {
    if (stopped) return;
    feed();
    while (lane->produce(world_.now(), burst_)) send_burst();
    take_events();
    feed();
    while (lane->produce(world_.now(), burst_)) send_burst();
    Instant next = lane->deadline();
    if (next == kNever) return;
    next = std::max(next, world_.now() + 1us) + wake_late;
    if (wake_at_ > world_.now() && wake_at_ <= next) return;
    wake_at_ = next;
    world_.at(next, [this, next] {
      if (wake_at_ != next) return;
      wake_at_ = Instant{};
      pump();
    });
  }

  // Sends so many bytes as transfer `id`, in blocks, as room allows.
  void offer(std::uint32_t id, std::uint64_t bytes, std::size_t block_bytes = 256'000) {
    offers_.push_back({id, bytes, 0, block_bytes});
    total_offered += bytes;
    pump();
  }
  void resume() {
    stopped = false;
    std::vector<Bytes> waiting;
    waiting.swap(inbox_);
    for (Bytes& datagram : waiting) lane->on_datagram(datagram, world_.now());
    pump();
  }

  std::unique_ptr<LaneConnection> lane;
  Duration wake_late = 0us;
  bool stopped = false;           // as by SIGSTOP
  bool auto_credit = true;        // the disk is as fast as it likes
  bool keep_numbers = false;      // remember all numbers sent, and that none comes twice
  std::size_t inbox_limit = 200;  // while stopped: the socket's buffer
  std::uint64_t total_offered = 0;
  std::uint64_t delivered = 0;  // bytes, as reported to the sender
  std::uint64_t received = 0;   // bytes of whole blocks, verified
  std::uint64_t wrong = 0;      // blocks with other bytes, or that came twice
  std::uint64_t datagrams = 0;
  std::uint64_t returned = 0;  // bytes handed back
  bool resend_returned = true;
  std::vector<CarrierStatus> changes;
  std::vector<std::string> violations;
  std::uint64_t uncredited = 0;

 private:
  struct Offer {
    std::uint32_t id;
    std::uint64_t bytes;
    std::uint64_t at;
    std::size_t block;
  };

  void feed() {
    while (!returned_.empty() && lane->room() >= returned_.back().data.size()) {
      lane->send(std::move(returned_.back()));
      returned_.pop_back();
    }
    while (!offers_.empty()) {
      Offer& offer = offers_.front();
      std::size_t size =
          static_cast<std::size_t>(std::min<std::uint64_t>(offer.block, offer.bytes - offer.at));
      if (lane->room() < size) return;
      ContentBlock block{offer.id, offer.at / 1000, Bytes(size)};
      fill_pattern(block.transfer, block.first, block.data);
      lane->send(std::move(block));
      offer.at += size;
      if (offer.at == offer.bytes) offers_.erase(offers_.begin());
    }
  }

  void send_burst() {
    LS_ASSERT(burst_.count > 0 && burst_.count <= kMaxLaneBurst);
    LS_ASSERT(burst_.bytes.size() <= burst_.count * burst_.segment &&
              burst_.bytes.size() > (burst_.count - 1) * burst_.segment);
    out_.begin_train(burst_.bytes.size() + 42 * burst_.count);
    for (std::size_t i = 0; i < burst_.count; ++i) {
      std::size_t from = i * burst_.segment;
      std::size_t size = std::min(burst_.segment, burst_.bytes.size() - from);
      Bytes datagram(burst_.bytes.begin() + static_cast<std::ptrdiff_t>(from),
                     burst_.bytes.begin() + static_cast<std::ptrdiff_t>(from + size));
      ++datagrams;
      std::uint64_t number = *lane_packet_number(datagram);
      if (numbers_seen_ > 0) LS_ASSERT(number > last_number_);
      if (keep_numbers) LS_ASSERT(numbers_.insert(number).second);
      last_number_ = number;
      ++numbers_seen_;
      out_.push(size + 42, std::move(datagram),
                [other = other_](Bytes bytes) { other->receive(std::move(bytes)); });
    }
  }

  void receive(Bytes datagram) {
    if (stopped) {
      if (inbox_.size() < inbox_limit) inbox_.push_back(std::move(datagram));
      return;
    }
    inbox_.push_back(std::move(datagram));
    if (inbox_.size() > 1) return;
    // What comes before the thread has woken is taken at once.
    world_.at(world_.now() + wake_late, [this] {
      if (stopped) return;
      std::vector<Bytes> waiting;
      waiting.swap(inbox_);
      for (Bytes& one : waiting) lane->on_datagram(one, world_.now());
      pump();
    });
  }

  void take_events() {
    for (CarrierEvent& event : lane->take_events()) {
      if (auto* got = std::get_if<BlockReceived>(&event)) {
        const ContentBlock& block = got->block;
        Bytes expected(block.data.size());
        fill_pattern(block.transfer, block.first, expected);
        bool first = seen_.insert({block.transfer, block.first}).second;
        if (expected != block.data || (!first && !allow_twice)) ++wrong;
        if (first) received += block.data.size();
        uncredited += block.data.size();
        if (auto_credit) give_credit(block.data.size());
      } else if (auto* done = std::get_if<BlockDelivered>(&event)) {
        delivered += done->bytes;
      } else if (auto* change = std::get_if<CarrierChanged>(&event)) {
        changes.push_back(change->status);
        for (ContentBlock& block : change->undelivered) {
          returned += block.data.size();
          if (resend_returned) returned_.push_back(std::move(block));
        }
      } else if (auto* violation = std::get_if<CarrierViolation>(&event)) {
        violations.push_back(violation->what);
      }
    }
  }

 public:
  void give_credit(std::uint64_t bytes) {
    uncredited -= bytes;
    lane->credit(bytes);
  }
  bool allow_twice = false;  // blocks that were handed back may have come before

 private:
  World& world_;
  Pipe& out_;
  End* other_ = nullptr;
  LaneBurst burst_;
  Instant wake_at_{};
  std::vector<Offer> offers_;
  std::vector<ContentBlock> returned_;
  std::vector<Bytes> inbox_;
  std::set<std::pair<std::uint32_t, std::uint64_t>> seen_;
  std::set<std::uint64_t> numbers_;
  std::uint64_t last_number_ = 0;
  std::uint64_t numbers_seen_ = 0;
};

// Two ends over a pipe each way, both opened at the same time.
struct Pair {
  Pair(World& world, Pipe& there, Pipe& back, Suite suite = Suite::kAes256Gcm) {
    auto [peer_a, peer_b] = make_pair(world.random, suite);
    a = std::make_unique<End>(world, peer_a, there);
    b = std::make_unique<End>(world, peer_b, back);
    a->connect(*b);
    b->connect(*a);
    a->pump();
    b->pump();
  }
  std::unique_ptr<End> a;
  std::unique_ptr<End> b;
};

constexpr double kGigabit = 125;  // bytes per microsecond
// What 1000-byte chunks allow on a gigabit line: payload / frame, the link layer's header included.
constexpr double kGoodput = kGigabit * 1000.0 / (kLaneMaxDatagram + 42.0);

}  // namespace lansync::lane_rig
