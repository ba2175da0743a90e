#include "app/control_path.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>

#include "base/log.h"
#include "base/time.h"
#include "platform/posix.h"
#include "platform/start_thread.h"

namespace lansync {
namespace {

constexpr const char* kSocketName = "control.sock";
// CONTRACT: status answers within 1 s, also that the disk does not.
constexpr Duration kDiskPatience = 500ms;
constexpr Duration kLastPatience = 4s;

std::uint64_t inode_at(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? std::uint64_t{info.st_ino} : 0;
}

// A directory of our own, or /tmp: what is made there under a known name is checked by its owner.
std::string refuge_base(const RuntimeDir& runtime_dir) {
  struct stat info {};
  const bool fits = runtime_dir && runtime_dir->starts_with('/') &&
                    ::stat(runtime_dir->c_str(), &info) == 0 && info.st_uid == ::geteuid() &&
                    (info.st_mode & 022) == 0;
  return fits ? *runtime_dir : "/tmp";
}

// FNV-1a: names a folder, hides nothing.
std::string refuge_path(const std::string& base, const std::string& dir) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char letter : dir) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return str(base, "/lansync-", ::geteuid(), '-', text, ".sock");
}

Error system_error(const std::string& what) {
  int code = errno;
  ErrorCode kind = code == ENOENT || code == ECONNREFUSED ? ErrorCode::kNotFound
                   : code == EACCES || code == EPERM      ? ErrorCode::kDenied
                                                          : ErrorCode::kIo;
  return Error{kind, str(what, ": ", std::strerror(code))};
}

// Calls bind or connect on the socket file `path`, however long its directory's path is.
int with_address(const std::string& path, int fd, int (*call)(int, const sockaddr*, socklen_t)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string text = path;
  int directory = -1;
  if (text.size() >= sizeof address.sun_path) {
    std::size_t slash = path.rfind('/');
    directory = ::open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return -1;
    text = str("/proc/self/fd/", directory, path.substr(slash));
  }
  int result = -1;
  if (text.size() < sizeof address.sun_path) {
    std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
    result = call(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } else {
    errno = ENAMETOOLONG;
  }
  int code = errno;
  if (directory >= 0) ::close(directory);
  errno = code;
  return result;
}

// -1 with errno set. The mode is set before bind, which takes it over: no moment with another one.
int bind_at(const std::string& path) {
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  ::unlink(path.c_str());
  if (::fchmod(fd, 0600) == 0 && with_address(path, fd, ::bind) == 0 && ::listen(fd, 64) == 0)
    return fd;
  int code = errno;
  ::close(fd);
  errno = code;
  return -1;
}

// Beside others' files: a directory of our own with a name that nobody can guess.
// $XDG_RUNTIME_DIR is somebody else's after `sudo -E`, and could be renamed under the socket; /tmp
// is sticky.
Result<std::string> make_private_dir(const RuntimeDir& runtime_dir) {
  const std::string base = refuge_base(runtime_dir);
  std::string name = base + "/lansync-XXXXXX";
  if (!::mkdtemp(name.data())) return system_error("cannot make a directory in " + printable(base));
  return name;
}

std::string pointer_path(const std::string& dir) { return dir + "/.lansync/control.path"; }

// What a control.path of `dir` names; "" if there is none.
std::string read_pointer(const std::string& dir) {
  // Whatever stands under that name: a pipe that nobody writes to would hang every command.
  const Result<std::string> text = read_small_file(pointer_path(dir), 4096);
  if (!text) return "";
  const std::string path = text->substr(0, text->find('\n'));
  return !path.empty() && path.front() == '/' ? path : "";
}

// A node that was killed left its directory behind. Only what looks like one of ours is removed.
void remove_stale_pointer(const std::string& dir) {
  std::string path = read_pointer(dir);
  std::string ending = std::string("/") + kSocketName;
  if (path.ends_with(ending) && path.find("/lansync-") != std::string::npos) {
    ::unlink(path.c_str());
    ::rmdir(path.substr(0, path.size() - ending.size()).c_str());
  }
  ::unlink(pointer_path(dir).c_str());
}

// A node that was killed while its folder was gone left its socket here, where nothing else takes
// it away: whoever looks for that node does. Of a node that lives the kernel refuses nothing, but
// for the moment between bind and listen; it makes its socket anew then
// (RunningNode::look_after_control).
int connect_or_clean(const std::string& path, int fd) {
  if (with_address(path, fd, ::connect) == 0) return 0;
  const int code = errno;
  struct stat info {};
  if (code == ECONNREFUSED && ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode) &&
      info.st_uid == ::geteuid())
    ::unlink(path.c_str());
  errno = code;
  return -1;
}

// The person's environment may be another than the node's.
int connect_refuge_of(const std::string& real, int fd) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  const std::string own = refuge_base(runtime ? RuntimeDir(runtime) : std::nullopt);
  if (connect_or_clean(refuge_path(own, real), fd) == 0) return 0;
  return connect_or_clean(refuge_path(refuge_base(std::nullopt), real), fd);
}

