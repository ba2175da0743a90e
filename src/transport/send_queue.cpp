#include "transport/send_queue.h"

#include <enet/enet.h>

#include <utility>

#include "base/assert.h"

namespace lansync {

namespace {

void ENET_CALLBACK packet_freed(ENetPacket* packet) {
  std::unique_ptr<PacketPool::Node> node(static_cast<PacketPool::Node*>(packet->userData));
  node->owner->released(node->number, node->size);
  PacketPool* pool = node->pool;
  pool->give(std::move(node));
}

}  // namespace

std::unique_ptr<PacketPool::Node> PacketPool::take(std::size_t size) {
  std::unique_ptr<Node> node;
  if (size <= kPooledBytes && !free_.empty()) {
    node = std::move(free_.back());
    free_.pop_back();
  } else {
    node = std::make_unique<Node>();
    node->pool = this;
    node->bytes.resize(size <= kPooledBytes ? kPooledBytes : size);
  }
  node->size = size;
  return node;
}

void PacketPool::give(std::unique_ptr<Node> node) {
  if (node->bytes.size() == kPooledBytes && free_.size() < kPooledNodes)
    free_.push_back(std::move(node));
}

SendQueue::~SendQueue() { LS_ASSERT(in_enet_packets_ == 0); }

void SendQueue::push(Channel channel, std::unique_ptr<PacketPool::Node> node) {
  waiting_bytes_ += node->size;
  ++waiting_packets_;
  waiting_[static_cast<std::size_t>(channel)].push_back(std::move(node));
}

bool SendQueue::enet_full() {
  limited_ = in_enet_bytes_ >= window_.bytes();
  return limited_ || in_enet_packets_ >= kEnetPackets || in_enet_bytes_ >= kEnetBytes ||
         span_bytes_ >= kMaxSpanBytes;
}

bool SendQueue::pump(ENetPeer* peer, Instant now) {
  const std::chrono::milliseconds patience(peer->roundTripTime + 4 * peer->roundTripTimeVariance);
  limited_ = false;
  window_.on_losses(peer->packetsLost, in_enet_packets_, patience, now);
  // What ENet sends again goes by this too.
  peer->windowSize = static_cast<enet_uint32>(window_.bytes());
  for (std::uint8_t channel = 0; channel < kChannelCount; ++channel) {
    while (!waiting_[channel].empty()) {
      if (enet_full()) return true;
      if (!hand_over(peer, channel)) return false;
    }
  }
  return true;
}

bool SendQueue::hand_over(ENetPeer* peer, std::uint8_t channel) {
  PacketPool::Node* node = waiting_[channel].front().get();
  ENetPacket* packet = enet_packet_create(node->bytes.data(), node->size,
                                          ENET_PACKET_FLAG_RELIABLE | ENET_PACKET_FLAG_NO_ALLOCATE);
  if (packet == nullptr) return false;
  node->owner = this;
  node->number = number_of_first_ + handed_.size();
  if (enet_peer_send(peer, channel, packet) < 0) {
    // A packet that was not taken stays ours (E10). Its bytes are the node's, which stays queued.
    enet_packet_destroy(packet);
    return false;
  }
  packet->userData = node;
  packet->freeCallback = packet_freed;
  waiting_[channel].front().release();
  waiting_[channel].pop_front();
  --waiting_packets_;
  waiting_bytes_ -= node->size;
  handed_.push_back({node->size, false});
  ++in_enet_packets_;
  in_enet_bytes_ += node->size;
  span_bytes_ += node->size;
  return true;
}

void SendQueue::drop_backlog() {
  for (auto& channel : waiting_) channel.clear();
  waiting_packets_ = 0;
  waiting_bytes_ = 0;
}

void SendQueue::released(std::uint64_t number, std::size_t size) {
  LS_ASSERT(number >= number_of_first_ && number - number_of_first_ < handed_.size());
  Handed& entry = handed_[static_cast<std::size_t>(number - number_of_first_)];
  LS_ASSERT(!entry.released);
  entry.released = true;
  --in_enet_packets_;
  in_enet_bytes_ -= size;
  window_.on_acknowledged(size, limited_);
  while (!handed_.empty() && handed_.front().released) {
    span_bytes_ -= handed_.front().size;
    handed_.pop_front();
    ++number_of_first_;
  }
}

}  // namespace lansync
