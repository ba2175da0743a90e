#include "app/download_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <ostream>
#include <vector>

#include "app/control_client.h"
#include "app/fetch_progress.h"
#include "app/report_json.h"
#include "app/units.h"
#include "base/log.h"
#include "base/rel_path.h"
#include "platform/posix.h"
#include "sync/hashing.h"

namespace lansync {
namespace {

constexpr Duration kGiveBackTimeout = 2s;

Error failed(const std::string& what, const std::string& path) {
  return Error{ErrorCode::kIo,
               str(printable(path, 300), " cannot be ", what, ": ", std::strerror(errno))};
}

// FILE, or FILE/NAME's last part if FILE is a directory.
std::string target_of(const std::string& output, const std::string& name) {
  struct stat info {};
  bool directory = ::stat(output.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  if (!directory) return output;
  return str(output, output.ends_with('/') ? "" : "/", last_part(name));
}

// All of `from` into `to`; the bytes' MD5.
Result<Md5> copy_bytes(int from, int to, const std::string& source, const std::string& target) {
  ContentHasher hasher;
  std::vector<std::uint8_t> buffer(1 << 20);
  for (;;) {
    ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", source);
    if (got == 0) return hasher.finish().md5;
    hasher.update(ByteView(buffer).first(static_cast<std::size_t>(got)));
    for (ssize_t done = 0; done < got;) {
      ssize_t put = ::write(to, buffer.data() + done, static_cast<std::size_t>(got - done));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failed("written", target);
      done += put;
    }
  }
}

Status fill(int from, int to, const std::string& source, const std::string& target,
            const DownloadReport& report) {
  Result<Md5> md5 = copy_bytes(from, to, source, target);
  if (!md5) return md5.error();
  if (to_hex(*md5) != report.md5) {
    return Error{ErrorCode::kChanged,
                 str(printable(report.name, 300), " changed while it was copied: try again")};
  }
  timespec times[2]{};
  times[0].tv_nsec = UTIME_OMIT;
  times[1].tv_sec = static_cast<time_t>(report.mtime.ns / 1'000'000'000);
  times[1].tv_nsec = static_cast<long>(report.mtime.ns % 1'000'000'000);
  if (times[1].tv_nsec < 0) {
    times[1].tv_nsec += 1'000'000'000;
    --times[1].tv_sec;
  }
  mode_t mask = ::umask(0);
  ::umask(mask);
  // A disk without modes or times (vfat) still holds the bytes.
  (void)::fchmod(to, static_cast<mode_t>(report.mode & 0777) & ~mask);
  (void)::futimens(to, times);
  return ::fsync(to) == 0 ? Status() : failed("written", target);
}

// Before anything is fetched: whether `target` can be written, and is nothing that a rename over it
// would take away (a device: /dev/null was replaced once; a pipe; a link; the node's own files).
Status check_output(const std::string& target) {
  const std::size_t slash = target.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : target.substr(0, slash + 1);
  const std::unique_ptr<char, void (*)(void*)> place(::realpath(parent.c_str(), nullptr), ::free);
  if (!place) return failed("written", target);
  if (str(place.get(), "/").find("/.lansync/") != std::string::npos)
    return Error{ErrorCode::kRefused,
                 str(printable(target, 300), " is a node's own place: choose another")};
  struct stat st {};
  if (::lstat(target.c_str(), &st) != 0)
    return errno == ENOENT ? Status() : failed("written", target);
  if (S_ISREG(st.st_mode)) return {};
  return Error{
      ErrorCode::kRefused,
      str(printable(target, 300), S_ISDIR(st.st_mode) ? " is a directory" : " is no plain file",
          ": it would be replaced; choose another name")};
}

Status write_output(const CommandLine& command, const DownloadReport& report,
                    const std::function<void()>& opened) {
  const std::string source = str(command.dir, "/", report.file);
  const std::string target = target_of(command.output, report.name);
  if (Status fine = check_output(target); !fine) {
    opened();
    return fine;
  }
  UniqueFd from(::open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  const int why = errno;
  opened();
  errno = why;
  if (from.get() < 0) return failed("read", source);
  std::string temp = target + ".lansync-XXXXXX";
  UniqueFd to(::mkostemp(temp.data(), O_CLOEXEC));
  if (to.get() < 0) return failed("written", target);
  Status status = fill(from.get(), to.get(), source, target, report);
  if (status && ::rename(temp.c_str(), target.c_str()) != 0) status = failed("written", target);
  if (!status) (void)::unlink(temp.c_str());
  return status;
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", seconds);
  return text;
}

std::string text_of(const DownloadReport& report, const std::string& where) {
  return str("name      ", printable(report.name), "\nsize      ", report.size, " (",
             format_size(report.size), ")\nmodified  ", to_iso8601(report.mtime), "\nmd5       ",
             report.md5, "\nfrom      ", printable(report.peer, 200), "\ncarrier   ",
             report.carrier, "\nseconds   ", seconds_text(report.seconds),
             where.empty() ? "" : "\nwritten   ", printable(where), "\n");
}

}  // namespace

std::optional<int> run_download_command(const CommandLine& command, const CommandStreams& streams) {
  if (command.command != "download") return std::nullopt;
  if (!command.output.empty()) {
    const Status fine = check_output(target_of(command.output, command.names.front()));
    if (!fine) {
      streams.error << "lansync: " << fine.error().detail << '\n';
      return kExitFailed;
    }
  }
  Json arguments{{"name", command.names.front()},
                 {"peer", command.peer},
                 {"carrier", to_string(command.carrier)},
                 {"aside", !command.output.empty()}};
  ControlAnswer answer;
  {
    FetchProgress progress(command, streams);
    answer = ask_node(command.dir, "download", arguments, std::nullopt);
  }
  if (answer.exit_code != kExitDone) {
    streams.error << "lansync: " << answer.error << '\n';
    return answer.exit_code;
  }
  auto report = from_json_text<DownloadReport>(answer.result);
  std::string where;
  if (!command.output.empty()) {
    Status written = write_output(command, report, [&] {
      // What is open stays readable: the node may clear its temp file away.
      (void)ask_node(command.dir, "download-give-back", Json{{"token", report.token}},
                     kGiveBackTimeout);
    });
    if (!written) {
      streams.error << "lansync: " << written.error().detail << '\n';
      return kExitFailed;
    }
    where = target_of(command.output, report.name);
  }
  report.file.clear();
  if (command.json) {
    streams.out << json_line(to_json_document(report)) << '\n';
  } else {
    streams.out << text_of(report, where);
  }
  streams.out.flush();
  if (streams.out) return kExitDone;
  streams.error << "lansync: cannot write the answer\n";
  return kExitFailed;
}

}  // namespace lansync
