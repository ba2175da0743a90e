// What one session has sealed and its other side has not acknowledged, and how much of it ENet
// sees. ENet 1.3.17 walks its whole list of waiting packets for each datagram: with 100,000 queued
// it sends 33 MB/s, with 300 over 140. So ENet holds a few hundred packets and the rest waits here,
// urgent channels first.
//
// Invariant: packets of one channel reach ENet in the order of push(); every packet is counted from
// push() until ENet frees it. Driven by EnetEndpoint; outlives every packet that it handed to ENet.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "transport/send_window.h"
#include "transport/session.h"

struct _ENetPacket;
struct _ENetPeer;

namespace lansync {

// Handed to ENet at a time. Measured by endpoint_bench (see there).
inline constexpr std::size_t kEnetPackets = 300;
inline constexpr std::size_t kEnetBytes = 384 * 1024;
// From the oldest byte that is not acknowledged to the newest handed to ENet: bounds what the
// receiver's ENet has to keep behind a lost packet (kMaxWaitingData in enet_tuning.cpp).
inline constexpr std::size_t kMaxSpanBytes = 8 * 1024 * 1024;
// Waiting for a peer that takes nothing. More than the largest listing that is ever sent at once;
// past it the session is closed, as one that does not move.
inline constexpr std::size_t kMaxBacklogBytes = 256 * 1024 * 1024;

class SendQueue;

// Packet memory, reused: a GiB of content must not mean a million calls of malloc. One for an
// endpoint; must outlive its packets.
class PacketPool {
 public:
  struct Node {
    SendQueue* owner = nullptr;
    PacketPool* pool = nullptr;
    std::uint64_t number = 0;
    std::size_t size = 0;
    std::vector<std::uint8_t> bytes;
  };
  std::unique_ptr<Node> take(std::size_t size);
  void give(std::unique_ptr<Node> node);

 private:
  static constexpr std::size_t kPooledBytes = 1500;  // a full datagram; larger ones are rare
  static constexpr std::size_t kPooledNodes = 1024;  // 1.5 MB in all
  std::vector<std::unique_ptr<Node>> free_;
};

class SendQueue {
 public:
  explicit SendQueue(PacketPool& pool) : pool_(&pool) {}
  ~SendQueue();
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;

  // Room for a record of `size` bytes, to be filled and then pushed or dropped.
  std::unique_ptr<PacketPool::Node> make(std::size_t size) { return pool_->take(size); }
  void push(Channel channel, std::unique_ptr<PacketPool::Node> node);
  // Hands over to ENet what it may hold now. False if ENet refused a packet (the peer is not
  // connected any more); that packet and all behind it stay here.
  bool pump(_ENetPeer* peer, Instant now);
  // Forgets what ENet has not got yet.
  void drop_backlog();

  std::size_t packets() const { return waiting_packets_ + in_enet_packets_; }
  std::size_t backlog_bytes() const { return waiting_bytes_; }
  bool empty() const { return packets() == 0; }

  // ENet freed a packet of ours: acknowledged, or dropped with its connection.
  void released(std::uint64_t number, std::size_t size);

 private:
  struct Handed {
    std::size_t size;
    bool released;
  };
  bool hand_over(_ENetPeer* peer, std::uint8_t channel);
  bool enet_full();

  PacketPool* pool_;
  SendWindow window_;
  bool limited_ = false;  // by the window, when it was last asked
  std::array<std::deque<std::unique_ptr<PacketPool::Node>>, kChannelCount> waiting_;
  std::size_t waiting_packets_ = 0;
  std::size_t waiting_bytes_ = 0;
  // Packets handed over, from the oldest that is not acknowledged on; number_of_first_ is its
  // number.
  std::deque<Handed> handed_;
  std::uint64_t number_of_first_ = 0;
  std::size_t in_enet_packets_ = 0;
  std::size_t in_enet_bytes_ = 0;
  std::size_t span_bytes_ = 0;
};

}  // namespace lansync
