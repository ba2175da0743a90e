// A member that deletes everything in another's name, and what it says of that: only a person's
// word, signed where it was given, lets a run go.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "roles/held_things.h"
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
    mallory->keep_run();
    come();
  }
  void come() {
    mallory->dial(victim);
    REQUIRE(world.run_until([&] { return mallory->greeted(victim); }, 30s));
    mallory->join(victim);
    world.run_for(2s);
  }
  // Tombstones of everything, made by the other honest node, for all that they say.
  void delete_all(EntryKind was = EntryKind::kFile) {
    const ShortId author = short_id(other.node().replica().node());
    Push push;
    leaves.clear();
    for (int i = 0; i < kFiles; ++i) {
      auto gone = std::make_shared<Entry>();
      gone->kind = EntryKind::kTombstone;
      gone->was = was;
      gone->mode = 0644;
      gone->run = run;
      gone->author = author;
      gone->author_name = "b";
      gone->version = victim.node().replica().index().find(name_of(i))->local->version;
      gone->version.raise(author, gone->version.count_of(author) + 1000);
      leaves.push_back(delete_leaf(name_of(i), gone->version));
      push.items.push_back({name_of(i), gone});
    }
    std::sort(leaves.begin(), leaves.end());
    REQUIRE(mallory->send(victim, push));
    world.run_for(5s);
  }
  RunWord word(const PublicKey& key, const SigningKey& signs) const {
    RunWord word;
    word.record.word = RunDecision::kConfirmed;
    word.record.run = run;
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
  RunId run = kRun;
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
    CHECK(count_of(story.victim) == kFiles);
    // Who signs for another is dropped, and what was pushed goes with the session: once more.
    if (!story.mallory->connected(story.victim)) {
      CHECK(story.held() == 0);
      story.come();
      story.delete_all();
    }
    story.world.run_for(10s);
    CHECK(count_of(story.victim) == kFiles);
    CHECK(count_of(story.other) == kFiles);
    CHECK(story.held() == kFiles);
    CHECK(story.victim.node().status().state == NodeState::kHeld);
  }
}

TEST_CASE("a person's word on an earlier run, said again, lets no later deletes go") {
  Against story(84);
  World& world = story.world;
  for (int i = 0; i < kFiles; ++i) story.other.erase(name_of(i));
  const auto held_by_author = [&] { return story.other.node().status().held_deletes; };
  REQUIRE(world.run_until([&] { return held_by_author() == kFiles; }, 60s));
  story.other.confirm_deletes("", [](const Result<ActionReport>&) {});
  REQUIRE(world.run_until([&] { return count_of(story.victim) == 0; }, 60s));
  world.run_for(5s);
  const RunWord* heard = story.mallory->last<RunWord>(story.victim);
  REQUIRE(heard != nullptr);
  const RunWord word = *heard;
  for (int i = 0; i < kFiles; ++i) story.victim.write(name_of(i), "anew " + std::to_string(i));
  REQUIRE(world.converge(120s));
  REQUIRE(count_of(story.other) == kFiles);
  if (!story.mallory->connected(story.victim)) story.come();
  story.run = word.record.run;
  story.delete_all();
  RunWord of_these = word;
  of_these.leaves.clear();
  for (const DeleteLeaf& leaf : story.leaves)
    of_these.leaves.insert(of_these.leaves.end(), leaf.begin(), leaf.end());
  for (const RunWord& said : {word, of_these}) {
    story.mallory->send(story.victim, said);
    world.run_for(5s);
    CHECK(count_of(story.victim) == kFiles);
    CHECK(count_of(story.other) == kFiles);
    CHECK(story.held() == kFiles);
  }
}

TEST_CASE("a member who lets a run go in its own name is known by its key, and reject undoes it") {
  Against story(85);
  story.delete_all();
  const SigningKey& own = story.mallory->signer();
  REQUIRE(story.mallory->send(story.victim, story.word(own.public_key(), own)));
  REQUIRE(story.world.run_until([&] { return count_of(story.other) == 0; }, 60s));
  story.mallory.reset();
  story.world.run_for(5s);
  std::string refused;
  story.other.reject(run_text(kRun), [&](const Result<RejectReport>& result) {
    if (!result) refused = result.error().detail;
  });
  const bool back = story.world.run_until(
      [&] { return count_of(story.victim) == kFiles && count_of(story.other) == kFiles; }, 120s);
  INFO("refused: " << refused << ", back " << count_of(story.victim));
  CHECK(back);
}

TEST_CASE("reject brings back what was there, whatever a forged tombstone says that it was") {
  for (const EntryKind was :
       {EntryKind::kDirectory, EntryKind::kSymlink, EntryKind::kTombstone, EntryKind::kFile}) {
    INFO(static_cast<int>(was));
    Against story(86);
    story.delete_all(was);
    const SigningKey& own = story.mallory->signer();
    REQUIRE(story.mallory->send(story.victim, story.word(own.public_key(), own)));
    REQUIRE(story.world.run_until([&] { return count_of(story.other) == 0; }, 60s));
    story.mallory.reset();
    story.world.run_for(5s);
    story.other.reject(run_text(kRun), [](const Result<RejectReport>&) {});
    const auto as_before = [](const SimNode& node) {
      int there = 0;
      for (int i = 0; i < kFiles; ++i)
        there += node.text(name_of(i)) == "text " + std::to_string(i) ? 1 : 0;
      return there;
    };
    CHECK(story.world.run_until(
        [&] { return as_before(story.victim) == kFiles && as_before(story.other) == kFiles; },
        120s));
    CHECK(as_before(story.victim) == kFiles);
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
