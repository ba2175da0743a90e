// Whatever a member says, in whatever role: the node does not stop and does not turn without end,
// what it has written can be read again, what people wrote is there, and it goes on syncing with
// the others. And whatever stands in its index: it starts.
//
// LANSYNC_HOSTILE_SEEDS=FROM..TO draws others than those of every run.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/hostile_member.h"
#include "sim/hostile_messages.h"
#include "support/catch.h"
#include "support/raw_message.h"
#include "sync/index.h"

using namespace lansync;
using namespace lansync::sim;

namespace {

constexpr int kSequences = 3;  // in each world, one after the other
constexpr int kMessages = 40;  // in each sequence
// A node that is left alone pings, beacons, and looks at its disk: some 10 turns a second.
constexpr std::uint64_t kQuietTurns = 3000;

struct Seeds {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

Seeds seeds(std::uint64_t from, std::uint64_t to) {
  const char* asked = std::getenv("LANSYNC_HOSTILE_SEEDS");
  if (asked == nullptr) return {from, to};
  const std::string text(asked);
  const std::size_t dots = text.find("..");
  REQUIRE(dots != std::string::npos);
  return {std::stoull(text.substr(0, dots)), std::stoull(text.substr(dots + 2))};
}

enum class Towards {
  kHub,             // a client of a hub with another client
  kLoneHub,         // a client of a hub that is alone
  kFollower,        // the hub of a full replica
  kOnDemand,        // the hub of an on-demand node
  kMemberOfOthers,  // beside the hub: a session of its own to a client
};
constexpr int kRoles = 5;

const char* const kRoleNames[] = {"client of a hub with a client", "client of a lone hub",
                                  "hub of a full replica", "hub of an on-demand node",
                                  "beside the hub of a client"};

class Story {
 public:
  Story(std::uint64_t seed, Towards role)
      : role_(role), random_(seed * 977 + 5), messages_(random_), world_(seed) {
    NodeOptions options;
    options.on_demand = role == Towards::kOnDemand;
    if (role == Towards::kMemberOfOthers) options.role = ManualRole::kClient;
    victim_ = &world_.add("a", options);
    NodeOptions other;
    if (role == Towards::kMemberOfOthers) other.role = ManualRole::kServer;
    honest_ = &world_.add("b", other);
    write_all();
    victim_->start();
    if (role == Towards::kHub || role == Towards::kMemberOfOthers) {
      world_.run_for(3s);
      honest_->start();
      REQUIRE(world_.run_until([&] { return world_.converged(); }, 60s));
    } else {
      REQUIRE(world_.run_until([&] { return victim_->in_sync(); }, 30s));
    }
  }

