// The sessions of one node: one ENet host that dials and accepts, the handshake on it, and the
// sealing of everything after. ENet 1.3.17 has no address check, no authentication and several ways
// to be knocked over; what answers them stands in research/reliability.md E1-E14.
//
// Invariant: nothing reaches SessionEvents::on_packet that a record key did not open, and no event
// is given outside service(). Driven by the control thread: service() when the socket is readable
// and at deadline(). Never blocks.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/flood_rest.h"
#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "transport/dialer.h"
#include "transport/enet_tuning.h"
#include "transport/guess_budget.h"
#include "transport/handshake.h"
#include "transport/intercept_filter.h"
#include "transport/password.h"
#include "transport/sealer.h"
#include "transport/send_queue.h"
#include "transport/session.h"

struct _ENetEvent;
struct _ENetHost;
struct _ENetPeer;

namespace lansync {

struct EndpointOptions {
  std::uint32_t bind_ip = 0;  // 0: all addresses
  std::uint16_t port = 0;     // 0: any free one. Busy: open() fails and the caller tries the next
  SigningKey signer{KeySeed{}};
  BootId boot;
  std::string group;
  PasswordKey key{std::array<std::uint8_t, 32>{}};
  bool aes = true;                          // this CPU has AES instructions
  std::uint8_t version = kProtocolVersion;  // another one in tests only
  std::size_t max_peers = kDefaultMaxPeers;
  std::function<void(int fd)> on_socket;              // SO_BINDTODEVICE and the like
  std::function<void(const std::string&)> on_keylog;  // one line a session: secrets
};

class EnetEndpoint final : public SessionTransport {
 public:
  // kBusy: the port is taken. `random`, `events` and `log` must outlive the endpoint.
  static Result<std::unique_ptr<EnetEndpoint>> open(const EndpointOptions& options,
                                                    SessionEvents& events, RandomSource& random,
                                                    Log& log);
  ~EnetEndpoint() override;
  EnetEndpoint(const EnetEndpoint&) = delete;
  EnetEndpoint& operator=(const EnetEndpoint&) = delete;

  // Receives, gives events, sends. Bounded work: what is left makes the socket readable, or
  // deadline() due, at once.
  void service(Instant now);
  // How long the socket need not be looked at: nothing unless strangers send more than members do,
  // and hundreds a second. Ask after service(). Sessions wait for that long at most meanwhile.
  static constexpr Duration kRest = 4ms;
  Duration take_rest();
  // When service() is due without the socket being readable.
  Instant deadline() const;
  // Sends what was queued since service(), without waiting for the next one. Gives no events.
  void flush();
  // Nothing is queued or being closed: a node that leaves may close the socket now.
  bool idle() const;

  int socket_fd() const;
  std::uint16_t port() const;
  // The keys of a session, for its carriers (derive_carrier_key). nullptr if there is none. Valid
  // until the next service().
  const SessionKeys* session_keys(SessionId id) const override;
  // A new identity (a cloned folder). Handshakes begun before go on under the old one.
  void set_signer(const SigningKey& signer) { options_.signer = signer; }

  void dial(const Address& address) override;
  void renew(SessionId id) override;
  bool send(SessionId id, Channel channel, ByteView bytes) override;
  std::size_t queued(SessionId id) const override;
  void close(SessionId id) override;
  void violation(SessionId id, std::string_view what) override;
  Instant last_heard(SessionId id) const override;
  std::uint32_t rtt_ms(SessionId id) const override;
  void set_beacon_key(const BeaconKey& key) override;
  const TransportCounters& counters() const override { return counters_; }

 private:
  struct Link;
  enum class EndCode : std::uint32_t;
  struct Refusal {
    Address address;
    DialFailure failure;
    int version;
  };

  EnetEndpoint(const EndpointOptions& options, _ENetHost* host, SessionEvents& events,
               RandomSource& random, Log& log);

  // Driving (enet_endpoint.cpp).
  void run_host();
  bool drain();
  void on_event(_ENetEvent& event);
  bool on_datagram();
  void on_received(Link& link, std::uint8_t channel, std::span<std::uint8_t> bytes);
  void pump_all();
  void raw_send(const Address& to, ByteView bytes);
  void count();
  void note_failure();
  void service_links();
  void service_link(Link& link);
  void service_closing(Link& link);
  void sweep_half_open();
  void report();

  // Ends.
  void bury(Link& link, EndCode code);
  void unindex(const Link& link);
  void end_session(Link& link, CloseReason reason, EndCode code);
  void on_disconnected(Link& link, std::uint32_t data);
  void break_off(Link& link, std::string_view what);
  Link* up_link(SessionId id) const;

  // Dials and handshakes (endpoint_auth.cpp).
  void service_dials();
  void connect(const Address& address);
  void on_dial_connected(Link& link);
  void on_accepted(_ENetPeer* peer);
  bool may_judge(Link& link, ByteView message);
  void on_handshake_message(Link& link, ByteView message);
  void on_handshake_failed(Link& link, HandshakeFailure failure, bool has_last_word);
  void on_agreed(Link& link);
  void send_proof(Link& link);
  void on_proof(Link& link, std::uint8_t channel, std::span<std::uint8_t> bytes);
  bool session_up(Link& link);
  bool yields_to_other(Link& link);
  void drop_dials_to(const Link& link);
  void end_handshake(Link& link, DialFailure failure, EndCode code, int version = 0);
  void tell_failure(const Link& link, DialFailure failure, int version);
  void on_handshake_refused(Link& link, EndCode code, int version);
  void settle_charge(Link& link, bool good);
  Link& add_link(_ENetPeer* peer, const Address& address, bool outgoing);
  void queue_plain(Link& link, ByteView bytes);
  void seal_and_queue(Link& link, Channel channel, ByteView bytes);

  // Datagrams of strangers that are no flood: a hundred nodes that join at once.
  static constexpr std::int64_t kCalmBurst = 500;
  static constexpr Duration kCalmInterval = 2ms;

  EndpointOptions options_;
  _ENetHost* host_;
  SessionEvents* events_;
  RandomSource* random_;
  Log* log_;
  InterceptFilter filter_;
  Dialer dialer_;
  GuessBudget budget_;
  PacketPool pool_;
  std::map<SessionId, std::unique_ptr<Link>> links_;
  // Ended within this service(); callers up the stack may still hold them.
  std::vector<std::unique_ptr<Link>> graveyard_;
  // Sessions that are up. Two starts of one key may have one each: which of them is the node, and
  // which a copy or its past, is not the transport's to say.
  std::map<std::pair<NodeId, BootId>, SessionId> by_node_;
  std::map<Address, SessionId> by_address_;  // the same
  std::map<Address, SessionId> by_dial_;     // links that we dialled and that are not up yet
  std::deque<std::pair<SessionId, CloseReason>> downs_;  // to be told in service()
  std::deque<Refusal> failed_dials_;
  std::deque<Refusal> refusals_;
  SessionId next_id_ = 1;
  std::vector<SessionId> attention_;  // service_links()' own, reused
  Instant now_{};
  Instant next_sweep_{};
  std::vector<Instant> half_open_since_;
  bool dirty_ = false;          // something was queued and not handed to ENet
  std::uint64_t rejected_ = 0;  // here; the filter counts its own
  TransportCounters counters_;
  FloodRest flood_{kCalmBurst, kCalmInterval, kRest};
  std::int64_t refused_ = 0;  // datagrams, since take_rest()
  std::int64_t passed_ = 0;
  LogLimiter log_limit_;
  LogLimiter refusal_limit_;
};

}  // namespace lansync
