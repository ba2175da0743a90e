// What becomes of pushes at a hub: candidates, the copies that they wait for, and who leaves.
#include "roles/hub.h"

#include <algorithm>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "roles/outbox.h"
#include "support/catch.h"
#include "sync/tree_digest.h"
#include "unit/roles/heard_messages.h"
#include "unit/sync/replica_rig.h"

namespace lansync {
namespace {

// The rig's sender gives what this member pushes; nobody gives what the other one does.
constexpr SessionId kGiver = 1;
constexpr SessionId kLeaver = 2;
constexpr SessionId kWatcher = 3;

Entry made_by(ShortId author, const std::string& host, const Bytes& bytes) {
  const ContentDigests digests = digests_of(bytes);
  Entry entry;
  entry.size = bytes.size();
  entry.mtime_ns = 1'700'000'000'000'000'000;
  entry.mode = 0644;
  entry.content = digests.content;
  entry.md5 = digests.md5;
  entry.version.raise(author, 1);
  entry.author = author;
  entry.author_name = host;
  entry.edited = WallTime{1'700'000'000'000'000'000};
  return entry;
}

// A hub with three members, whose file `f` is published.
class HubRig final : public ReplicaEvents {
 public:
  HubRig() {
    rig.replica.set_events(this);
    hub.start(1, 0, rig.clock.now());
    for (const SessionId session : {kGiver, kLeaver, kWatcher}) {
      IndexGet all;
      all.bucket_count = 1;
      all.digests = TreeDigest(1).digests();
      Prng names(session);
      hub.on_index_get(session, {names.id<NodeId>(), true, 0, 0}, all);
    }
    write(hubs);
    REQUIRE(until([&] { return hub.seq() == 1; }));
    transport.said.clear();
  }

  void on_settled(const std::string& path) override { hub.on_settled(path); }
  void on_fetch_failed(const std::string& path, const std::string& reason) override {
    hub.on_fetch_failed(path, reason);
  }

  void write(const Bytes& bytes) {
    rig.fs.write_file("f", bytes);
    rig.replica.on_hint({"f", FileEvent::kCloseWrite}, rig.clock.now());
  }
  void push(SessionId session, const Entry& entry) {
    hub.on_push(session, Push{{{"f", std::make_shared<const Entry>(entry)}}});
  }
  void step() {
    rig.step();
    hub.pump();
    outbox.pump();
  }
  template <typename Predicate>
  bool until(const Predicate& predicate) {
    for (int i = 0; i < 3000; ++i) {
      if (predicate()) return true;
      step();
    }
    return predicate();
  }
  bool quiet() {
    return until([&] { return hub.idle() && rig.replica.in_sync(); });
  }

  // The names that show these bytes.
  std::vector<std::string> names_of(const Bytes& bytes) const {
    std::vector<std::string> names;
    const ContentId content = digests_of(bytes).content;
    for (const auto& [path, record] : rig.replica.index().paths()) {
      if (record.live() && record.local->content == content && record.remote == record.local)
        names.push_back(path);
    }
    return names;
  }
  // What `session` heard of as the group's, in order.
  std::vector<std::string> updates_to(SessionId session) const {
    std::vector<std::string> names;
    const auto said = transport.said.find(session);
    if (said == transport.said.end()) return names;
    for (const Message& message : said->second) {
      if (const auto* update = std::get_if<Update>(&message))
        for (const NamedEntry& named : update->entries) names.push_back(named.name);
    }
    return names;
  }
  // Whatever `session` was told of its push of `f` that ends the matter.
  int ends_for(SessionId session) const {
    int ends = 0;
    const auto said = transport.said.find(session);
    if (said == transport.said.end()) return 0;
    for (const Message& message : said->second) {
      if (const auto* verdict = std::get_if<Verdict>(&message);
          verdict != nullptr &&
          (verdict->kind == VerdictKind::kHave || verdict->kind == VerdictKind::kRefuse))
        ends += static_cast<int>(verdict->items.size());
      if (const auto* done = std::get_if<Done>(&message)) {
        for (const NamedEntry& named : done->published) ends += named.name == "f" ? 1 : 0;
      }
    }
    return ends;
  }

  const Bytes hubs = random_bytes(100, 1);
  const Bytes givers = random_bytes(200, 2);
  const Bytes leavers = random_bytes(300, 3);

