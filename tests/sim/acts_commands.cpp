// What people ask of their nodes.
#include "base/log.h"
#include "sim/stage.h"

namespace lansync::sim {
namespace {

void get(Stage& stage) {
  SimNode& node = stage.any_node();
  SimNode& other = stage.any_node();
  node.get(stage.chance(1, 5) ? "d" : stage.existing(other));
}

void drop(Stage& stage) {
  SimNode& node = stage.any_node();
  node.drop(stage.chance(1, 5) ? "d" : stage.existing(node));
}

void download(Stage& stage) {
  SimNode* node = stage.any_running();
  SimNode* other = node ? stage.another(*node) : nullptr;
  if (other == nullptr) return;
  DownloadAsk ask;
  ask.name = stage.existing(*other);
  if (stage.chance(1, 2)) ask.peer = other->name();
  ask.aside = stage.chance(1, 2);
  // The command copies what it was lent and gives it back, as `lansync download --output` does at
  // once. (Seed 2645: lent for 30 s, it kept the next download of that content waiting until all
  // were in sync.)
  node->download(ask, [&stage, node, aside = ask.aside](const Result<DownloadReport>& report) {
    if (!report || !aside) return;
    stage.later(5ms, [node, token = report->token] {
      if (node->running()) node->node().give_back(token);
    });
  });
}

void confirm(Stage& stage) {
  if (SimNode* node = stage.any_running()) node->confirm();
}

void reject(Stage& stage) {
  if (SimNode* node = stage.any_running()) node->reject();
}

void pause(Stage& stage) {
  SimNode* node = stage.any_running();
  if (node == nullptr) return;
  node->pause();
  stage.later(stage.within(500ms, 20s), [node] { node->resume(); });
  // It lasts beyond a restart.
  stage.at_rest([node] { node->resume(); });
}

void rescan(Stage& stage) {
  if (SimNode* node = stage.any_running()) node->rescan();
}

// What is in anybody's trash, or a whole directory, or what stands there now as it was.
void restore(Stage& stage) {
  SimNode* node = stage.any_running();
  if (node == nullptr) return;
  std::string path = stage.chance(1, 4) ? "d" : stage.existing(*node);
  SimNode& owner = stage.any_node();
  const auto& trash = owner.store().contents().trash;
  if (!trash.empty() && stage.chance(2, 3)) {
    path = std::next(trash.begin(), static_cast<std::ptrdiff_t>(stage.random.below(trash.size())))
               ->second.path;
  }
  node->restore_from_trash(path);
}

void upload(Stage& stage) {
  SimNode* node = stage.any_running();
  SimNode* other = node ? stage.another(*node) : nullptr;
  if (other == nullptr) return;
  const char name = static_cast<char>('p' + stage.random.below(6));
  node->upload(std::string(1, name), stage.new_text(), *other);
}

void answer_upload(Stage& stage) {
  if (SimNode* node = stage.any_running()) node->answer_uploads(stage.chance(2, 3));
}

void check_all(Stage& stage) {
  SimNode* node = stage.any_running();
  if (node == nullptr) return;
  SimNode* other = stage.chance(1, 2) ? stage.another(*node) : node;
  if (other != nullptr) node->check_all(*other, stage.chance(2, 3));
}

constexpr Act kDemands[] = {
    {"get", 2, 80, get},
    {"drop", 1, 80, drop},
};

constexpr Act kActs[] = {
    {"download", 1, 25, download},   {"confirm", 1, 30, confirm},
    {"reject", 1, 30, reject},       {"pause", 1, 25, pause},
    {"rescan", 1, 20, rescan},       {"restore", 2, 30, restore},
    {"upload", 1, 25, upload},       {"answer-upload", 1, 25, answer_upload},
    {"check-all", 1, 25, check_all},
};

}  // namespace

std::span<const Act> demands() { return kDemands; }
std::span<const Act> commands() { return kActs; }

}  // namespace lansync::sim
