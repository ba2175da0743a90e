// One file, now, from a named node or from whoever holds it.
#include <optional>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

struct Three {
  explicit Three(std::uint64_t seed) : world(seed) {
    NodeOptions options;
    options.role = ManualRole::kServer;
    hub = &world.add("hub", options);
    b = &world.add("b");
    c = &world.add("c");
  }
  void meet(const std::string& text) {
    hub->write("f", text);
    world.start_all();
    settle();
  }
  void settle() {
    const bool fine = world.converge(90s);
    INFO(world.verdict());
    REQUIRE(fine);
  }
  void slow() {
    LinkFaults faults;
    faults.bytes_per_second = 2'000'000;
    world.network().set_all(faults);
  }
  Result<DownloadReport> download(SimNode& node, const DownloadAsk& what) {
    std::optional<Result<DownloadReport>> answer;
    node.download(what, [&](const Result<DownloadReport>& result) { answer = result; });
    world.run_until([&] { return answer.has_value(); }, 120s);
    if (!answer) return Error{ErrorCode::kIo, "no answer"};
    return *answer;
  }
  World world;
  SimNode* hub = nullptr;
  SimNode* b = nullptr;
  SimNode* c = nullptr;
};

const std::string kLarge(6'000'000, 'x');

}  // namespace

TEST_CASE("content goes straight from the named node, and its session is closed afterwards") {
  Three three(1);
  three.meet(kLarge);
  const std::uint64_t sent = three.hub->payload_sent();
  const auto report = three.download(*three.c, {"f", "b", CarrierChoice::kAuto, true});
  REQUIRE(report.has_value());
  CHECK(report->peer == "b");
  CHECK(report->carrier == "enet");
  CHECK(report->size == kLarge.size());
  CHECK(three.hub->payload_sent() == sent);
  CHECK(three.b->payload_sent() >= kLarge.size());
  CHECK_FALSE(report->file.empty());
  three.world.run_for(60s);
  int sessions = 0;
  for (const PeerReport& peer : three.c->node().peers()) {
    sessions += peer.state == PeerState::kConnected ? 1 : 0;
  }
  CHECK(sessions == 1);
  // The lent file was cleared away.
  CHECK(three.c->disk().list_temp()->empty());
}

TEST_CASE("without a peer it comes from the hub, or from the members if this node is hub") {
  Three three(2);
  three.meet("text");
  CHECK(three.download(*three.b, {"f", {}, {}, false})->peer == "hub");
  const auto report = three.download(*three.hub, {"f", {}, {}, false});
  REQUIRE(report.has_value());
  CHECK((report->peer == "b" || report->peer == "c"));
  CHECK_FALSE(three.download(*three.b, {"g", {}, {}, false}).has_value());
  CHECK_FALSE(three.download(*three.b, {"f", "nobody", {}, false}).has_value());
}

TEST_CASE("a named node that dies in the middle is an error at once, and others still have it") {
  Three three(3);
  three.meet(kLarge);
  three.slow();
  std::optional<Result<DownloadReport>> answer;
  const std::uint64_t sent = three.b->payload_sent();
  three.c->download({"f", "b", {}, true},
                    [&](const Result<DownloadReport>& result) { answer = result; });
  REQUIRE(three.world.run_until([&] { return three.b->payload_sent() > sent + 50'000; }, 30s));
  three.b->kill();
  REQUIRE(three.world.run_until([&] { return answer.has_value(); }, 40s));
  CHECK_FALSE(answer->has_value());
  CHECK(three.download(*three.c, {"f", {}, {}, true}).has_value());
}

TEST_CASE("a file that is replaced meanwhile comes whole") {
  Three three(4);
  three.meet(kLarge);
  three.slow();
  for (const bool aside : {true, false}) {
    std::optional<Result<DownloadReport>> answer;
    const std::uint64_t sent = three.hub->payload_sent();
    three.c->download({"f", {}, {}, aside},
                      [&](const Result<DownloadReport>& result) { answer = result; });
    REQUIRE(three.world.run_until([&] { return three.hub->payload_sent() > sent + 50'000; }, 30s));
    three.hub->save("f", std::string(500'000, aside ? 'y' : 'z'));
    REQUIRE(three.world.run_until([&] { return answer.has_value(); }, 60s));
    REQUIRE(answer->has_value());
    CHECK(((*answer)->size == kLarge.size() || (*answer)->size == 500'000));
    three.settle();
  }
}

TEST_CASE("on an on-demand node it lands in the folder") {
  Three three(5);
  NodeOptions options;
  options.on_demand = true;
  SimNode& some = three.world.add("some", options);
  three.meet("text");
  const auto report = three.download(some, {"f", "b", {}, false});
  REQUIRE(report.has_value());
  CHECK(report->peer == "b");
  CHECK(some.text("f") == "text");
  // Who does not hold it cannot give it.
  REQUIRE(three.world.converge(60s));
  std::optional<std::string> dropped;
  some.drop("f", [&](const std::string& why_not) { dropped = why_not; });
  REQUIRE(three.world.run_until([&] { return dropped.has_value(); }, 20s));
  CHECK(*dropped == "");
  CHECK_FALSE(three.download(*three.c, {"f", "some", {}, true}).has_value());
}
