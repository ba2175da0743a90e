// Guesses at the password by real handshakes from 200 addresses, on a clock that the test moves.
#include <algorithm>
#include <vector>

#include "endpoint_rig.h"
#include "support/catch.h"

namespace lansync::test {
namespace {

// Dials without end, each time from the same address, with one password.
class Caller final : public SessionEvents {
 public:
  Caller(std::uint32_t ip, const PasswordKey& key, std::uint64_t seed, const Address& target)
      : target_(target), random_(seed) {
    EndpointOptions options;
    options.bind_ip = ip;
    options.signer = SigningKey::generate(random_);
    random_.fill(options.boot.bytes);
    options.group = "test";
    options.key = key;
    options.max_peers = 4;
    auto opened = EnetEndpoint::open(options, *this, random_, log_);
    LS_ASSERT(opened.has_value());
    endpoint = std::move(*opened);
  }
  void turn(Instant now) {
    if (!up && !dialling_) {
      dialling_ = true;
      endpoint->dial(target_);
    }
    endpoint->service(now);
  }

  void on_session_up(const SessionInfo&) override { up = true; }
  void on_session_down(SessionId, CloseReason) override { dialling_ = up = false; }
  void on_packet(SessionId, Channel, ByteView) override {}
  void on_dial_failed(const Address&, DialFailure failure, int) override {
    dialling_ = false;
    ++failed[failure];
  }
  void on_refused(const Address&, DialFailure, int) override {}

  bool up = false;
  std::map<DialFailure, int> failed;
  std::unique_ptr<EnetEndpoint> endpoint;

 private:
  Address target_;
  Prng random_;
  QuietLog log_;
  bool dialling_ = false;
};

TEST_CASE(
    "200 addresses guess six times a minute at most; a newcomer and a member get in beside them") {
  Node target(1, key_of(7));
  BeaconKey group;
  group.bytes.fill(3);
  target.endpoint->set_beacon_key(group);
  constexpr std::uint32_t kFirst = 0x7F000101;
  std::vector<std::unique_ptr<Caller>> guessers;
  for (std::uint32_t i = 0; i < 200; ++i)
    guessers.push_back(std::make_unique<Caller>(kFirst + i, key_of(8), 100 + i, target.address()));
  Caller newcomer(0x7F000201, key_of(7), 1, target.address());
  Caller member(0x7F000202, key_of(7), 2, target.address());
  member.endpoint->set_beacon_key(group);

  const Instant begin = real_now();
  std::vector<Instant> failures;
  Duration newcomer_took{};
  Duration member_took{};
  // ENet's own clock is the real one: what it resends is little, loopback loses nothing.
  for (Instant now = begin; now < begin + 130s; now += 20ms) {
    for (auto& guesser : guessers) guesser->turn(now);
    if (now - begin >= 20s && !newcomer.up) {
      newcomer.turn(now);
      newcomer_took = now - begin - 20s;
    } else if (newcomer.up) {
      newcomer.endpoint->service(now);
    }
    if (now - begin >= 30s) {
      if (!member.up) member_took = now - begin - 30s;
      member.turn(now);
    }
    target.endpoint->service(now);
    while (failures.size() < target.endpoint->counters().auth_failures) failures.push_back(now);
  }
  CHECK(newcomer.up);
  CHECK(member.up);
  INFO("newcomer after " << newcomer_took / 1ms << " ms, member after " << member_took / 1ms
                         << " ms, " << failures.size() << " failures in 130 s");
  CHECK(newcomer_took <= Duration(10s));
  CHECK(member_took <= Duration(2s));
  CHECK(failures.size() >= 6);
  for (std::size_t i = 0; i + 6 < failures.size(); ++i)
    CHECK(failures[i + 6] - failures[i] >= Duration(60s));
  // Whoever is not let in is told so: nothing here looks like a firewall.
  int silent = 0;
  for (auto& guesser : guessers) silent += guesser->failed[DialFailure::kNoAnswer];
  CHECK(silent == 0);
}

}  // namespace
}  // namespace lansync::test
