#include "sim/oracle.h"

#include <xxhash.h>

#include <algorithm>

#include "base/log.h"
#include "base/rel_path.h"
#include "sim/node.h"
#include "sync/hashing.h"

namespace lansync::sim {
namespace {

constexpr std::string_view kCopyMark = " (conflict ";
constexpr std::size_t kMaxViolations = 20;

bool is_copy(const std::string& path) {
  return last_part(path).find(kCopyMark) != std::string_view::npos;
}

// A later losing version of one author takes the place of that author's copy before, which goes to
// the trash: its author went past it (DESIGN, Conflicts). (Seed 8650.)
bool is_folded(SimNode& node, const std::string& path) {
  const auto mark = path.rfind(kCopyMark);
  if (mark == std::string::npos) return false;
  const auto host_end = path.find(' ', mark + kCopyMark.size());
  if (host_end == std::string::npos) return false;
  const std::string of_author = path.substr(0, host_end + 1);
  const SeenTree tree = node.disk().tree();
  const auto later = tree.upper_bound(path);
  return later != tree.end() && later->first.starts_with(of_author);
}

}  // namespace

Oracle::Key Oracle::key_of(const Bytes& bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

void Oracle::violation(std::string text) {
  if (violations_.size() < kMaxViolations) violations_.push_back(std::move(text));
}

void Oracle::on_written(const std::string& node, const std::string& path, const Bytes& bytes) {
  Written& written = written_[key_of(bytes)];
  if (written.where.empty()) written.where = str(node, ":", path);
  written.paths.insert(path);
  written.superseded = false;
}

void Oracle::on_superseded(const Bytes& bytes) {
  auto at = written_.find(key_of(bytes));
  if (at != written_.end()) at->second.superseded = true;
}

bool Oracle::superseded(const SeenFile& what) const {
  if (what.kind != FileKind::kFile) return true;  // links are judged by their place: history.h
  auto at = written_.find(key_of(what.bytes));
  return at == written_.end() || at->second.superseded;
}

void Oracle::forgive(const Bytes& bytes) { on_superseded(bytes); }

void Oracle::on_renamed(const Bytes& bytes, const std::string& to) {
  auto at = written_.find(key_of(bytes));
  if (at != written_.end()) at->second.paths.insert(to);
}

void Oracle::on_installed(const std::string& node, const std::string& path, const Bytes& bytes) {
  if (written_.contains(key_of(bytes))) return;
  violation(str("I2: ", node, " shows ", bytes.size(), " bytes at ", printable(path),
                " that nobody wrote"));
}

void Oracle::on_time_passed(Duration by) {
  constexpr Duration kLongAway = 365 * 24h;
  trash_.pass(by);
  // Who was away for a year has what others deleted, and a person may let it keep that.
  if (by > kLongAway) history_.on_undone("");
}

void Oracle::on_changed(SimNode& node, const std::string& path, bool by_person, Instant when) {
  const std::optional<SeenFile> now = node.disk().seen(path);
  history_.observe(node.name(), path, now, by_person, when);
  // What the node takes away it tells of in on_displaced, which needs what is known until then.
  if (now || by_person) deletes_.on_changed(node, path, now, when);
}

namespace {

// The group has these bytes under another name, which an on-demand node that has them by chance (it
// was the hub a while ago) need not keep: a rename there is no delete. (Seed 15626.)
bool was_renamed_away(SimNode& node, const std::string& path, const SeenFile& was) {
  if (!node.options().on_demand || !node.running()) return false;
  const ContentId content = content_id_of(was.bytes);
  const auto& paths = node.node().replica().index().paths();
  return std::any_of(paths.begin(), paths.end(), [&](const auto& item) {
    const EntryPtr& there = item.second.remote;
    return item.first != path && there && there->is_file() && there->content == content;
  });
}

}  // namespace

void Oracle::on_displaced(SimNode& node, const std::string& path, const SeenFile& what,
                          const std::string& trash, Instant when) {
  if (!trash.empty() && is_folded(node, path)) on_superseded(what.bytes);
  trash_.on_displaced(node, path, what, superseded(what), trash, when);
  if (what.kind != FileKind::kFile || node.disk().seen(path)) return;
  // `drop` puts nothing into the trash, and a delete of others must (TrashWatch). (Seed 163.)
  if (trash.empty() && node.options().on_demand) return deletes_.on_dropped(node, path);
  const SeenFile was = deletes_.undamaged(node.name(), path, what);
  const bool kept = trash_.stands(node, was).here || was_renamed_away(node, path, was);
  deletes_.on_deleted(node, path, was, kept, when);
}

void Oracle::check_whole(const std::string& node, const SeenTree& tree) {
  for (const auto& [path, seen] : tree) {
    if (seen.kind == FileKind::kFile) on_installed(node, path, seen.bytes);
  }
}

void Oracle::check_final(const SeenTree& tree) {
  runs_.look();
  history_.check(tree, [this](std::string text) { violation(std::move(text)); });
  std::map<Key, std::vector<std::string>> places;
  for (const auto& [path, seen] : tree) {
    if (seen.kind != FileKind::kFile) continue;
    places[key_of(seen.bytes)].push_back(path);
    // Of the name alone: somebody may have made a directory of a copy's. (Seeds 3611, 10114,
    // 14935.)
    const std::size_t name = path.rfind('/') == std::string::npos ? 0 : path.rfind('/');
    const auto first = path.find(kCopyMark, name);
    if (first != std::string::npos && path.find(kCopyMark, first + 1) != std::string::npos) {
      violation(str("I4: a conflict copy of a conflict copy: ", printable(path)));
    }
  }
  for (const auto& [key, written] : written_) {
    auto at = places.find(key);
    if (at == places.end()) {
      if (!written.superseded) {
        violation(str("I1: what was written at ", printable(written.where), " is nowhere"));
      }
      continue;
    }
    const auto copies = std::count_if(at->second.begin(), at->second.end(), is_copy);
    if (static_cast<std::size_t>(copies) > written.paths.size()) {
      violation(str("I4: ", copies, " conflict copies of what was written at ",
                    printable(written.where), ", one of them ", printable(at->second.back())));
    }
  }
}

}  // namespace lansync::sim
