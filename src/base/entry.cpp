#include "base/entry.h"

#include "base/role.h"

namespace lansync {

bool same_content(const Entry& a, const Entry& b) {
  if (a.kind != b.kind) return false;
  if (a.is_file()) return a.size == b.size && a.content == b.content;
  if (a.is_symlink()) return a.target == b.target;
  return true;
}

bool same_on_disk(const Entry& a, const Entry& b) {
  if (!same_content(a, b)) return false;
  if (a.is_file()) return a.mode == b.mode && a.mtime_ns == b.mtime_ns;
  if (a.is_directory()) return a.mode == b.mode;
  return true;
}

void note_edits(Entry& made, const Entry* before, const VersionVector& grown_from) {
  const Edit edit = edit_between(grown_from, made.version);
  made.edits = {edit, edit, edit};
  if (before == nullptr || before->kind != made.kind) return;
  if (same_content(made, *before)) made.edits.content = before->edits.content;
  if (made.mode == before->mode) made.edits.mode = before->edits.mode;
  if (made.mtime_ns == before->mtime_ns) made.edits.mtime = before->edits.mtime;
}

const char* to_string(Role role) {
  switch (role) {
    case Role::kNone:
      return "none";
    case Role::kServer:
      return "server";
    case Role::kProxy:
      return "proxy";
    case Role::kClient:
      return "client";
  }
  return "none";
}

const char* to_string(ManualRole role) {
  switch (role) {
    case ManualRole::kAuto:
      return "auto";
    case ManualRole::kServer:
      return "server";
    case ManualRole::kProxy:
      return "proxy";
    case ManualRole::kClient:
      return "client";
  }
  return "auto";
}

}  // namespace lansync
