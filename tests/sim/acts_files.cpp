// What people do with their files.
#include <limits>

#include "base/log.h"
#include "sim/stage.h"

namespace lansync::sim {
namespace {

void write_new(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string path = stage.any_path();
  node.write(path, stage.new_text());
}

void write_over(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string path = stage.existing(node);
  node.write(path, stage.new_text());
}

void save(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string path = stage.any_path();
  node.save(path, stage.new_text());
}

void append(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string path = stage.existing(node);
  node.append(path, stage.new_text());
}

void rename(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string from = stage.existing(node);
  node.rename(from, stage.any_path());
}

void copy(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string from = stage.existing(node);
  if (node.has(from)) node.write(stage.any_path(), node.text(from));
}

void swap_names(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string one = stage.existing(node);
  const std::string other = stage.existing(node);
  if (one == other) return;
  const std::string aside = one + ".swap";
  if (node.rename(one, aside) && node.rename(other, one)) node.rename(aside, other);
}

void erase(Stage& stage) {
  SimNode& node = stage.any_node();
  node.erase(stage.existing(node));
}

// Many at once, one by one: what a guard counts.
void erase_many(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::uint64_t parts = 2 + stage.random.below(5);
  for (const std::string& path : node.disk().files_below("")) {
    if (!stage.chance(1, parts)) node.erase(path);
  }
}

void erase_folder(Stage& stage) {
  static const char* const kFolders[] = {"d", "d/e", "f", "m"};
  stage.any_node().erase(kFolders[stage.random.below(4)]);
}

void make_folder(Stage& stage) { stage.any_node().make_folder(stage.chance(1, 2) ? "f" : "d/g"); }

void rename_folder(Stage& stage) {
  SimNode& node = stage.any_node();
  if (stage.chance(1, 3)) {
    node.rename("h", "d");
  } else {
    node.rename(stage.chance(1, 3) ? "m" : "d", "h");
  }
}

// A directory gives way to a new one of the same name: `mv d d.old; mkdir d` (W1).
void replace_folder(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string old = str("d.", stage.next_number());
  if (!node.rename("d", old)) return;
  if (stage.chance(1, 3)) node.erase(old);
  const std::string path = str("d/", static_cast<char>('p' + stage.random.below(6)));
  node.write(path, stage.new_text());
}

// Something of another kind under a name (W2).
void change_kind(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string path = stage.chance(1, 2) ? "d" : stage.existing(node);
  const SeenTree tree = node.disk().tree();
  auto at = tree.find(path);
  if (at == tree.end() || !node.erase(path)) return;
  if (at->second.kind == FileKind::kFile && stage.chance(1, 2)) {
    node.write(path + "/p", stage.new_text());
  } else if (stage.chance(1, 2)) {
    node.link(path, "elsewhere");
  } else {
    node.write(path, stage.new_text());
  }
}

void chmod(Stage& stage) {
  static constexpr std::uint16_t kModes[] = {0600, 0755, 0444, 0640, 0777, 0400};
  SimNode& node = stage.any_node();
  const std::string path = stage.chance(1, 5) ? "d" : stage.existing(node);
  node.chmod(path, kModes[stage.random.below(6)]);
}

void link(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string path = stage.any_path() + ".lnk";
  node.link(path, stage.any_path());
}

// Times that people and archives make: the epoch, before it, and beyond 2262, where the program's
// clock ends and its file system clamps (W20).
void touch(Stage& stage) {
  constexpr std::int64_t kDay = 86'400'000'000'000;
  SimNode& node = stage.any_node();
  std::int64_t time = SimClock::kCalendarBegin;
  switch (stage.random.below(6)) {
    case 0:
      time = 0;
      break;
    case 1:
      time = -kDay * static_cast<std::int64_t>(stage.random.below(40'000));
      break;
    case 2:
      time = std::numeric_limits<std::int64_t>::max();
      break;
    case 3:
      time = std::numeric_limits<std::int64_t>::min();
      break;
    default:
      time -= kDay * static_cast<std::int64_t>(stage.random.below(4'000));
      break;
  }
  node.touch(stage.existing(node), time);
}

// Other bytes, and neither size nor mtime tells (`touch -r`): D5.
void rewrite_quietly(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string path = stage.existing(node);
  std::string text = node.text(path);
  if (text.size() < 4) return;
  const std::string number = std::to_string(stage.next_number());
  text.replace(0, std::min(number.size(), text.size()), number, 0,
               std::min(number.size(), text.size()));
  node.rewrite_quietly(path, text);
}

// A handful of files at once, as an archive is unpacked.
void unpack(Stage& stage) {
  SimNode& node = stage.any_node();
  const std::string folder = str("m/", static_cast<char>('p' + stage.random.below(3)), "/");
  const std::uint64_t count = 5 + stage.random.below(20);
  for (std::uint64_t i = 0; i < count; ++i) node.write(str(folder, i), stage.new_text());
}

constexpr Act kActs[] = {
    {"write", 6, 100, write_new},
    {"overwrite", 4, 100, write_over},
    {"save", 2, 70, save},
    {"append", 2, 70, append},
    {"rename", 2, 70, rename},
    {"copy", 1, 50, copy},
    {"swap", 1, 25, swap_names},
    {"erase", 2, 70, erase},
    {"erase-many", 1, 25, erase_many},
    {"erase-folder", 1, 50, erase_folder},
    {"make-folder", 1, 50, make_folder},
    {"rename-folder", 1, 50, rename_folder},
    {"replace-folder", 1, 25, replace_folder},
    {"change-kind", 1, 25, change_kind},
    {"chmod", 2, 50, chmod},
    {"link", 1, 50, link},
    {"touch", 1, 40, touch},
    {"rewrite-quietly", 1, 30, rewrite_quietly},
    {"unpack", 1, 25, unpack},
};

}  // namespace

std::span<const Act> acts_on_files() { return kActs; }

}  // namespace lansync::sim
