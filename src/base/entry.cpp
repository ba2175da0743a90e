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