  ReplicaRig rig;
  HeardMessages transport;
  Outbox outbox{transport};
  Hub hub{rig.replica, outbox, rig.log};
};

}  // namespace

TEST_CASE("the loser of a conflict is published before the name changes hands") {
  HubRig hub;
  hub.rig.sender.add("f", hub.givers);
  hub.push(kGiver, made_by(77, "giver", hub.givers));
  // Nobody hears of anything before its bytes are here.
  CHECK(hub.updates_to(kWatcher).empty());
  REQUIRE(hub.quiet());
  hub.step();
  CHECK(hub.names_of(hub.hubs) == std::vector<std::string>{"f"});
  REQUIRE(hub.names_of(hub.givers).size() == 1);
  const std::string copy = hub.names_of(hub.givers).front();
  CHECK(copy.find("conflict giver") != std::string::npos);
  CHECK(hub.updates_to(kWatcher) == std::vector<std::string>{copy, "f"});
  CHECK(hub.ends_for(kGiver) == 1);
}

TEST_CASE("who leaves a conflict takes his copy along, and not what waits for another's") {
  HubRig hub;
  hub.rig.sender.add("f", hub.givers);
  hub.push(kLeaver, made_by(88, "leaver", hub.leavers));
  hub.push(kGiver, made_by(77, "giver", hub.givers));
  // The one waits for the copy of his bytes, the other behind him.
  CHECK(hub.hub.describe_candidates().size() == 2);
  hub.hub.on_member_down(kLeaver);
  REQUIRE(hub.quiet());
  hub.step();
  CHECK(hub.names_of(hub.hubs) == std::vector<std::string>{"f"});
  CHECK(hub.names_of(hub.givers).size() == 1);
  CHECK(hub.names_of(hub.leavers).empty());
  CHECK(hub.ends_for(kGiver) == 1);
  // When he is back he is heard like anybody.
  hub.rig.sender.add("g", hub.leavers);
  hub.push(kGiver, made_by(88, "leaver", hub.leavers));
  REQUIRE(hub.quiet());
  CHECK(hub.names_of(hub.leavers).size() == 1);
}

TEST_CASE("what was promised by who leaves was never the group's") {
  HubRig hub;
  Entry next = made_by(88, "leaver", hub.leavers);
  next.version = hub.rig.replica.index().find("f")->local->version;
  next.version.raise(88, 1);
  hub.push(kLeaver, next);
  CHECK(hub.hub.describe_candidates().size() == 1);
  hub.hub.on_member_down(kLeaver);
  CHECK(hub.hub.idle());
  for (int i = 0; i < 100; ++i) hub.step();
  CHECK(hub.hub.seq() == 1);
  CHECK(hub.names_of(hub.hubs) == std::vector<std::string>{"f"});
  CHECK(hub.updates_to(kWatcher).empty());
  // The same version, from somebody who has it.
  hub.rig.sender.add("f", hub.leavers);
  hub.push(kGiver, next);
  REQUIRE(hub.quiet());
  hub.step();
  CHECK(hub.names_of(hub.leavers) == std::vector<std::string>{"f"});
  CHECK(hub.ends_for(kGiver) == 1);
}

TEST_CASE("a delete whose pusher leaves while it is carried out is the group's") {
  HubRig hub;
  Entry gone;
  gone.kind = EntryKind::kTombstone;
  gone.version = hub.rig.replica.index().find("f")->local->version;
  gone.version.raise(88, 1);
  hub.push(kLeaver, gone);
  REQUIRE(hub.hub.describe_candidates().size() == 1);
  hub.hub.on_member_down(kLeaver);
  REQUIRE(hub.quiet());
  hub.step();
  CHECK(hub.names_of(hub.hubs).empty());
  CHECK(hub.updates_to(kWatcher) == std::vector<std::string>{"f"});
}

TEST_CASE("an edit of the hub's own disk goes before a push that is on its way into that file") {
  HubRig hub;
  Entry next = made_by(77, "giver", hub.givers);
  next.version = hub.rig.replica.index().find("f")->local->version;
  next.version.raise(77, 1);
  hub.rig.sender.add("f", hub.givers);
  hub.rig.sender.room = 0;
  hub.push(kGiver, next);
  const Bytes edited = random_bytes(400, 4);
  hub.write(edited);
  for (int i = 0; i < 500; ++i) hub.step();
  hub.rig.sender.room = 300;
  REQUIRE(hub.quiet());
  hub.step();
  CHECK(hub.names_of(edited) == std::vector<std::string>{"f"});
  CHECK(hub.names_of(hub.givers).size() == 1);
  CHECK(hub.ends_for(kGiver) == 1);
}

}  // namespace lansync
