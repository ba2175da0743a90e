// A member and what its hub refused.
#include "roles/client.h"

#include <memory>

#include "roles/outbox.h"
#include "support/catch.h"
#include "unit/sync/replica_rig.h"

namespace lansync {

namespace {

class TakesAll final : public SessionTransport {
 public:
  void dial(const Address&) override {}
  void renew(SessionId) override {}
  bool send(SessionId, Channel, ByteView) override { return true; }
  std::size_t queued(SessionId) const override { return 0; }
  void close(SessionId) override {}
  void violation(SessionId, std::string_view) override {}
  Instant last_heard(SessionId) const override { return {}; }
  std::uint32_t rtt_ms(SessionId) const override { return 0; }
  void set_beacon_key(const BeaconKey&) override {}
  const TransportCounters& counters() const override { return counters_; }

 private:
  TransportCounters counters_;
};

// A member whose hub has just refused its file `f`.
struct Refused {
  Refused() {
    client.follow(1, 1);
    step();
    Update everything;
    everything.round = 1;
    everything.snapshot = true;
    everything.last = true;
    REQUIRE(client.on_update(everything, rig.clock.now()));
    rig.fs.write_file("f", random_bytes(10, 1));
    rig.replica.on_hint({"f", FileEvent::kCloseWrite}, rig.clock.now());
    for (int i = 0; i < 1000 && (client.idle() || !client.joined()); ++i) step();
    REQUIRE_FALSE(client.idle());
    Verdict no;
    no.kind = VerdictKind::kRefuse;
    no.items.push_back({"f", nullptr, "not now"});
    client.on_verdict(no, rig.clock.now());
    step();
    REQUIRE(client.refused().size() == 1);
  }
  void step() {
    rig.step();
    client.pump(rig.clock.now());
    outbox.pump();
  }

  ReplicaRig rig;
  TakesAll transport;
  Outbox outbox{transport};
  Client client{rig.replica, outbox, rig.log};
};

}  // namespace

TEST_CASE("a refused file that nobody pushes any more leaves no deadline that has passed") {
  Refused member;
  member.rig.replica.set_remote("f", member.rig.replica.index().find("f")->local);
  member.rig.clock.advance(11s);
  member.step();
  CHECK(member.client.refused().empty());
  CHECK(member.client.deadline() > member.rig.clock.now());
}

TEST_CASE("a paused member has no deadline for what was refused, and pushes it when it goes on") {
  Refused member;
  member.rig.replica.pause(true);
  member.rig.clock.advance(11s);
  member.step();
  CHECK(member.client.deadline() > member.rig.clock.now());
  CHECK(member.client.idle());
  member.rig.replica.pause(false);
  member.step();
  CHECK_FALSE(member.client.idle());
}

}  // namespace lansync
