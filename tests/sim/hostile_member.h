// A member that keeps no rules: it has the group's password, completes the handshake over the
// simulated network, and then says whatever a test tells it to, as client, as hub, well formed or
// not. For tests of what a member can do to the others.
//
//   World world(1);
//   SimNode& victim = world.add("victim");
//   HostileMember mallory(world, 100, 7);       // 10.0.0.101
//   world.start_all();
//   mallory.dial(victim);
//   REQUIRE(world.run_until([&] { return mallory.greeted(victim); }, 10s));
//   mallory.join(victim);                       // index_get: the hub takes its pushes from now on
//   mallory.send(victim, Push{...});            // or send_raw(victim, Channel::kMessages, bytes)
//   CHECK(world.run_until([&] { return !mallory.connected(victim); }, 10s));  // it was dropped
//
// As a hub: hello().role = Role::kServer; hello().members = 9; hello().term = 3; then dial, and
// claim(): whoever is hub of fewer steps down (DESIGN, Self-assignment 5) and follows;
// followed_by() says so. It pings, so that its silence is not what ends its reign, and answers
// nothing by itself but hello.
//
// Invariant: it does nothing that the network does not carry. Made after the World and destroyed
// before it; driven by the World's event queue.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "sim/world.h"
#include "transport/enet_endpoint.h"
#include "transport/message.h"

namespace lansync::sim {

class HostileMember final : private SessionEvents, private Log {
 public:
  // `number`: of its address, apart from those of the world's nodes (0, 1, 2 ...).
  HostileMember(World& world, std::uint32_t number, std::uint64_t seed);
  ~HostileMember() override;
  HostileMember(const HostileMember&) = delete;
  HostileMember& operator=(const HostileMember&) = delete;

  const NodeId& node() const { return node_; }
  const SigningKey& signer() const { return signer_; }
  // What it says about itself from the next dial (or say_hello) on.
  Hello& hello() { return hello_; }

  // From now on each session states the same run. Else each states one of its own, and from the
  // second on it is taken for a clone's.
  void keep_run();
  void dial(SimNode& to);
  void hang_up(SimNode& to);
  bool connected(SimNode& to) const { return session_with(to) != 0; }
  // The other side has said who it is.
  bool greeted(SimNode& by) const;
  // The other side has asked for our index: it takes us for its hub.
  bool followed_by(SimNode& node) const;
  // How often others ended a session with it for what it said (or for any reason of theirs).
  std::uint64_t times_dropped() const { return times_dropped_; }

  void say_hello(SimNode& to, bool answer);
  // "I am the hub", which a hub of fewer takes at its word.
  void claim(SimNode& to);
  // Asks a hub for what differs from nothing, after which it takes pushes.
  void join(SimNode& hub);
  // To a follower: an empty group, so that it is joined and takes updates.
  void answer_index_get(SimNode& follower, std::vector<NamedEntry> entries = {});
  // False: there is no session.
  bool send(SimNode& to, const Message& message, Channel channel = Channel::kMessages);
  bool send_raw(SimNode& to, ByteView bytes, Channel channel = Channel::kMessages);

  // The last messages of that node, oldest first, at most kKept. What does not decode is left out.
  const std::deque<Message>& heard_from(SimNode& node) const;
  template <typename T>
  const T* last(SimNode& from) const {
    const auto& heard = heard_from(from);
    for (auto at = heard.rbegin(); at != heard.rend(); ++at) {
      if (const T* message = std::get_if<T>(&*at)) return message;
    }
    return nullptr;
  }

 private:
  static constexpr std::size_t kKept = 512;
  struct Line {
    SessionId id = 0;
    bool greeted_here = false;
    std::deque<Message> heard;
  };

  void on_session_up(const SessionInfo& session) override;
  void on_session_down(SessionId id, CloseReason reason) override;
  void on_packet(SessionId id, Channel channel, ByteView bytes) override;
  void on_dial_failed(const Address& address, DialFailure failure, int peer_version) override;
  void on_refused(const Address& address, DialFailure failure, int peer_version) override;
  void write(LogLevel level, std::string_view line) override;

  SessionId session_with(SimNode& node) const;
  Line* line_of(SessionId id);
  void wake(Instant when);
  void step();

  World& world_;
  std::uint32_t ip_;
  Prng random_;
  SigningKey signer_;
  NodeId node_;
  Hello hello_;
  std::optional<Run> kept_run_;
  std::unique_ptr<EnetEndpoint> endpoint_;
  std::map<std::uint32_t, Line> lines_;  // by the other's address
  std::uint64_t times_dropped_ = 0;
  std::uint32_t round_ = 0;
  Instant wake_at_ = kNever;
  std::uint64_t wake_number_ = 0;
  Instant next_ping_{};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lansync::sim
