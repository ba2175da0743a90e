// The sending half of a lane: blocks into chunks, chunks into numbered packets, which of those are
// still on their way, which are lost and go out again under a new number.
//
// Invariant: a block is either among blocks_ or was reported delivered or handed back, never two of
// these; what is begun never exceeds the receiver's credit. Driven by LaneConnection.
#pragma once

#include <bitset>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "transport/content_carrier.h"
#include "transport/lane/lane_packet.h"
#include "transport/lane/lane_rate.h"
#include "transport/lane/lane_ring.h"

namespace lansync {

class LaneSender {
 public:
  std::uint64_t room() const;
  // What may wait for delivery: more on a long line.
  std::uint64_t window() const;
  void send(ContentBlock block);

  // The next chunk that goes out, the content a view into its block; nullopt: nothing, or no credit
  // for it. It counts as sent once note_data() is told its number.
  std::optional<LaneData> next_chunk();
  bool has_chunk();
  // Blocks wait for nothing but credit.
  bool wants_credit() const;
  // Something waits to be delivered, or for credit.
  bool waiting() const { return !blocks_.empty(); }
  // False: the oldest packet that nothing was heard about is a whole window back.
  bool number_free() const { return next_ - oldest_ < kLaneNumberWindow; }

  // Numbers are told in order, each once.
  void note_data(std::uint64_t number, const LaneData& data, std::int64_t now);
  void note_probe(std::uint64_t number, std::int64_t now);
  void note_report(std::uint64_t number, std::int64_t now);

  struct Outcome {
    bool progress = false;              // something newly reported
    bool floor_known = false;           // the report is of after our floor
    std::optional<std::string> broken;  // what rule it broke
  };
  // `delivered`: appended to, (transfer, bytes) of each block that is whole there.
  struct Delivered {
    std::uint32_t transfer = 0;
    std::uint64_t bytes = 0;
  };
  Outcome on_report(const LaneReport& report, std::int64_t now, std::vector<Delivered>& delivered);
  // Packets that are older than the reordering seen on this path.
  void find_lost(std::int64_t now);
  std::int64_t loss_deadline() const { return loss_deadline_us_; }
  // The last `count` packets did not leave this machine.
  void take_back(std::size_t count);

  // The path does not work: everything that was not delivered, and a new floor.
  std::vector<ContentBlock> give_up();
  std::uint64_t floor() const { return floor_; }

  LaneRate& rate() { return rate_; }
  const LaneRate& rate() const { return rate_; }
  std::uint64_t in_flight() const { return in_flight_; }
  std::uint64_t resent() const { return resent_; }
  std::uint64_t delivered_bytes() const { return delivered_bytes_; }
  std::uint64_t limit() const { return limit_; }

 private:
  enum class Kind : std::uint8_t { kData, kProbe, kReport };
  enum class Fate : std::uint8_t { kFlying, kLost, kReported };
  struct Packet {
    std::int64_t sent_us = 0;
    LaneRateMark mark = 0;
    std::uint16_t block = 0;
    std::uint16_t bytes = 0;
    std::uint8_t index = 0;
    Kind kind = Kind::kReport;
    Fate fate = Fate::kReported;
  };
  struct Block {
    ContentBlock block;
    std::uint16_t count = 0;
    std::uint16_t sent = 0;
    std::uint16_t there = 0;
    std::bitset<kMaxBlockChunks> reported;
  };
  struct Chunk {
    std::uint16_t block = 0;
    std::uint8_t index = 0;
  };

  Packet& note(std::uint64_t number, std::int64_t now);
  Packet& packet(std::uint64_t number) { return packets_[number & (packets_.size() - 1)]; }
  Block* open_block(std::uint16_t number);
  LaneData describe(const Block& block, std::uint16_t number, std::uint8_t index) const;
  bool begin_block();
  void take_credit(const LaneReport& report);
  void take_packet(std::uint64_t number, std::int64_t now, std::vector<Delivered>& delivered);
  void take_chunk(const Packet& sent, std::vector<Delivered>& delivered);
  void lose(Packet& sent);
  std::int64_t patience_us() const;

  std::deque<Block> blocks_;  // from base_ on; the first begun_count_ are begun
  std::uint16_t base_ = 0;
  std::size_t begun_count_ = 0;
  std::uint64_t held_bytes_ = 0;  // of blocks_
  std::uint64_t begun_ = 0;       // in whole chunks, since the floor
  std::uint64_t limit_ = 0;       // the receiver's credit, since the floor
  std::uint64_t floor_ = 0;
  LaneRing<Chunk> again_;  // lost

  std::vector<Packet> packets_ = std::vector<Packet>(256);  // a ring over numbers, a power of two
  std::uint64_t next_ = 0;                                  // the number that comes next
  std::uint64_t oldest_ = 0;                                // nothing before it is flying
  std::uint64_t tail_ = 0;  // and nothing before this is of interest
  std::uint64_t largest_ = 0;
  bool heard_ = false;
  std::uint64_t in_flight_ = 0;  // bytes

  std::uint64_t reorder_packets_ = 16;
  std::int64_t reorder_us_ = 0;
  std::int64_t loss_deadline_us_ = 0;  // 0: none
  std::uint64_t resent_ = 0;
  std::uint64_t delivered_bytes_ = 0;
  LaneRate rate_;
};

}  // namespace lansync