int connect_refuge(const std::string& dir, int fd) {
  std::error_code failed;
  return connect_refuge_of(std::filesystem::weakly_canonical(dir, failed).string(), fd);
}

}  // namespace

Result<ControlListener> listen_control(const std::string& dir, const RuntimeDir& runtime_dir,
                                       bool avoid_dir) {
  remove_stale_pointer(dir);
  ControlListener out;
  out.path = dir + "/.lansync/" + kSocketName;
  if (!avoid_dir && (out.fd = bind_at(out.path)) >= 0) {
    out.inode = inode_at(out.path);
    return out;
  }
  Result<std::string> made = make_private_dir(runtime_dir);
  if (!made) return made.error();
  out.private_dir = *made;
  out.path = *made + "/" + kSocketName;
  out.fd = bind_at(out.path);
  if (out.fd < 0) {
    Error error = system_error("cannot make the control socket " + printable(out.path));
    ::rmdir(made->c_str());
    return error;
  }
  out.inode = inode_at(out.path);
  out.pointer = pointer_path(dir);
  std::ofstream file(out.pointer, std::ios::binary | std::ios::trunc);
  file << out.path << '\n';
  file.close();
  if (!file) {
    Error error = system_error("cannot write " + printable(out.pointer));
    close_control(out);
    return error;
  }
  return out;
}

Result<ControlListener> listen_refuge(const std::string& dir, const RuntimeDir& runtime_dir) {
  ControlListener out;
  out.path = refuge_path(refuge_base(runtime_dir), dir);
  out.fd = bind_at(out.path);
  if (out.fd < 0) return system_error("cannot make the control socket " + printable(out.path));
  out.inode = inode_at(out.path);
  return out;
}

void close_control(const ControlListener& listener) {
  if (listener.fd >= 0) ::close(listener.fd);
  // A node that was started where our folder was has a socket of that name.
  if (listener.inode == inode_at(listener.path)) ::unlink(listener.path.c_str());
  if (!listener.pointer.empty()) ::unlink(listener.pointer.c_str());
  if (!listener.private_dir.empty()) ::rmdir(listener.private_dir.c_str());
}

bool is_in_place(const ControlListener& listener) {
  return inode_at(listener.path) == listener.inode &&
         (listener.pointer.empty() || inode_at(listener.pointer) != 0);
}

bool has_refuge(const std::string& dir) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd.valid() && connect_refuge(dir, fd.get()) == 0;
}

Result<int> connect_control(const std::string& dir) {
  struct stat place {};
  const bool there = ::stat(dir.c_str(), &place) == 0;
  Error none{ErrorCode::kNotFound,
             there ? str("no node is running in ", printable(dir), ": start one with `lansync ",
                         printable(dir), "`; one that runs elsewhere is asked with -C DIR")
                   : str("no node is running in ", printable(dir),
                         ", which does not exist: `-C DIR` names the folder of the node to ask")};
  std::string path = dir + "/.lansync/" + kSocketName;
  std::string elsewhere = read_pointer(dir);
  if (!elsewhere.empty()) path = elsewhere;
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error("cannot make a socket");
  int connected = with_address(path, fd, ::connect);
  const int first = errno;
  if (connected != 0 && (first == ENOENT || first == ECONNREFUSED || first == ENOTDIR))
    connected = connect_refuge(dir, fd);
  if (connected != 0) errno = first;
  if (connected != 0) {
    int code = errno;
    ::close(fd);
    errno = code;
    if (code == ENOENT || code == ECONNREFUSED || code == ENOTDIR) return none;
    if (code == EAGAIN)
      return Error{ErrorCode::kBusy, "the node there has too much to answer: try again"};
    return system_error("cannot ask the node in " + printable(dir));
  }
  // A socket somewhere else may have been put there by anybody: only the folder's owner may answer.
  ucred peer{};
  socklen_t size = sizeof peer;
  struct stat info {};
  bool ours = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
              (peer.uid == ::geteuid() || peer.uid == 0 ||
               (::stat((dir + "/.lansync").c_str(), &info) == 0 && peer.uid == info.st_uid));
  if (!ours) {
    ::close(fd);
    return Error{ErrorCode::kDenied,
                 str("the control socket of ", printable(dir), " belongs to another user")};
  }
  return fd;
}

Result<int> connect_control_in_time(const std::string& dir) {
  // The thread may stay behind, with what it holds: it ends with the process.
  auto connected = std::make_shared<std::promise<Result<int>>>();
  std::future<Result<int>> answer = connected->get_future();
  auto look = start_thread([dir, connected] { connected->set_value(connect_control(dir)); });
  if (!look) return connect_control(dir);
  look->detach();
  if (answer.wait_for(kDiskPatience) == std::future_status::ready) return answer.get();
  std::error_code failed;
  const std::string named = std::filesystem::absolute(dir, failed).lexically_normal().string();
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.valid() && connect_refuge_of(named, fd.get()) == 0) return fd.release();
  if (answer.wait_for(kLastPatience) == std::future_status::ready) return answer.get();
  return Error{ErrorCode::kBusy,
               str("the disk of ", printable(dir), " does not answer: try again when it does")};
}

}  // namespace lansync