  // One member comes, says its say, and goes.
  void sequence(std::uint64_t seed) {
    mallory_ = std::make_unique<HostileMember>(world_, 100, seed);
    if (follows()) {
      mallory_->hello().role = Role::kServer;
      mallory_->hello().members = 50;
      mallory_->hello().term = 5 + random_.below(900);
    }
    for (int sent = 0; sent < kMessages; ++sent) {
      if (!come()) break;
      messages_.set_aims(aims());
      const Bytes bytes = messages_.any_bytes();
      const Channel channel = random_.chance(1, 3) ? Channel::kContent : Channel::kMessages;
      mallory_->send_raw(*victim_, bytes, channel);
      world_.run_for(Duration(random_.below(100'000)));
      if (random_.chance(1, 8)) edit();
    }
    world_.run_for(2s);
    mallory_.reset();
    world_.run_for(3s);
    check_kept();
  }

  void restart() {
    require_readable(*victim_);
    victim_->kill();
    victim_->start();
    world_.run_for(3s);
  }

  void go_on() {
    if (!honest_->running()) honest_->start();
    ++proofs_;
    const std::string from_a = "proof of a " + std::to_string(proofs_);
    const std::string from_b = "proof of b " + std::to_string(proofs_);
    world_.run_for(5s);
    REQUIRE(victim_->write(from_a, from_a));
    REQUIRE(honest_->write(from_b, from_b));
    const bool arrived = world_.run_until(
        [&] {
          const PathRecord* record = victim_->node().replica().index().find(from_b);
          return honest_->text(from_a) == from_a && record != nullptr && record->remote != nullptr;
        },
        240s);
    INFO(world_.difference());
    REQUIRE(arrived);
    const std::uint64_t turns = victim_->turns();
    world_.run_for(10s);
    CHECK(victim_->turns() - turns < kQuietTurns);
    check_kept();
    require_readable(*victim_);
    require_readable(*honest_);
  }

 private:
  bool follows() const { return role_ == Towards::kFollower || role_ == Towards::kOnDemand; }

  void write(const std::string& path, const std::string& text) {
    if (victim_->write(path, text)) written_.insert(text);
  }
  void write_all() {
    for (int i = 0; i < 6; ++i) write("d/f" + std::to_string(i), "text " + std::to_string(i));
    write("large", std::string(300'000, 'l'));
    write(std::string(250, 'n'), "a long name");
    write("f.txt", "conflicting");
    victim_->make_folder("empty");
    victim_->link("link", "d/f1");
  }
  // A person goes on working meanwhile.
  void edit() {
    const std::string name = "d/f" + std::to_string(random_.below(6));
    const std::string before = victim_->text(name);
    const std::string now = "edit " + std::to_string(++edits_);
    if (!victim_->write(name, now)) return;
    // A person overwrote it: only the last one's is theirs to find again.
    written_.erase(before);
    written_.insert(now);
  }

  // Connected, and in its role as far as the victim lets it.
  bool come() {
    for (int tries = 0; tries < 4; ++tries) {
      if (mallory_->connected(*victim_)) return true;
      mallory_->dial(*victim_);
      const bool here = world_.run_until([&] { return mallory_->greeted(*victim_); }, 15s);
      if (!here) continue;
      if (follows()) {
        world_.run_for(1s);
        mallory_->claim(*victim_);
        world_.run_until([&] { return mallory_->followed_by(*victim_); }, 5s);
        mallory_->answer_index_get(*victim_);
      } else {
        mallory_->join(*victim_);
      }
      world_.run_for(500ms);
    }
    return mallory_->connected(*victim_);
  }

  HostileMessages::Aims aims() {
    HostileMessages::Aims out;
    out.nodes = {victim_->node().replica().node(), mallory_->node()};
    if (honest_->running()) out.nodes.push_back(honest_->node().replica().node());
    for (const auto& [path, record] : victim_->node().replica().index().paths()) {
      if (out.names.size() > 200) break;
      out.names.push_back(path);
      const EntryPtr entry = record.local ? record.local : record.remote;
      if (!entry) continue;
      out.entries.emplace_back(path, entry);
      if (entry->is_file()) out.contents.push_back(entry->content);
    }
    if (const auto* get = mallory_->last<IndexGet>(*victim_)) {
      out.round = get->round;
      out.buckets = get->bucket_count;
    }
    if (const auto* request = mallory_->last<Request>(*victim_)) {
      for (const RequestItem& item : request->items) out.transfers.push_back(item.transfer);
    }
    return out;
  }

  static void require_readable(SimNode& node) {
    const LoadedIndex loaded = *node.store().load();
    Index index;
    const std::vector<std::string> unreadable = index.load(loaded);
    INFO(node.name() << ": " << (unreadable.empty() ? "" : printable(unreadable.front(), 100)));
    REQUIRE(unreadable.empty());
  }

  // On a disk under some name, or in a trash.
  void check_kept() {
    std::set<std::string> there;
    for (SimNode* node : {victim_, honest_}) {
      for (const auto& [path, seen] : node->disk().tree())
        there.insert(std::string(as_text(seen.bytes)));
      for (const auto& [name, bytes] : node->disk().trash_files())
        there.insert(std::string(as_text(bytes)));
    }
    for (const std::string& text : written_) {
      INFO("lost: " << text.substr(0, 40));
      REQUIRE(there.contains(text));
    }
  }

  Towards role_;
  Prng random_;
  HostileMessages messages_;
  World world_;
  SimNode* victim_ = nullptr;
  SimNode* honest_ = nullptr;
  std::unique_ptr<HostileMember> mallory_;
  std::set<std::string> written_;
  int edits_ = 0;
  int proofs_ = 0;
};

// ---- from the disk -----------------------------------------------------------------------------

std::string broken(Prng& random, std::string bytes) {
  switch (random.below(5)) {
    case 0:
      if (!bytes.empty()) bytes.resize(static_cast<std::size_t>(random.below(bytes.size())));
      break;
    case 1:
      bytes += static_cast<char>(random.below(256));
      break;
    case 2:
      bytes.clear();
      break;
    default:
      for (std::uint64_t i = 1 + random.below(4); i > 0 && !bytes.empty(); --i)
        bytes[static_cast<std::size_t>(random.below(bytes.size()))] =
            static_cast<char>(random.below(256));
  }
  return bytes;
}

std::string flip_path(Prng& random) {
  static const char* const kPaths[] = {"../../etc/x", "/x", "", ".lansync/x", "d/f1", "new/place"};
  return kPaths[static_cast<std::size_t>(random.below(std::size(kPaths)))];
}

const char* const kMetaValues[] = {"0",
                                   "1",
                                   "-1",
                                   "4294967295",
                                   "4294967296",
                                   "4611686018427387903",
                                   "4611686018427387904",
                                   "9223372036854775807",
                                   "9223372036854775808",
                                   "18446744073709551614",
                                   "18446744073709551615",
                                   "18446744073709551616",
                                   "x"};

SimIndexStore::Contents broken(Prng& random, SimIndexStore::Contents contents) {
  std::vector<IndexRow> moved;
  for (auto at = contents.rows.begin(); at != contents.rows.end();) {
    IndexRow& row = at->second;
    switch (random.below(6)) {
      case 0:
        row.local = broken(random, row.local);
        break;
      case 1:
        row.synced = broken(random, row.synced);
        break;
      case 2:
        std::swap(row.local, row.synced);
        break;
      case 3: {
        moved.push_back(row);
        static const char* const kPaths[] = {"../x", "/x", "", ".lansync/x", "a//b", "d", "d/f1/x"};
        moved.back().path = kPaths[static_cast<std::size_t>(random.below(7))];
        at = contents.rows.erase(at);
        continue;
      }
      default:
        break;
    }
    ++at;
  }
  for (IndexRow& row : moved) contents.rows[row.path] = row;
  std::vector<TrashRow> trash;
  for (auto& [name, row] : contents.trash) trash.push_back(row);
  for (TrashRow& row : trash) {
    if (random.chance(1, 2)) row.path = flip_path(random);
    if (random.chance(1, 2)) row.content = broken(random, row.content);
    if (random.chance(1, 2)) row.size = ~std::uint64_t{0};
    if (random.chance(1, 2)) row.time_ns = std::int64_t{1} << 63;
    contents.trash[row.name] = row;
  }
  for (auto& [key, value] : contents.meta) {
    // What a person said of networks, and to pause, would be obeyed.
    if (key == "networks" || key == "paused" || random.chance(1, 3)) continue;
    value = random.chance(1, 2)
                ? broken(random, value)
                : kMetaValues[static_cast<std::size_t>(random.below(std::size(kMetaValues)))];
  }
  return contents;
}

}  // namespace

TEST_CASE("a member that says anything stops no node, loses no file, and spoils no index") {
  const Seeds range = seeds(1, 40);
  for (std::uint64_t seed = range.from; seed <= range.to; ++seed) {
    const auto role = static_cast<Towards>(seed % kRoles);
    INFO("seed " << seed << ", as " << kRoleNames[seed % kRoles]);
    Story story(seed, role);
    for (int i = 0; i < kSequences; ++i) {
      story.sequence(seed * 100 + static_cast<std::uint64_t>(i));
      if (i + 1 < kSequences) story.restart();
    }
    story.restart();
    story.go_on();
  }
}

TEST_CASE("a node starts from an index of which anything is broken, and loses no file") {
  const Seeds range = seeds(1, 50);
  for (std::uint64_t seed = range.from; seed <= range.to; ++seed) {
    INFO("seed " << seed);
    Prng random(seed);
    World world(seed);
    SimNode& a = world.add("a");
    SimNode& b = world.add("b");
    std::set<std::string> written;
    for (int i = 0; i < 6; ++i) {
      const std::string text = "text " + std::to_string(i);
      REQUIRE(a.write("d/f" + std::to_string(i), text));
      written.insert(text);
    }
    world.start_all();
    REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
    REQUIRE(b.write("d/f1", "text 1, by b"));
    written.insert("text 1, by b");
    REQUIRE(a.erase("d/f2"));
    written.erase("text 2");
    REQUIRE(world.run_until([&] { return world.converged(); }, 60s));
    a.kill();
    a.store().replace(broken(random, a.store().contents()));
    a.start();
    world.run_for(5s);
    REQUIRE(a.write("after", "by a"));
    REQUIRE(b.write("d/after", "by b"));
    const bool arrived = world.run_until(
        [&] { return b.text("after") == "by a" && a.text("d/after") == "by b"; }, 120s);
    INFO(world.difference());
    REQUIRE(arrived);
    std::set<std::string> there;
    for (SimNode* node : {&a, &b}) {
      for (const auto& [path, seen] : node->disk().tree())
        there.insert(std::string(as_text(seen.bytes)));
      for (const auto& [name, bytes] : node->disk().trash_files())
        there.insert(std::string(as_text(bytes)));
    }
    for (const std::string& text : written) {
      INFO("lost: " << text);
      CHECK(there.contains(text));
    }
    a.kill();
    a.start();
    world.run_for(3s);
  }
}
