// One ENet connection of the endpoint, from CONNECT to its end. Internal to EnetEndpoint.
//
// Invariant: peer->data of a connected peer is its Link, and a Link is destroyed only after its
// peer was reset (the queue's packets point to it).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "transport/enet_endpoint.h"

namespace lansync {

// Why a connection was ended, in the data of ENet's DISCONNECT. Not authenticated: only ever told
// to people and used to choose when to dial again.
enum class EnetEndpoint::EndCode : std::uint32_t {
  kTimeout = 0,  // what ENet gives when nothing was heard; never sent
  kClosed = 1,
  kReplaced = 2,
  kBusy = 3,
  kWrongPassword = 4,
  kProtocol = 5,  // the version is in bits 8 to 15
  kViolation = 6,
  kSelf = 7,
  kIdentity = 8,
};

struct EnetEndpoint::Link {
  enum class Stage {
    kConnecting,  // we dialled; ENet is at it
    kHandshake,   // connected; M1 to M4 and the proofs (from M3 or M4 on there is a sealer)
    kConfirmed,   // we accepted and have sent our proof; it is not acknowledged
    kUp,          // on_session_up was given
    kClosing,     // close() was called: sends what it has
  };

  explicit Link(PacketPool& pool) : queue(pool) {}

  ENetPeer* peer = nullptr;
  SessionInfo info;
  NodeId self;  // who we were when it began
  BootId self_boot;
  Stage stage = Stage::kConnecting;
  Instant due = kNever;                 // when this stage is given up
  EndCode end_code = EndCode::kClosed;  // kClosing: what to tell the other side
  bool member = false;                  // accepted on a valid member proof
  bool charged = false;                 // it is a guess at the password, and not settled yet
  bool authenticated = false;           // the filter was told
  SendQueue queue;
  Instant heard;
  std::unique_ptr<Handshake> handshake;
  std::unique_ptr<Sealer> sealer;  // once M3 or M4 was good

  // Whose dial this was: the session opened by the lower node id stays.
  // (Of two starts of one key, the lower boot id.)
  std::pair<NodeId, BootId> opener() const {
    return info.outgoing ? std::pair(self, self_boot) : std::pair(info.node, info.boot);
  }
};

}  // namespace lansync
