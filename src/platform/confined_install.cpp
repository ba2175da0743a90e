// The half of ConfinedFileSystem that replaces and removes what a person sees.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "base/log.h"
#include "platform/confined_file_system.h"

namespace lansync {
namespace {

// How often an exchange is taken back and forth while a person saves the same file each time.
constexpr int kUndoTries = 8;

bool not_supported(int why) {
  return why == EINVAL || why == ENOSYS || why == EOPNOTSUPP || why == ENOTTY;
}

Error changed(std::string_view path) {
  return Error{ErrorCode::kChanged, str("changed meanwhile: ", printable(path, 300))};
}

}  // namespace

int ConfinedFileSystem::move_no_replace(const Place& from, const Place& to) {
  auto rename = [&] { return ::renameat2(from.fd, from.name, to.fd, to.name, RENAME_NOREPLACE); };
  auto rename_both = [&] { return with_writable(to.fd, rename); };
  errno = EINVAL;
  if (!limits_.no_noreplace && with_writable(from.fd, rename_both) == 0) return 0;
  if (!not_supported(errno)) return errno;
  // A link never replaces either. Whoever looks between the two calls finds both names.
  auto link = [&] { return ::linkat(from.fd, from.name, to.fd, to.name, 0); };
  errno = EPERM;
  if (!limits_.no_hard_links && with_writable(to.fd, link) == 0) {
    auto unlink = [&] { return ::unlinkat(from.fd, from.name, 0); };
    return with_writable(from.fd, unlink) == 0 ? 0 : errno;
  }
  if (errno != EPERM && errno != EMLINK && !not_supported(errno)) return errno;
  // vfat on an old kernel: nothing here is atomic; look, then rename.
  struct stat st {};
  if (::fstatat(to.fd, to.name, &st, AT_SYMLINK_NOFOLLOW) == 0) return EEXIST;
  if (errno != ENOENT) return errno;
  return ::renameat(from.fd, from.name, to.fd, to.name) == 0 ? 0 : errno;
}

int ConfinedFileSystem::exchange(const Place& a, const Place& b) {
  if (limits_.no_exchange) return EINVAL;
  auto rename = [&] { return ::renameat2(a.fd, a.name, b.fd, b.name, RENAME_EXCHANGE); };
  return with_writable(b.fd, rename) == 0 ? 0 : errno;
}

Result<ParentHandle> ConfinedFileSystem::trash_place(const std::string& trash_name) const {
  // Twice: remove_trash in another thread may clear a directory that was just made.
  auto place = trash_.open_parent(trash_name);
  for (int i = 0; i < 2 && !place && place.error().code == ErrorCode::kNotFound; ++i) {
    LS_TRY(trash_.make_parents(trash_name));
    place = trash_.open_parent(trash_name);
  }
  return place;
}

Result<FileStat> ConfinedFileSystem::install_temp(const std::string& name, const std::string& path,
                                                  const std::optional<FileStat>& expected,
                                                  const std::string& trash_name) {
  LS_TRY(ConfinedDirectory::check_parts(name));
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  if (expected) return replace(name, *parent, *expected, trash_name);
  int why = move_no_replace({temp_.fd(), name.c_str()}, {parent->fd, parent->name.c_str()});
  if (why != 0) return posix_error(why, "put a file at " + path);
  return stat_at(parent->fd, parent->name.c_str(), path);
}

// The order is the point. (1) The old file gets a second name in the trash, so that no crash loses
// it. (2) The temp file is renamed x-<name>: from here on a start moves that name to the trash. (3)
// Exchange: readers see the old file or the new, never nothing. (4) What came out is compared with
// what was expected; anything else is a save that we must not swallow, and goes back.
Result<FileStat> ConfinedFileSystem::replace(const std::string& name, const ParentHandle& parent,
                                             const FileStat& expected,
                                             const std::string& trash_name) {
  const Place target{parent.fd, parent.name.c_str()};
  auto now = stat_at(target.fd, target.name, parent.name);
  if (!now && now.error().code != ErrorCode::kNotFound) return now.error();
  if (!now || !(*now == expected)) return changed(parent.name);
  if (now->kind != FileKind::kFile && now->kind != FileKind::kSymlink) return changed(parent.name);
  auto ours = stat_at(temp_.fd(), name.c_str(), name);
  if (!ours) return ours.error();

  bool linked = false;
  if (!trash_name.empty()) {
    auto link = link_into_trash(parent, expected, trash_name);
    if (!link) return link.error();
    linked = *link;
  }
  auto forget_link = [&] {
    if (linked) (void)remove_trash(trash_name);
  };
  // Never onto a name that is taken: what stands there is a person's, from an earlier failure.
  std::string aside = "x-" + name;
  int moved = move_no_replace({temp_.fd(), name.c_str()}, {temp_.fd(), aside.c_str()});
  for (int number = 1; moved == EEXIST && number <= 100; ++number) {
    aside = str("x-", name, '~', number);
    moved = move_no_replace({temp_.fd(), name.c_str()}, {temp_.fd(), aside.c_str()});
  }
  if (moved != 0) {
    forget_link();
    return posix_error(moved, "rename a temp file");
  }
  const Place temp{temp_.fd(), aside.c_str()};
  Status done;
  if (int why = exchange(temp, target); why == 0) {
    auto out = stat_at(temp.fd, temp.name, name);
    if (!out || !out->same_file_bytes(expected)) {
      forget_link();
      done = undo_exchange(temp, target, *ours, trash_name);
    } else if (linked || trash_name.empty()) {
      if (::unlinkat(temp.fd, temp.name, 0) != 0) done = posix_error(errno, "drop an old file");
    } else {
      done = temp_to_trash(temp.name, trash_name);
    }
    if (!done && done.error().code != ErrorCode::kChanged) return done.error();
  } else if (not_supported(why)) {
    done = replace_without_exchange(temp, target, expected, trash_name, linked);
    if (!done) forget_link();
  } else {
    forget_link();
    done = why == ENOENT ? changed(parent.name) : posix_error(why, "replace " + parent.name);
  }
  if (!done) {
    // Back to its own name, so that the caller can try again with what it has. Not there after an
    // undo that met another save: then x-<name> is in the trash.
    ::renameat2(temp.fd, temp.name, temp_.fd(), name.c_str(), RENAME_NOREPLACE);
    return done.error();
  }
  return stat_at(target.fd, target.name, parent.name);
}

Result<bool> ConfinedFileSystem::link_into_trash(const ParentHandle& parent,
                                                 const FileStat& expected,
                                                 const std::string& trash_name) {
  auto place = trash_place(trash_name);
  if (!place) return place.error();
  if (limits_.no_hard_links) return false;
  if (::linkat(parent.fd, parent.name.c_str(), place->fd, place->name.c_str(), 0) != 0) {
    // EPERM also from fs.protected_hardlinks, for a file that is not ours. EXDEV: btrfs subvolume.
    if (errno == EPERM || errno == EMLINK || errno == EXDEV || not_supported(errno)) return false;
    if (errno == ENOENT) return changed(parent.name);
    if (errno != EEXIST) return posix_error(errno, "keep the old file in the trash");
    auto there = stat_at(place->fd, place->name.c_str(), trash_name);
    if (!there || !there->same_file_bytes(expected)) {
      return Error{ErrorCode::kExists, "that name is taken in the trash"};
    }
    return true;  // a crash came between this and the exchange last time
  }
  auto linked = stat_at(place->fd, place->name.c_str(), trash_name);
  if (linked && linked->same_file_bytes(expected)) return true;
  ::unlinkat(place->fd, place->name.c_str(), 0);
  return changed(parent.name);
}

// Swaps back. If that brings out something else than our own file, a person saved once more after
// the exchange: theirs belongs at the path, and so on for as long as they keep saving.
Status ConfinedFileSystem::undo_exchange(const Place& temp, const Place& target,
                                         const FileStat& ours, const std::string& trash_name) {
  for (int i = 0; i < kUndoTries; ++i) {
    int why = exchange(temp, target);
    // Our file was deleted there meanwhile; what it had replaced was an edit, and edit beats
    // delete.
    if (why == ENOENT) why = move_no_replace(temp, target);
    if (why == EEXIST) continue;
    if (why != 0) return posix_error(why, str("put back ", target.name));
    auto out = stat_at(temp.fd, temp.name, target.name);
    if (!out || out->inode == ours.inode) return changed(target.name);
  }
  std::string kept = trash_name.empty() ? str("undone-", temp.name) : trash_name;
  LS_TRY(temp_to_trash(temp.name, kept));
  return changed(target.name);
}

// For file systems without RENAME_EXCHANGE. The old file has its name in the trash already, so the
// rename over it loses nothing but a save that falls between the last look and the rename.
Status ConfinedFileSystem::replace_without_exchange(const Place& temp, const Place& target,
                                                    const FileStat& expected,
                                                    const std::string& trash_name, bool linked) {
  auto now = stat_at(target.fd, target.name, target.name);
  if (!now || !now->same_file_bytes(expected)) return changed(target.name);
  if (!linked && !trash_name.empty()) {
    // No hard links either: the name is empty for a moment, which beats losing the content.
    auto place = trash_place(trash_name);
    if (!place) return place.error();
    int why = move_no_replace(target, {place->fd, place->name.c_str()});
    if (why != 0) return posix_error(why, "move the old file to the trash");
    why = move_no_replace(temp, target);
    if (why == EEXIST) return changed(target.name);
    return why == 0 ? Status{} : Status(posix_error(why, str("replace ", target.name)));
  }
  auto rename = [&] { return ::renameat(temp.fd, temp.name, target.fd, target.name); };
  if (with_writable(target.fd, rename) != 0) {
    return posix_error(errno, str("replace ", target.name));
  }
  return {};
}

Status ConfinedFileSystem::temp_to_trash(const char* temp_name, const std::string& trash_name) {
  auto place = trash_place(trash_name);
  if (!place) return place.error();
  int why = move_no_replace({temp_.fd(), temp_name}, {place->fd, place->name.c_str()});
  // It stays under its x- name then, and the next start moves it.
  if (why != 0) return posix_error(why, "move the old file to the trash");
  return {};
}

Status ConfinedFileSystem::move_to_trash(const std::string& path, const FileStat& expected,
                                         const std::string& trash_name) {
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  const Place from{parent->fd, parent->name.c_str()};
  auto now = stat_at(from.fd, from.name, path);
  if (!now) return now.error();
  if (!(*now == expected)) return changed(path);
  if (now->kind == FileKind::kDirectory) return changed(path);

  // Dropped ones go through tmp under an x- name: what is removed is what was looked at.
  std::string dropped = str("x-dropped-", ::getpid(), '-', next_dropped_++);
  ParentHandle place;
  if (trash_name.empty()) {
    place.fd = temp_.fd();
    place.name = dropped;
  } else {
    auto made = trash_place(trash_name);
    if (!made) return made.error();
    place = std::move(*made);
  }
  const Place to{place.fd, place.name.c_str()};
  int why = move_no_replace(from, to);
  if (why == EEXIST) {
    auto there = stat_at(to.fd, to.name, trash_name);
    if (!there || !there->same_file_bytes(expected)) return posix_error(why, "fill the trash");
    // The link that a crashed replace left: the content is safe, only the name has to go.
    auto unlink = [&] { return ::unlinkat(from.fd, from.name, 0); };
    return with_writable(from.fd, unlink) == 0 ? Status{} : posix_error(errno, "remove " + path);
  }
  if (why != 0) return posix_error(why, "move to the trash " + path);
  auto moved = stat_at(to.fd, to.name, path);
  if (!moved || !moved->same_file_bytes(expected)) {
    // If something newer took the name already, the trash is where this belongs.
    move_no_replace(to, from);
    return changed(path);
  }
  if (trash_name.empty() && ::unlinkat(to.fd, to.name, 0) != 0) {
    return posix_error(errno, "remove " + path);
  }
  return {};
}

Result<FileStat> ConfinedFileSystem::make_symlink(const std::string& target,
                                                  const std::string& path,
                                                  const std::optional<FileStat>& expected,
                                                  const std::string& trash_name) {
  if (target.empty() || target.size() > 4095 || target.find('\0') != std::string::npos) {
    return Error{ErrorCode::kRefused, "a link that leads to no possible name"};
  }
  std::string name = str("s-", ::getpid(), '-', next_symlink_++);
  if (::symlinkat(target.c_str(), temp_.fd(), name.c_str()) != 0) {
    return posix_error(errno, "make a link for " + path);
  }
  auto made = install_temp(name, path, expected, trash_name);
  if (!made) (void)remove_temp(name);
  return made;
}

Status ConfinedFileSystem::restore_from_trash(const std::string& trash_name,
                                              const std::string& path) {
  auto place = trash_.open_parent(trash_name);
  if (!place) return place.error();
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  int why = move_no_replace({place->fd, place->name.c_str()}, {parent->fd, parent->name.c_str()});
  if (why != 0) return posix_error(why, "bring back " + path);
  return {};
}

Result<FileStat> ConfinedFileSystem::install_trash(const std::string& trash_name,
                                                   const std::string& path,
                                                   const FileStat& expected) {
  auto place = trash_.open_parent(trash_name);
  if (!place) return place.error();
  auto parent = parent_of(path);
  if (!parent) return parent.error();
  const Place from{place->fd, place->name.c_str()};
  const Place to{parent->fd, parent->name.c_str()};
  auto lies = stat_at(from.fd, from.name, trash_name);
  if (!lies) return lies.error();
  if (!lies->same_file_bytes(expected)) return changed(trash_name);
  if (int why = move_no_replace(from, to); why != 0)
    return posix_error(why, "put a file at " + path);
  auto now = stat_at(to.fd, to.name, path);
  if (now && !now->same_file_bytes(expected)) {
    // A person was faster, with the one name or the other: theirs is looked at where it stands.
    return changed(path);
  }
  return now;
}

Status ConfinedFileSystem::remove_trash(const std::string& trash_name) {
  auto place = trash_.open_parent(trash_name);
  if (!place) {
    return place.error().code == ErrorCode::kNotFound ? Status{} : Status(place.error());
  }
  if (::unlinkat(place->fd, place->name.c_str(), 0) != 0 && errno != ENOENT) {
    return posix_error(errno, "remove from the trash " + trash_name);
  }
  // Directories of the trash go with their last file.
  std::string above = trash_name;
  for (std::size_t slash = above.rfind('/'); slash != std::string::npos; slash = above.rfind('/')) {
    above.resize(slash);
    auto parent = trash_.open_parent(above);
    if (!parent || ::unlinkat(parent->fd, parent->name.c_str(), AT_REMOVEDIR) != 0) break;
  }
  return {};
}

}  // namespace lansync
