#include "roles/met_keys.h"

#include "base/random.h"
#include "support/catch.h"
#include "transport/ed25519.h"

using namespace lansync;

namespace {

PublicKey key_of(Prng& random) { return SigningKey::generate(random).public_key(); }

void store(std::map<std::string, std::string>& meta, MetKeys& keys) {
  for (auto& [row, value] : keys.take_changes()) {
    if (value.empty()) {
      meta.erase(row);
    } else {
      meta[row] = value;
    }
  }
}

}  // namespace

TEST_CASE("a key that was met is known after a restart, by its node") {
  Prng random(1);
  const PublicKey met = key_of(random);
  const PublicKey other = key_of(random);
  std::map<std::string, std::string> meta{{"term", "7"}};
  MetKeys keys;
  keys.meet(met, StartId{{1}});
  keys.meet(met, StartId{{1}});
  store(meta, keys);
  MetKeys again;
  again.load(meta);
  CHECK(again.find(node_id_of(met)) == met);
  CHECK(again.run_of(node_id_of(met)) == StartId{{1}});
  CHECK(again.run_of(node_id_of(other)).is_zero());
  CHECK_FALSE(again.met(node_id_of(other)));
  CHECK(again.take_changes().empty());
  CHECK(again.size() == 1);
}

TEST_CASE("rows that are no key are forgotten and removed") {
  Prng random(2);
  const PublicKey met = key_of(random);
  const std::string row = "met/" + to_hex(node_id_of(met));
  for (const std::string& value :
       {std::string("1"), "x:" + to_hex(met), "1:" + to_hex(met).substr(2),
        "1:" + to_hex(PublicKey{}), "1:" + to_hex(key_of(random)), std::string(":"),
        "1:" + to_hex(met) + "00", "1:" + to_hex(met) + ":00", "1:" + to_hex(met)}) {
    INFO(value);
    MetKeys keys;
    keys.load({{row, value}});
    CHECK(keys.size() == 0);
    CHECK(keys.take_changes() == std::map<std::string, std::string>{{row, ""}});
  }
}

TEST_CASE("there is a bound: who was met longest ago makes room, who is met again does not") {
  Prng random(3);
  MetKeys keys;
  std::map<std::string, std::string> meta;
  const PublicKey friendly = key_of(random);
  PublicKey first;
  // Any bytes that pass for a key will do, and cost less than a pair.
  for (std::size_t i = 0; i < 2 * MetKeys::kMaxKeys; ++i) {
    auto key = random.id<PublicKey>();
    if (!acceptable_key(key)) continue;
    if (i == 0) first = key;
    keys.meet(key, StartId{{2}});
    keys.meet(friendly, StartId{{3}});
    store(meta, keys);
  }
  CHECK(keys.size() == MetKeys::kMaxKeys);
  CHECK(meta.size() == MetKeys::kMaxKeys);
  CHECK(keys.met(node_id_of(friendly)));
  CHECK_FALSE(keys.met(node_id_of(first)));
  MetKeys again;
  again.load(meta);
  CHECK(again.size() == MetKeys::kMaxKeys);
  CHECK(again.met(node_id_of(friendly)));
}
