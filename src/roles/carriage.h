// Which way the blocks of large content take: opens carriers with the sessions that content is
// wanted from, chooses for each block between them and the session itself, and keeps account of
// what is on its way, so that the end of a transfer never overtakes its blocks.
//
// Driven by roles/node on the control thread. Invariant: a block that a carrier took is delivered,
// or in `returned` to be sent in chunks, or its session is gone.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/carrier_choice.h"
#include "base/log.h"
#include "base/random.h"
#include "sync/provider.h"
#include "transport/content_carrier.h"
#include "transport/message.h"
#include "transport/session.h"

namespace lansync {

// Via of blocks (sync/content.h): 0 is the session.
inline constexpr Via kViaLane = 1;
inline constexpr Via kViaTcp = 2;
const char* via_name(Via via);

class Carriage {
 public:
  // What may be asked of a source at once while a carrier brings it: 80 ms of a gigabit line and
  // what waits for the disk. What is in memory is bounded by the carrier's credit.
  static constexpr std::uint64_t kCarriedWindow = 32 * 1024 * 1024;

  struct Options {
    CarrierChoice choice = CarrierChoice::kAuto;  // what this node asks for
    Duration patience = 1s;  // a carrier that did not get through by then is not waited for
    Duration idle = 60s;     // a carrier that moved nothing for so long is closed
  };
  struct Counters {
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t chunks_resent = 0;
  };
  // What a turn brought that others have to be told.
  struct News {
    std::vector<BlockReceived> received;
    std::vector<Via> received_via;                            // of each of them
    std::vector<std::pair<SessionId, TransferResult>> ended;  // held ends: all is delivered now
    std::vector<std::pair<SessionId, std::string>> violations;
    std::vector<std::pair<SessionId, Carrier>> messages;
    std::vector<SessionId> windows;  // the window of these may have changed: see window()
  };
  // A carrier that does not get through, for doctor and status.
  struct Trouble {
    SessionId session = 0;
    Via via = 0;
    std::uint16_t port = 0;  // there
    std::uint16_t own_port = 0;
    std::string why;
  };

  Carriage(const Options& options, RandomSource& random, Log& log)
      : options_(options), random_(random), log_(log) {}
  void add_carrier(ContentCarrier& carrier) { carriers_.push_back(&carrier); }
  CarrierChoice choice() const { return options_.choice; }

  void session_up(const SessionInfo& session, const SessionKeys* keys, const std::string& name);
  void session_down(SessionId session);
  void on_message(SessionId session, const Carrier& message, Instant now);
  // When a carrier last brought something authenticated from there.
  Instant last_heard(SessionId session) const;

  // ---- the asker
  // Large content is about to be asked of it: opens what it is wanted by.
  void want_from(SessionId session, CarrierChoice choice, Instant now);
  void want_from(SessionId session, Instant now) { want_from(session, options_.choice, now); }
  // Nothing that was asked of it came for a while, and no carrier works: the last resort.
  void stuck(SessionId session, Instant now);
  // What may be asked of it at once; 0: the usual.
  std::uint64_t window(SessionId session) const;
  void credit(SessionId session, Via via, std::uint64_t bytes);

  // ---- the sender
  void on_request(SessionId session, std::uint32_t transfer, CarrierChoice asked);
  BlockRoute route(SessionId session, std::uint32_t transfer, std::size_t bytes, Instant now);
  Via send(SessionId session, std::uint32_t transfer, std::uint64_t first, Bytes data, Instant now);
  // True: the end is kept until all blocks of the transfer are delivered (News::ended).
  bool hold_end(SessionId session, const TransferResult& result);
  // What came back from a carrier is sent in chunks, before all else; the bytes are valid until
  // returned_sent().
  std::optional<Chunk> next_returned(SessionId session) const;
  void returned_sent(SessionId session, News& news);

  // Takes what the carriers have to say, and does what is due.
  void poll(Instant now, News& news);
  Instant deadline() const;

  // Brings the counters up to date, with what the carriers sent and received by themselves.
  const Counters& counters();
  std::vector<Trouble> troubles() const;
  // One line if what this node asks for does not get through, else "".
  std::string fallback_reason() const;

 private:
  struct Line {
    std::optional<CarrierId> own;  // told to the other side
    bool pending = false;          // and not answered
    bool open = false;
    Instant not_before{};  // the other side has no such carrier, or closed it
    Address address;
    CarrierStatus status;
    Instant opened_at{};
    Instant used_at{};
    std::uint64_t uncredited = 0;  // received, and not given back
    Counters seen;                 // of this opening, counted already
  };
  struct Outgoing {
    CarrierChoice asked = CarrierChoice::kAuto;
    std::uint64_t on_way = 0;  // bytes of it that a carrier has, or that came back
    std::optional<TransferResult> end;
  };
  struct Peer {
    Address address;
    bool initiator = false;
    SessionKeys keys;
    std::string name;
    std::array<Line, 2> lines;  // lane, tcp
    std::map<std::uint32_t, Outgoing> outgoing;
    std::deque<ContentBlock> returned;
    std::size_t returned_bytes = 0;  // of the front one, sent already
    Instant heard_at{};
  };

  ContentCarrier* carrier(std::size_t kind) const;
  static std::size_t kind_of(const ContentCarrier& carrier);
  Line* line_of(SessionId session, Via via);
  void begin_open(SessionId session, Peer& peer, std::size_t kind, Instant now);
  void say(SessionId session, Line& line, std::size_t kind, bool answer);
  void close_line(SessionId session, Line& line, std::size_t kind, Instant not_before);
  bool waits(const Line& line, Instant now);
  std::optional<std::size_t> choose(SessionId session, Peer& peer, CarrierChoice asked, Instant now,
                                    bool& wait);
  void take(CarrierEvent&& event, std::size_t kind, Instant now, News& news);
  void on_changed(Peer& peer, Line& line, std::size_t kind, CarrierChanged&& event, News& news);
  void count(Line& line, const CarrierStatus& status);
  void settle(SessionId session, Peer& peer, std::uint32_t transfer, std::uint64_t bytes,
              News& news);

  Options options_;
  RandomSource& random_;
  Log& log_;
  std::vector<ContentCarrier*> carriers_;
  std::map<SessionId, Peer> peers_;
  std::vector<std::pair<SessionId, Carrier>> messages_;  // to go out
  Instant wait_until_ = kNever;  // when somebody stops waiting for a carrier to get through
  Instant next_idle_check_ = kNever;
  Counters counters_;
};

}  // namespace lansync
