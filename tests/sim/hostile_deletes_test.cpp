// A member that deletes everything in another's name, and what it says of that: only a person's
// word, signed where it was given, lets a run go.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "roles/run_decisions.h"
#include "sim/hostile_member.h"
#include "support/catch.h"
#include "sync/confirmed_runs.h"
#include "transport/ed25519.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

constexpr int kFiles = 200;
constexpr RunId kRun = 0x0102030405060708;

std::string name_of(int i) { return "d/" + std::to_string(i); }

int count_of(const SimNode& node) {
  int there = 0;
  for (int i = 0; i < kFiles; ++i) there += node.has(name_of(i)) ? 1 : 0;
  return there;
}

// Two honest nodes, one of them hub, and the member against both.
struct Against {
  explicit Against(std::uint64_t seed)
      : world(seed), victim(world.add("a")), other(world.add("b")) {
    for (int i = 0; i < kFiles; ++i) victim.write(name_of(i), "text " + std::to_string(i));
    victim.start();
    REQUIRE(world.run_until([&] { return victim.in_sync() && is_hub(victim.role()); }, 30s));
    other.start();
    const bool settled = world.converge(60s);
    INFO(world.verdict());
    REQUIRE(settled);
    mallory = std::make_unique<HostileMember>(world, 100, seed);
    come();
  }
  void come() {
    mallory->dial(victim);
    REQUIRE(world.run_until([&] { return mallory->greeted(victim); }, 30s));
    mallory->join(victim);
    world.run_for(2s);
  }
  // Tombstones of everything, made by the other honest node, for all that they say.
  void delete_all() {
    const ShortId author = short_id(other.node().replica().node());
    Push push;
    for (int i = 0; i < kFiles; ++i) {
      auto gone = std::make_shared<Entry>();
      gone->kind = EntryKind::kTombstone;
      gone->was = EntryKind::kFile;
      gone->mode = 0644;
      gone->run = kRun;
      gone->author = author;
      gone->author_name = "b";
      gone->version = victim.node().replica().index().find(name_of(i))->local->version;
      gone->version.raise(author, gone->version.count_of(author) + 1000);
      leaves.push_back(delete_leaf(name_of(i), gone->version));
      push.items.push_back({name_of(i), gone, std::nullopt});
    }
    std::sort(leaves.begin(), leaves.end());
    REQUIRE(mallory->send(victim, push));
    world.run_for(5s);
  }
  RunWord word(const PublicKey& key, const SigningKey& signs) const {
    RunWord word;
    word.record.word = RunDecision::kConfirmed;
    word.record.run = kRun;
    word.record.number = leaves.size();
    word.record.digest = digest_of_leaves(leaves);
    word.record.time = WallTime{SimClock::kCalendarBegin};
    word.record.key = key;
    word.record.signature = signs.sign(signed_part(word.record));
    for (const DeleteLeaf& leaf : leaves)
      word.leaves.insert(word.leaves.end(), leaf.begin(), leaf.end());
    return word;
  }
  std::uint64_t held() { return victim.node().status().held_deletes; }

  World world;
  SimNode& victim;
  SimNode& other;
  std::unique_ptr<HostileMember> mallory;
  std::vector<DeleteLeaf> leaves;
};

}  // namespace

TEST_CASE(
    "a run that a member forged is held with each file, whatever it says, until a person looks") {
  Prng random(81);
  const SigningKey unmet = SigningKey::generate(random);
  struct Forged {
    const char* what;
    std::function<RunWord(Against&)> make;
  };
  const std::vector<Forged> forgeries{
      {"no word at all", {}},
      {"signed by a key that nobody met",
       [&](Against& story) { return story.word(unmet.public_key(), unmet); }},
      {"in the name of an honest node",
       [&](Against& story) {
         const RunKeys& keys = story.other.node();
         return story.word(keys.own_public_key(), unmet);
       }},
      {"in the name of the victim itself",
       [&](Against& story) {
         const RunKeys& keys = story.victim.node();
         return story.word(keys.own_public_key(), unmet);
       }},
      {"without a signature",
       [&](Against& story) {
         RunWord word = story.word(unmet.public_key(), unmet);
         word.record.signature = {};
         return word;
       }},
  };
  for (const Forged& forged : forgeries) {
    INFO(forged.what);
    Against story(82);
    story.delete_all();
    CHECK(story.held() == kFiles);
    if (forged.make) {
      story.mallory->send(story.victim, forged.make(story));
      story.world.run_for(5s);
    }
    // Also for the hub that the other one follows it changes nothing.
    if (!story.mallory->connected(story.victim)) story.come();
    story.world.run_for(10s);
    CHECK(count_of(story.victim) == kFiles);
    CHECK(count_of(story.other) == kFiles);
    CHECK(story.held() == kFiles);
    CHECK(story.victim.node().status().state == NodeState::kHeld);
  }
}

TEST_CASE("a run that a member forged is undone or let go by the person who holds it") {
  for (bool undo : {true, false}) {
    INFO("reject " << undo);
    Against story(83);
    story.delete_all();
    CHECK(story.held() == kFiles);
    if (undo) {
      story.victim.reject();
    } else {
      story.victim.confirm_deletes("", [](const Result<ActionReport>&) {});
    }
    const int left = undo ? kFiles : 0;
    CHECK(story.world.run_until(
        [&] {
          return story.held() == 0 && count_of(story.victim) == left &&
                 count_of(story.other) == left;
        },
        60s));
    story.mallory.reset();
    story.world.run_for(20s);
    CHECK(count_of(story.victim) == left);
    CHECK(count_of(story.other) == left);
  }
}
