// When a replica says that it has to be woken next.
#include "support/catch.h"
#include "unit/sync/replica_rig.h"

namespace lansync {

TEST_CASE("a folder that is gone is looked for now and then, whatever else is due") {
  ReplicaRig rig;
  rig.fs.write_file("f", random_bytes(10, 1));
  rig.replica.on_hint({"f", FileEvent::kCloseWrite}, rig.clock.now());
  rig.step();
  rig.fs.set_fault([](const std::string& operation, const std::string&) -> std::optional<Error> {
    if (operation != "check_root" && operation != "list") return std::nullopt;
    return Error{ErrorCode::kNotFound, "it is gone"};
  });
  rig.replica.rescan(rig.clock.now());
  for (int i = 0; i < 500; ++i) rig.step();
  REQUIRE_FALSE(rig.replica.root_error().empty());
  // The quiet timer of `f` ran out long ago.
  CHECK(rig.replica.deadline() > rig.clock.now());
}

}  // namespace lansync
