// Large content that is pushed reaches the members while the hub is still fetching it, and is
// nobody's before the hub publishes it.
#include <vector>

#include "sim/world.h"
#include "support/catch.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

constexpr std::size_t kSize = 24'000'000;

std::string film(std::uint64_t seed) {
  std::string text(kSize, '\0');
  Prng random(seed);
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + random.below(26));
  return text;
}

// A hub and its members, in sync, on slow lines: 12 s for the film.
struct Company {
  explicit Company(std::uint64_t seed, const std::vector<std::string>& members,
                   const NodeOptions& last = {})
      : world(seed) {
    NodeOptions first;
    first.role = ManualRole::kServer;
    hub = &world.add("hub", first);
    for (const std::string& name : members)
      all.push_back(&world.add(name, name == members.back() ? last : NodeOptions{}));
    world.start_all();
    settle();
    LinkFaults faults;
    faults.bytes_per_second = 2'000'000;
    world.network().set_all(faults);
  }
  void settle(Duration limit = 120s) {
    const bool fine = world.converge(limit);
    INFO(world.verdict());
    INFO(world.difference());
    REQUIRE(fine);
  }
  // When it was there, from now; no member shows it before the hub has it.
  std::map<std::string, Duration> arrivals(const std::string& path, const SimNode& author) {
    const Instant start = world.now();
    std::map<std::string, Duration> out;
    bool early = false;
    const bool fine = world.run_until(
        [&] {
          std::vector<SimNode*> others = all;
          others.push_back(hub);
          bool everywhere = true;
          for (SimNode* node : others) {
            if (node == &author) continue;
            if (node->has(path)) {
              out.emplace(node->name(), world.now() - start);
              early = early || !hub->has(path);
            } else {
              everywhere = false;
            }
          }
          return everywhere;
        },
        200s);
    CHECK(fine);
    CHECK_FALSE(early);
    return out;
  }
  World world;
  SimNode* hub = nullptr;
  std::vector<SimNode*> all;
};

}  // namespace

TEST_CASE("what one member pushes is on the third a little after the hub") {
  for (std::uint64_t seed : {1, 2}) {
    Company company(seed, {"b", "c"});
    const std::string text = film(seed);
    company.all[0]->write("film", text);
    auto there = company.arrivals("film", *company.all[0]);
    INFO("hub " << there["hub"].count() << " c " << there["c"].count());
    CHECK(there["hub"] > 10s);
    CHECK(there["c"] - there["hub"] < 2s);
    company.settle();
    CHECK(company.all[1]->text("film") == text);
    // Once to the hub, once to the third.
    std::uint64_t sent = company.hub->payload_sent();
    for (SimNode* node : company.all) sent += node->payload_sent();
    CHECK(sent < 2 * kSize + kSize / 10);
  }
}

TEST_CASE("a hub that dies while others fetch along leaves nothing wrong, and what came is used") {
  for (std::uint64_t seed : {3, 4, 5}) {
    Company company(seed, {"b", "c", "d"});
    const std::string text = film(seed);
    company.all[0]->write("film", text);
    company.world.run_for(seed == 3 ? 4s : seed == 4 ? 9s : 12s);
    company.hub->kill();
    company.world.run_for(1s);
    for (SimNode* node : {company.all[1], company.all[2]}) {
      if (!company.hub->has("film")) CHECK_FALSE(node->has("film"));
    }
    company.settle(200s);
    for (SimNode* node : company.all) CHECK(node->text("film") == text);
    company.hub->start();
    company.settle(200s);
    CHECK(company.hub->text("film") == text);
  }
}

TEST_CASE("a push that comes to nothing is forgotten by those who fetched along") {
  Company company(6, {"b", "c"});
  company.all[0]->write("film", film(6));
  company.world.run_for(6s);
  SECTION("the pusher dies") {
    company.all[0]->kill();
    company.world.run_for(30s);
    CHECK_FALSE(company.all[1]->has("film"));
    company.world.run_for(1min);
    CHECK_FALSE(company.all[1]->has("film"));
    CHECK_FALSE(company.hub->has("film"));
    company.all[0]->start();
    company.settle(200s);
    CHECK(company.all[1]->text("film") == film(6));
  }
  SECTION("the file is saved anew") {
    const std::string text = film(60);
    company.all[0]->save("film", text);
    company.settle(200s);
    CHECK(company.all[1]->text("film") == text);
    CHECK(company.hub->text("film") == text);
  }
  SECTION("the file is deleted") {
    company.all[0]->erase("film");
    // What was asked for by then still comes.
    company.world.run_for(30s);
    company.settle(200s);
    CHECK_FALSE(company.all[1]->has("film"));
  }
}

TEST_CASE("a member that did not ask for it does not fetch along") {
  NodeOptions lazy;
  lazy.on_demand = true;
  Company company(7, {"b", "c"}, lazy);
  company.all[0]->write("film", film(7));
  REQUIRE(company.world.run_until([&] { return company.hub->has("film"); }, 60s));
  company.settle();
  CHECK_FALSE(company.all[1]->has("film"));
  CHECK(company.hub->payload_sent() == 0);
}
