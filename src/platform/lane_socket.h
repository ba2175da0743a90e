// The lane's UDP socket: bursts out by one sendmsg with UDP_SEGMENT, datagrams in by recvmmsg with
// UDP_GRO; where the kernel has neither, by sendmmsg and recvmmsg, found out at run time.
//
// Invariant: a datagram is handed to the kernel as it was given or not at all (never in fragments).
// Driven by the lane's engine, on its thread.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"
#include "platform/posix.h"

namespace lansync {

class LaneSocket {
 public:
  struct Options {
    std::uint32_t bind_ip = 0;
    std::uint16_t port = 0;
    std::function<void(int fd)> on_socket;
    bool plain = false;  // neither UDP_SEGMENT nor UDP_GRO
  };
  // kBusy: the port is taken.
  static Result<LaneSocket> open(const Options& options);

  int fd() const { return socket_.get(); }
  std::uint16_t port() const { return port_; }
  bool segments() const { return segments_; }
  bool coalesces() const { return coalesces_; }

  // Sends the datagrams of `bytes`, each `segment` long but the last, from `done` on (in bytes,
  // moved along). 0: all are gone; EAGAIN: the rest later; else the errno that this burst died of.
  int send(ByteView bytes, std::size_t segment, const Address& to, std::size_t& done);

  // Takes what has come, one system call's worth. `datagram` may be written to, and is valid during
  // the call. False when nothing was there.
  using Callback = std::function<void(std::span<std::uint8_t> datagram)>;
  bool receive(const Callback& callback);

 private:
  LaneSocket() = default;
  int send_segmented(ByteView bytes, std::size_t segment, const sockaddr_in& to);
  int send_plain(ByteView bytes, std::size_t segment, const sockaddr_in& to, std::size_t& done);
  void make_buffers();

  UniqueFd socket_;
  std::uint16_t port_ = 0;
  bool segments_ = false;
  bool coalesces_ = false;
  struct Buffers;
  struct BuffersFree {
    void operator()(Buffers* buffers) const;
  };
  std::unique_ptr<Buffers, BuffersFree> buffers_;
};

}  // namespace lansync
