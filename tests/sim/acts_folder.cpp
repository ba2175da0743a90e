// What stands in a folder and is not synced: what people ignore, what is no file, what cannot be
// read, what is too large.
#include "base/log.h"
#include "sim/stage.h"

namespace lansync::sim {
namespace {

constexpr const char* kIgnoreFile = ".lansyncignore";

void ignore(Stage& stage) {
  static const char* const kRules[] = {
      "*.txt\n",         "d/\n",      "/p*\n",           "f/*\n!f/q*\n", "*\n!*/\n!*.txt\n",
      "# nothing yet\n", "d/e/\nq\n", "*.lnk\n*.swap\n", "**/r\n",       "m/\n",
  };
  SimNode& node = stage.any_node();
  const std::string rules = kRules[stage.random.below(10)];
  // What is ignored for a while leaves the index, and is unknown when it comes again.
  stage.world.oracle().history().exempt("");
  // Each time other bytes, as a file that people change has: the oracle tells versions by them.
  node.write(kIgnoreFile, str("# ", stage.next_number(), "\n", rules));
  if (stage.chance(1, 2)) return;
  stage.at_rest([&stage] {
    for (SimNode* one : stage.world.nodes()) one->erase(kIgnoreFile);
  });
}

void stop_ignoring(Stage& stage) {
  SimNode& node = stage.any_node();
  if (stage.chance(1, 3)) {
    node.rename(kIgnoreFile, "rules.txt");
  } else {
    node.erase(kIgnoreFile);
  }
}

// A pipe, and sometimes it stays.
void make_pipe(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string path = stage.any_path();
  if (stage.chance(1, 2) && node.has(path)) node.erase(path);
  if (!node.make_pipe(path)) return;
  auto remove = [&node, path] {
    const SeenTree tree = node.disk().tree();
    auto at = tree.find(path);
    if (at != tree.end() && at->second.kind == FileKind::kOther) node.erase(path);
  };
  if (stage.chance(1, 2)) {
    stage.later(stage.within(1s, 20s), remove);
  } else if (stage.chance(1, 2)) {
    stage.at_rest(remove);
  }
}

// Another user's file, or a directory without the right to enter it.
void make_unreadable(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string path =
      stage.chance(1, 3) ? (stage.chance(1, 2) ? "d" : "d/e") : stage.existing(node);
  if (!node.set_readable(path, false)) return;
  auto mend = [&node, path] { node.set_readable(path, true); };
  stage.later(stage.within(1s, 25s), mend);
}

// A node takes no large files from now on (--max-file-size), perhaps for good.
void limit_size(Stage& stage) {
  SimNode& node = stage.any_node();
  if (node.name() == stage.names.front()) return;  // somebody takes all of it
  node.options().max_file_size = stage.chance(1, 2) ? 100 : 2'000;
  stage.world.oracle().history().exempt("");
  const bool stays = stage.chance(1, 2);
  auto again = [&node] {
    if (!node.running()) return;
    node.kill();
    node.start();
  };
  again();
  if (stays) return;
  stage.at_rest([&node, again] {
    node.options().max_file_size = 0;
    again();
  });
}

constexpr Act kActs[] = {
    {"ignore", 1, 20, ignore},        {"stop-ignoring", 1, 20, stop_ignoring},
    {"pipe", 1, 20, make_pipe},       {"unreadable", 1, 25, make_unreadable},
    {"limit-size", 1, 6, limit_size},
};

}  // namespace

std::span<const Act> acts_of_the_folder() { return kActs; }

}  // namespace lansync::sim
