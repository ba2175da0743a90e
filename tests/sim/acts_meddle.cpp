// People who are at a file in the very moment in which their node is: between two operations of a
// batch, while it is read, while they hold it open.
#include <set>

#include "base/log.h"
#include "sim/stage.h"

namespace lansync::sim {
namespace {

bool names_a_path(const std::string& operation) {
  static const std::set<std::string> kOfPaths = {
      "stat",         "open_file",        "read",          "fstat",
      "copy_to_temp", "install_temp",     "move_to_trash", "make_directory",
      "make_symlink", "remove_directory", "set_metadata",  "read_link",
      "list"};
  return kOfPaths.contains(operation);
}

void edit_at(Stage& stage, SimNode& node, const std::string& path) {
  switch (stage.random.below(8)) {
    case 0:
      node.erase(path);
      break;
    case 1:
      node.rename(path, path + ".moved");
      break;
    case 2:
      node.append(path, stage.new_text());
      break;
    case 3:
      node.save(path, stage.new_text());
      break;
    case 4:
      node.chmod(path, 0640);
      break;
    case 5:
      if (node.disk().contents(path).value_or(Bytes{}).size() >= 16) {
        std::string text = node.text(path);
        const std::string number = str("quiet ", stage.next_number());
        text.replace(0, number.size(), number);
        node.rewrite_quietly(path, text);
      }
      break;
    case 6:
      // Something new in a directory that is looked at, or going away.
      node.write(path + "/new", stage.new_text());
      break;
    default:
      node.write(path, stage.new_text());
      break;
  }
}

// A few edits of what the node touches, each at an operation drawn from the next ones.
void meddle(Stage& stage) {
  SimNode& node = stage.any_node();
  node.set_on_operation(
      [&stage, &node, edits = 1 + stage.random.below(3), in = stage.random.below(30)](
          const std::string& operation, const std::string& subject) mutable {
        if (edits == 0 || stage.resting || subject.empty() || !names_a_path(operation)) return;
        if (in > 0) {
          --in;
          return;
        }
        --edits;
        in = stage.random.below(30);
        edit_at(stage, node, subject);
      });
}

void write_slowly(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string path = stage.chance(1, 2) ? stage.any_path() : stage.existing(node);
  auto text = std::make_shared<std::string>(stage.new_text());
  if (!node.write_on(path, *text, false)) return;
  const auto inode = node.disk().inode(path);
  const std::uint64_t steps = 1 + stage.random.below(5);
  Duration when{};
  for (std::uint64_t i = 1; i <= steps; ++i) {
    when += stage.within(20ms, 4s);
    stage.later(when, [&stage, &node, path, inode, text, last = i == steps] {
      // Under that name stands another file now: what the writer adds, nobody sees.
      if (node.disk().inode(path) != inode) return;
      *text += stage.new_text();
      node.write_on(path, *text, last);
    });
  }
}

// As truncate(2) and mmap do: no close is heard (W22).
void write_unclosed(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string path = stage.existing(node);
  node.write_on(path, stage.new_text(), false);
}

constexpr Act kActs[] = {
    {"meddle", 3, 35, meddle},
    {"write-slowly", 2, 35, write_slowly},
    {"write-unclosed", 1, 20, write_unclosed},
};

}  // namespace

std::span<const Act> acts_of_haste() { return kActs; }

}  // namespace lansync::sim
