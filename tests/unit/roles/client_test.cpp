// A member and what its hub refused.
#include "roles/client.h"

#include <string>
#include <variant>
#include <vector>

#include "roles/outbox.h"
#include "support/catch.h"
#include "unit/roles/heard_messages.h"
#include "unit/sync/replica_rig.h"

namespace lansync {

namespace {

constexpr SessionId kHub = 1;

// A member that has joined, and has pushed its file `f`.
struct Pushed {
  Pushed() {
    client.follow(kHub, 1);
    step();
    Update everything;
    everything.round = 1;
    everything.snapshot = true;
    everything.last = true;
    REQUIRE(client.on_update(everything, rig.clock.now()));
    write(random_bytes(10, 1));
    for (int i = 0; i < 1000 && (client.idle() || !client.joined()); ++i) step();
    REQUIRE_FALSE(client.idle());
  }
  void write(ByteView bytes) {
    rig.fs.write_file("f", bytes);
    rig.replica.on_hint({"f", FileEvent::kCloseWrite}, rig.clock.now());
  }
  void say(VerdictKind kind, const std::string& detail = {}) {
    Verdict verdict;
    verdict.kind = kind;
    verdict.items.push_back({"f", nullptr, detail});
    client.on_verdict(verdict, rig.clock.now());
    step();
  }
  void step() {
    rig.step();
    client.pump(rig.clock.now());
    outbox.pump();
  }
  void wait(Duration time) {
    rig.clock.advance(time);
    step();
  }
  std::vector<EntryPtr> pushes() const {
    std::vector<EntryPtr> out;
    const auto said = transport.said.find(kHub);
    if (said == transport.said.end()) return out;
    for (const Message& message : said->second) {
      const auto* push = std::get_if<Push>(&message);
      if (push == nullptr) continue;
      for (const PushItem& item : push->items) out.push_back(item.entry);
    }
    return out;
  }

  ReplicaRig rig;
  HeardMessages transport;
  Outbox outbox{transport};
  Client client{rig.replica, outbox, rig.log};
};

// A member whose hub has just refused its file `f`.
struct Refused : Pushed {
  Refused() {
    say(VerdictKind::kRefuse, "not now");
    REQUIRE(client.refused().size() == 1);
  }
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

TEST_CASE("a push whose verdict does not come is asked for again, after twice as long each time") {
  for (const bool accepted : {false, true}) {
    INFO("accepted " << accepted);
    Pushed member;
    // Its content is being fetched, for all that is known here.
    if (accepted) member.say(VerdictKind::kAccept);
    REQUIRE(member.pushes().size() == 1);
    member.wait(29s);
    CHECK(member.pushes().size() == 1);
    member.wait(1s);
    CHECK(member.pushes().size() == 2);
    member.wait(59s);
    CHECK(member.pushes().size() == 2);
    member.wait(1s);
    REQUIRE(member.pushes().size() == 3);
    CHECK(member.pushes().back()->version == member.pushes().front()->version);
    CHECK(member.client.deadline() > member.rig.clock.now());
    for (int i = 0; i < 20; ++i) member.wait(10min);
    const std::size_t before = member.pushes().size();
    member.wait(10min);
    CHECK(member.pushes().size() == before + 1);
  }
}

TEST_CASE("what is published, or is another version by now, is not asked for again") {
  SECTION("published") {
    Pushed member;
    member.client.on_done({{"f", member.pushes().front()}}, member.rig.clock.now());
    for (int i = 0; i < 5; ++i) member.wait(1min);
    CHECK(member.pushes().size() == 1);
    CHECK(member.client.idle());
  }
  SECTION("another version, whose predecessor's verdict is lost") {
    Pushed member;
    member.write(random_bytes(20, 2));
    for (int i = 0; i < 500; ++i) member.step();
    CHECK(member.pushes().size() == 1);
    member.wait(30s);
    member.step();
    REQUIRE(member.pushes().size() == 2);
    CHECK(member.pushes().back()->size == 20);
  }
}

}  // namespace lansync
