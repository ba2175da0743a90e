// TCP as the simulated network has it: streams of bytes that arrive whole and in order, as late as
// the links say; one that gets nowhere for some seconds breaks. Loss costs time, damage nothing: a
// checksum finds it.
//
// Invariant: what take() gives is a prefix of what the other end sent. Owned by Network; ends are
// told by on_stream() that something came, that it is open, or that it is gone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "base/address.h"
#include "base/bytes.h"
#include "base/time.h"
#include "sim/event_queue.h"

namespace lansync::sim {

using StreamId = std::uint64_t;  // of one end; never 0, never used again

class StreamEnd {
 public:
  virtual ~StreamEnd() = default;
  virtual void on_stream(StreamId stream) = 0;
};

class Streams {
 public:
  // When bytes that leave now arrive; kNever: the link is cut.
  using Passage = std::function<Instant(std::uint32_t from, std::uint32_t to, std::size_t bytes)>;

  // Whose address that is: a host listens under one of them.
  using HostOf = std::function<std::uint32_t(std::uint32_t ip)>;

  Streams(EventQueue& queue, Passage passage, HostOf host_of)
      : queue_(queue), passage_(std::move(passage)), host_of_(std::move(host_of)) {}

  void listen(const Address& address, StreamEnd* owner) { listeners_[address] = owner; }
  // The process is gone: its kernel ends its streams.
  void leave(StreamEnd* owner);
  StreamId dial(const Address& from, const Address& to, StreamEnd* owner);
  // Calls for an end that is not the owner's (any more) do nothing.
  void send(StreamId end, const StreamEnd* owner, Bytes bytes);
  // Appends what came. False: no more will come.
  bool take(StreamId end, const StreamEnd* owner, Bytes& out);
  // Bytes that send() should be given now.
  std::size_t room(StreamId end) const;
  void close(StreamId end, const StreamEnd* owner);

 private:
  struct End {
    Address own;
    Address peer;
    StreamEnd* owner = nullptr;
    StreamId other = 0;
    Bytes in;
    std::size_t on_its_way = 0;  // from us
    Instant last_arrival{};      // at the other end
    bool open = true;
  };
  void carry(StreamId from, std::function<void()> what, std::size_t bytes, Instant since);
  void broke(StreamId end);

  EventQueue& queue_;
  Passage passage_;
  HostOf host_of_;
  std::map<Address, StreamEnd*> listeners_;
  std::map<StreamId, End> ends_;
  StreamId next_ = 1;
};

}  // namespace lansync::sim
