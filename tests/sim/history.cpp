#include "sim/history.h"

#include <xxhash.h>

#include <algorithm>

#include "base/log.h"
#include "base/rel_path.h"
#include "sync/conflict_name.h"

namespace lansync::sim {
namespace {

constexpr std::string_view kCopyMark = " (conflict ";
// So long after a version came an edit may be older, for the index, than that version: jobs and
// commits take some 50 ms, ten seconds where they fail and are tried again.
constexpr Duration kFragile = 15s;

bool is_copy(const std::string& path) { return path.find(kCopyMark) != std::string::npos; }
bool is_user_temp(const std::string& path) { return path.ends_with("~save"); }

// "d/name (conflict HOST STAMP).ext" → "d/name.ext".
std::string original_of(const std::string& copy) {
  const std::size_t mark = copy.rfind(kCopyMark);
  const std::size_t end = copy.find(')', mark);
  if (mark == std::string::npos || end == std::string::npos) return {};
  return copy.substr(0, mark) + copy.substr(end + 1);
}

void keep_common(std::set<std::size_t>& some, const std::set<std::size_t>& others) {
  std::erase_if(some, [&](std::size_t one) { return !others.contains(one); });
}

}  // namespace

History::State History::state_of(const std::optional<SeenFile>& seen) {
  State state;
  if (!seen) return state;
  state.there = true;
  state.kind = seen->kind;
  state.mode = seen->mode;
  state.mtime_ns = seen->mtime_ns;
  if (seen->kind == FileKind::kFile) {
    state.content = XXH3_64bits(seen->bytes.data(), seen->bytes.size());
  } else if (seen->kind == FileKind::kSymlink) {
    state.content = XXH3_64bits(seen->target.data(), seen->target.size());
  }
  return state;
}

bool History::sets(const Act& act, Part part) {
  switch (part) {
    case Part::kContent:
      return act.sets_content;
    case Part::kMode:
      return act.sets_mode;
    case Part::kMtime:
      return act.sets_mtime;
  }
  return false;
}

bool History::matches(const Act& act, Part part, const State& state) {
  if (!sets(act, part)) return false;
  switch (part) {
    case Part::kContent:
      return act.after.same_content(state);
    case Part::kMode:
      return act.after.there && act.after.mode == state.mode;
    case Part::kMtime:
      return act.after.there && act.after.mtime_ns == state.mtime_ns;
  }
  return false;
}

// Where several acts leave the same, who sees it need know only what each of them knew. Absence
// tells nothing: it is also what was never there.
std::set<std::size_t> History::told_by(const Path& path, const State& state) const {
  std::set<std::size_t> told;
  if (!state.there) return told;
  for (const Part part : {Part::kContent, Part::kMode, Part::kMtime}) {
    std::optional<std::set<std::size_t>> common;
    for (std::size_t i = 0; i < path.acts.size(); ++i) {
      if (!matches(path.acts[i], part, state)) continue;
      std::set<std::size_t> known = path.acts[i].known;
      known.insert(i);
      if (!common) {
        common = std::move(known);
      } else {
        keep_common(*common, known);
      }
    }
    if (common) told.merge(*common);
  }
  return told;
}

void History::learn(const std::string& node, const std::string& name,
                    const std::set<std::size_t>& acts) {
  Path& path = paths_[name];
  View& view = path.views[node];
  for (const std::size_t act : acts) {
    if (!view.known.insert(act).second) continue;
    for (const auto& [above, number] : path.acts[act].above) learn(node, above, {number});
  }
}

std::size_t History::add(const std::string& node, const std::string& name, Act act) {
  Path& path = paths_[name];
  View& view = path.views[node];
  act.node = node;
  act.known = view.known;
  if (first_join_.contains(node)) act.known.clear();
  path.acts.push_back(std::move(act));
  const std::size_t number = path.acts.size() - 1;
  view.known.insert(number);
  return number;
}

// Edit beats delete, so what a person makes or changes below a directory keeps it in being.
void History::add_above(const std::string& node, const std::string& name, std::size_t number) {
  for (auto parent = parent_path(name); !parent.empty(); parent = parent_path(parent)) {
    const std::string above(parent);
    View& view = paths_[above].views[node];
    if (!view.shown.there) continue;
    Act keep;
    keep.after = view.shown;
    keep.sets_content = true;
    paths_[name].acts[number].above.emplace_back(above, add(node, above, std::move(keep)));
  }
}

void History::observe(const std::string& node, const std::string& name,
                      const std::optional<SeenFile>& now, bool by_person, Instant when) {
  const State state = state_of(now);
  Path& path = paths_[name];
  View& view = path.views[node];
  const State before = view.shown;
  if (by_person) {
    // What an on-demand node gave away it does not know any more, and what a crash took neither
    // (DESIGN, On-demand: "concurrent with it").
    if (!before.there && !view.by_person) view.known.clear();
    learn(node, name, told_by(path, before));
    Act act;
    act.after = state;
    const bool made = before.there != state.there || before.kind != state.kind;
    act.sets_content = made || before.content != state.content;
    act.sets_mode = made || before.mode != state.mode;
    act.sets_mtime = made || before.mtime_ns != state.mtime_ns;
    act.fragile = view.touched && when - view.hand_at < kFragile;
    act.certain = !view.unheard;
    const std::size_t number = add(node, name, std::move(act));
    if (state.there) add_above(node, name, number);
  } else {
    view.hand_at = when;
    view.touched = true;
    view.unheard = false;
  }
  // References into a map last; `path.acts` may have moved.
  view.shown = state;
  view.by_person = by_person;
  if (!by_person) learn(node, name, told_by(path, state));
}

void History::on_died(const std::string& node, Instant when) {
  for (auto& [name, path] : paths_) {
    View& view = path.views[node];
    view.unheard = view.touched && when - view.hand_at < kFragile;
    // What its own hand had just done there looks to it, when it starts, like what a person did.
    if (view.unheard) {
      if (path.acts.empty()) path.acts.push_back(agreed_on({}));
      Act found = agreed_on(view.shown);
      found.certain = false;
      found.node = node;
      path.acts.push_back(std::move(found));
    }
    for (Act& act : path.acts) {
      if (act.node == node && act.fragile) act.certain = false;
    }
  }
}

void History::forget_acts_of(const std::string& node) {
  for (auto& [name, path] : paths_) {
    path.views[node].known.clear();
    for (Act& act : path.acts) {
      if (act.node == node) act.certain = false;
    }
  }
}

History::Act History::agreed_on(const State& state) {
  Act act;
  act.after = state;
  act.sets_content = act.sets_mode = act.sets_mtime = true;
  return act;
}

void History::set_shown(const std::string& node, const SeenTree& tree) {
  for (const auto& [name, seen] : tree) paths_[name];
  for (auto& [name, path] : paths_) {
    auto at = tree.find(name);
    const State state =
        state_of(at == tree.end() ? std::nullopt : std::optional<SeenFile>(at->second));
    View& view = path.views[node];
    const bool same = view.shown.same_content(state) && view.shown.mode == state.mode &&
                      view.shown.mtime_ns == state.mtime_ns;
    if (same) continue;
    view.shown = state;
    view.by_person = false;
    view.known.clear();
    // What a person did there is undone, and with it that it went past anything.
    for (Act& act : path.acts) {
      if (act.node == node) act.certain = false;
    }
    // Bytes that power left half written were nobody's wish, and are what the node finds.
    if (path.acts.empty()) path.acts.push_back(agreed_on({}));
    Act found = agreed_on(state);
    found.certain = false;
    (void)add(node, name, std::move(found));
  }
}

void History::on_set_back(const std::string& node, const SeenTree& tree) { set_shown(node, tree); }

void History::on_backup_restored(const std::string& node, const SeenTree& tree) {
  set_shown(node, tree);
  for (auto& [name, path] : paths_) {
    const State shown = path.views[node].shown;
    const auto made_it = [&](const Act& act) {
      return act.node == node && act.after.same_content(shown);
    };
    if (!shown.there || std::none_of(path.acts.begin(), path.acts.end(), made_it)) continue;
    // So what is made of it next has not seen the version that the group may have of it, and meets
    // that in a conflict. (Seed 6345.)
    path.views[node].known.clear();
    Act found = agreed_on(shown);
    found.certain = false;
    (void)add(node, name, std::move(found));
  }
}

void History::on_index_lost(const std::string& node, const SeenTree& tree) {
  forget_acts_of(node);
  first_join_.insert(node);
  set_shown(node, tree);
  for (const auto& [name, seen] : tree) {
    const std::size_t number = add(node, name, agreed_on(state_of(seen)));
    add_above(node, name, number);
  }
}

void History::on_undone(const std::string& where) {
  for (auto& [name, path] : paths_) {
    // Above it are directories again, whatever had taken their place. (Seed 2050: a link, which
    // then is kept as a conflict copy.)
    if (!where.empty() && !is_within(name, where) && !is_within(where, name)) continue;
    for (std::size_t i = 0; i < path.acts.size(); ++i) {
      // A directory or a link may have taken the place of what was deleted.
      if (path.acts[i].after.there && path.acts[i].after.kind == FileKind::kFile) continue;
      path.acts[i].certain = false;
      // What was saved a moment before the delete may never have been a version: what comes back is
      // the one before it. (Seed 750.)
      // Nor the saves just before that one. (Seed 7882: renamed while it was written slowly.)
      bool found = false;
      for (std::size_t before = i; before-- > 0;) {
        if (path.acts[before].node == path.acts[i].node) {
          path.acts[before].certain = false;
          found = true;
        } else if (found) {
          break;
        }
      }
    }
  }
}

void History::on_converged(const std::map<std::string, SeenTree>& trees, const SeenTree& agreed) {
  first_join_.clear();
  for (auto& [name, path] : paths_) path = Path{{agreed_on({})}, {}};
  for (const auto& [name, seen] : agreed) {
    if (is_copy(name)) judged_copies_.insert(name);
    Path& path = paths_[name];
    path = Path{{agreed_on(state_of(seen))}, {}};
    for (const auto& [node, tree] : trees) {
      auto at = tree.find(name);
      if (at == tree.end()) continue;  // an on-demand node that does not hold it
      View& view = path.views[node];
      view.shown = state_of(at->second);
      view.known.insert(0);
    }
  }
}

// ---- the verdict -------------------------------------------------------------------------------

// `later` knew `earlier`, and all that was at odds with it. A hub that settled a conflict made a
// new version of the winner, and who knew the winner alone does not go past that (DESIGN,
// Conflicts).
bool History::went_past(const Path& path, std::size_t later, std::size_t earlier) {
  const std::vector<Act>& acts = path.acts;
  if (!acts[later].certain || !acts[later].known.contains(earlier)) return false;
  const auto apart = [&](std::size_t one, std::size_t other) {
    return one != other && !acts[one].known.contains(other) && !acts[other].known.contains(one);
  };
  for (std::size_t i = 0; i < acts.size(); ++i) {
    if (apart(i, earlier) && apart(i, later)) return false;
  }
  return true;
}

std::vector<const History::Act*> History::standing(const Path& path, Part part) {
  std::vector<const Act*> out;
  for (std::size_t i = 0; i < path.acts.size(); ++i) {
    if (!sets(path.acts[i], part)) continue;
    bool passed = false;
    for (std::size_t later = 0; later < path.acts.size() && !passed; ++later) {
      passed = sets(path.acts[later], part) && went_past(path, later, i);
    }
    if (!passed) out.push_back(&path.acts[i]);
  }
  return out;
}

bool History::contested(const Path& path) {
  std::set<std::string> nodes;
  for (const Act& act : path.acts) nodes.insert(act.node);
  return nodes.size() > 1 && standing(path, Part::kContent).size() > 1;
}

// The bytes that it was set on met others' in a conflict: if they lost, it is their copy's, and is
// not asked for again when somebody goes past the winner. (Seeds 10267, 12889, 15013.)
bool History::set_on_what_was_contested(const Path& path, const Act& act) {
  const auto number = static_cast<std::size_t>(&act - path.acts.data());
  for (std::size_t made = 0; made < path.acts.size(); ++made) {
    const Act& one = path.acts[made];
    if (made != number && !act.known.contains(made)) continue;
    if (!one.sets_content || !one.after.same_content(act.after)) continue;
    for (std::size_t i = 0; i < path.acts.size(); ++i) {
      const Act& other = path.acts[i];
      if (other.node == one.node || !other.sets_content || !other.after.there) continue;
      const bool knew = other.known.contains(made) || one.known.contains(i);
      if (!knew && !other.after.same_content(one.after)) return true;
    }
  }
  return false;
}

// Copies are made by nodes, and may be made twice: by each hub that meets the conflict.
bool History::judged(const std::string& path) const {
  if (is_copy(path) || is_user_temp(path)) return false;
  return std::none_of(exempt_.begin(), exempt_.end(),
                      [&](const std::string& one) { return is_within(path, one); });
}

// Something that is no directory stood above it once: whether the directory or that stays is a
// matter of its own, and decides about all below.
bool History::blocked_above(const std::string& name, const SeenTree& tree) const {
  for (auto parent = parent_path(name); !parent.empty(); parent = parent_path(parent)) {
    const std::string above(parent);
    auto seen = tree.find(above);
    if (seen != tree.end() && seen->second.kind != FileKind::kDirectory) return true;
    auto at = paths_.find(above);
    if (at == paths_.end()) continue;
    for (const Act& act : at->second.acts) {
      if (act.after.there && act.after.kind != FileKind::kDirectory) return true;
    }
  }
  return false;
}

std::string History::describe(const State& state) {
  if (!state.there) return "nothing";
  const char* const kind = state.kind == FileKind::kDirectory ? "a directory"
                           : state.kind == FileKind::kSymlink ? "a link"
                                                              : "a file";
  return str(kind, " #", state.content % 10'000, " of mode ", state.mode, ", mtime ",
             state.mtime_ns);
}

std::string History::describe(const std::vector<const Act*>& acts) {
  std::string out;
  for (const Act* act : acts) {
    if (!out.empty()) out += "; ";
    out += str(act->node.empty() ? "all" : act->node, ": ", describe(act->after));
    if (out.size() > 300) return out + "; ...";
  }
  return out;
}

void History::check_path(const std::string& name, const Path& path, const SeenTree& tree,
                         const Report& report) const {
  auto at = tree.find(name);
  const State now = state_of(at == tree.end() ? std::nullopt : std::optional<SeenFile>(at->second));
  const std::vector<const Act*> content = standing(path, Part::kContent);
  const auto leaves_this = [&](const Act* act) { return act->after.same_content(now); };
  if (!content.empty() && std::none_of(content.begin(), content.end(), leaves_this)) {
    if (blocked_above(name, tree)) return;
    if (now.there && now.kind == FileKind::kDirectory) {
      auto below = tree.upper_bound(name);
      if (below != tree.end() && is_within(below->first, name)) return;  // it holds something
    }
    // A change of mode or time beats a delete of what was changed.
    for (const Act& act : path.acts) {
      if (!act.after.there || !act.after.same_content(now)) continue;
      const auto number = static_cast<std::size_t>(&act - path.acts.data());
      const auto unaware = [&](const Act* gone) {
        return !gone->after.there && !gone->known.contains(number);
      };
      if (std::any_of(content.begin(), content.end(), unaware)) return;
    }
    report(str("I7: ", printable(name), " is ", describe(now),
               ", and nobody who knew of it left that: ", describe(content)));
    return;
  }
  if (!now.there || now.kind == FileKind::kSymlink || contested(path)) return;
  const auto check_part = [&](Part part, const char* what) {
    std::vector<const Act*> left = standing(path, part);
    const auto same = [&](const Act* act) { return matches(*act, part, now); };
    const auto gone = [](const Act* act) { return !act->after.there; };
    if (std::any_of(left.begin(), left.end(), same)) return;
    std::erase_if(left, [&](const Act* act) { return set_on_what_was_contested(path, *act); });
    if (left.empty()) return;
    // Deleted by one and kept in being by another: which setting it has again is nobody's wish.
    if (std::any_of(left.begin(), left.end(), gone)) return;
    report(str("I1: the ", what, " of ", printable(name), ", now ", describe(now),
               ", is what nobody set last: ", describe(left)));
  };
  check_part(Part::kMode, "mode");
  if (now.kind == FileKind::kFile) check_part(Part::kMtime, "mtime");
}

// A copy says that two people were at it at once. Needless: the name has the same bytes, and they
// were given to it once; or all who were at it knew of these bytes, or these of them.
void History::check_copy(const std::string& name, const SeenTree& tree,
                         const Report& report) const {
  if (!is_conflict_name(name) || judged_copies_.contains(name)) return;
  const std::string original = original_of(name);
  auto at = paths_.find(original);
  if (at == paths_.end() || !judged(original) || blocked_above(original, tree)) return;
  // A person moved it there: a directory, with what had lost and its copy in it. (Seed 674.)
  if (auto copied = paths_.find(name); copied != paths_.end()) {
    const auto by_a_person = [](const Act& act) { return !act.node.empty() && act.after.there; };
    const std::vector<Act>& acts = copied->second.acts;
    if (std::any_of(acts.begin(), acts.end(), by_a_person)) return;
  }
  const State copy = state_of(tree.at(name));
  const Path& path = at->second;
  std::vector<std::size_t> makers;
  for (std::size_t i = 0; i < path.acts.size(); ++i) {
    if (matches(path.acts[i], Part::kContent, copy)) makers.push_back(i);
  }
  if (makers.empty()) return;
  auto seen = tree.find(original);
  if (makers.size() == 1 && seen != tree.end() && state_of(seen->second).same_content(copy)) {
    report(str("I4: needless: ", printable(name), " has the bytes of ", printable(original)));
    return;
  }
  for (const std::size_t maker : makers) {
    const Act& made = path.acts[maker];
    for (std::size_t i = 0; i < path.acts.size(); ++i) {
      const Act& other = path.acts[i];
      if (i == maker) continue;
      if (!made.certain || !other.certain) return;
      if (!other.known.contains(maker) && !made.known.contains(i)) return;
    }
  }
  report(str("I4: needless: ", printable(name), ": nobody was at ", printable(original),
             " without knowing of the others"));
}

void History::check(const SeenTree& tree, const Report& report) const {
  for (const auto& [name, path] : paths_) {
    if (judged(name) && !path.acts.empty()) check_path(name, path, tree, report);
  }
  for (const auto& [name, seen] : tree) check_copy(name, tree, report);
}

}  // namespace lansync::sim
