#include "app/settings.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "app/units.h"
#include "platform/private_file.h"

namespace lansync {
namespace {

// As long as the wire allows (transport's kMaxNodeName).
constexpr std::size_t kMaxNameBytes = 64;
constexpr std::size_t kMaxListItems = 256;
constexpr std::uint64_t kMaxConfigBytes = 1024 * 1024;

Error wrong(const std::string& what) { return Error{ErrorCode::kRefused, what}; }

template <typename T>
std::optional<T> parse_whole(std::string_view text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

template <typename T>
using Choices = std::vector<std::pair<std::string_view, T>>;

template <typename T>
Status choose(std::string_view text, const Choices<T>& choices, T& out) {
  std::string all;
  for (const auto& [word, value] : choices) {
    if (word == text) {
      out = value;
      return {};
    }
    all += (all.empty() ? "" : ", ") + std::string(word);
  }
  return wrong(str("'", printable(text, 64), "' is not one of ", all));
}

Status take_duration(std::string_view text, Duration least, Duration& out) {
  std::optional<Duration> value = parse_duration(text);
  if (!value)
    return wrong(str("'", printable(text, 64), "' is not a duration: write 500ms, 2s, 10m, 1h"));
  if (*value < least || *value > 24h * 366)
    return wrong(str("'", printable(text, 64), "' is out of range: at least ", to_string(least)));
  out = *value;
  return {};
}

// A name goes to other people's terminals and into file names of conflict copies.
Status take_name(std::string_view text, std::string& out) {
  if (text.empty() || text.size() > kMaxNameBytes)
    return wrong(str("takes 1 to ", kMaxNameBytes, " bytes"));
  if (printable(text) != text || text.find('/') != std::string_view::npos)
    return wrong(str("'", printable(text), "' holds a byte that is not printable, or a '/'"));
  out = text;
  return {};
}

Status take_peer(const std::string& text) {
  std::string_view host = text;
  std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos) {
    auto port = parse_whole<std::uint16_t>(host.substr(colon + 1));
    if (!port || *port == 0)
      return wrong(
          str("'", printable(text, 300), "' has no valid port after the colon (1 to 65535)"));
    host = host.substr(0, colon);
  }
  bool fits = !host.empty() && host.size() <= 253 &&
              std::all_of(host.begin(), host.end(), [](unsigned char c) {
                return std::isalnum(c) || c == '.' || c == '-' || c == '_';
              });
  if (!fits) return wrong(str("'", printable(text, 300), "' is not HOST or HOST:PORT"));
  return {};
}

Status take_port(std::string_view text, RunOptions& out) {
  auto port = parse_whole<std::uint16_t>(text);
  // The lane is on the port after it; beacons own 27800.
  if (!port || *port == 0 || *port == 65535)
    return wrong(str("'", printable(text, 64), "' is no port: 1 to 65534"));
  if (*port == 27800 || *port == 27799)
    return wrong("27800 is the beacons' port: give another, 27801 for example");
  out.port = *port;
  out.port_given = true;
  return {};
}

Status take_max_deletes(std::string_view text, MaxDeletes& out) {
  auto limit = parse_max_deletes(text);
  if (!limit) return wrong("takes a number of files or 0% to 100%");
  out = *limit;
  return {};
}

Status take_size(std::string_view text, bool rate, std::optional<std::uint64_t>& out) {
  out = rate ? parse_rate(text) : parse_size(text);
  if (!out || *out == 0)
    return wrong(str("'", printable(text, 64), "' is no ", rate ? "rate" : "size",
                     ": write 500k, 20M, 1.5G (powers of 1000) or 64Mi (of 1024)"));
  return {};
}

Status take_flag(std::string_view text, bool& out) {
  return choose<bool>(text, {{"true", true}, {"false", false}}, out);
}

// One setting's text into its field. `base` is what a relative file name stands against.
Status apply_one(std::string_view key, const std::string& text, const std::string& base,
                 RunOptions& out) {
  if (key == "role")
    return choose<ManualRole>(text,
                              {{"auto", ManualRole::kAuto},
                               {"server", ManualRole::kServer},
                               {"proxy", ManualRole::kProxy},
                               {"client", ManualRole::kClient}},
                              out.role);
  if (key == "group") return take_name(text, out.group);
  if (key == "name") return take_name(text, out.name);
  if (key == "port") return take_port(text, out);
  if (key == "carrier")
    return choose<CarrierChoice>(text,
                                 {{"auto", CarrierChoice::kAuto},
                                  {"enet", CarrierChoice::kEnet},
                                  {"lane", CarrierChoice::kLane},
                                  {"tcp", CarrierChoice::kTcp}},
                                 out.carrier);
  if (key == "on-demand") return take_flag(text, out.on_demand);
  if (key == "force-dir") return take_flag(text, out.force_dir);
  if (key == "copies") {
    auto copies = parse_whole<std::uint32_t>(text);
    if (!copies || *copies == 0 || *copies > 1000) return wrong("takes a number from 1 to 1000");
    out.copies = *copies;
    return {};
  }
  if (key == "settle") return take_duration(text, 0ms, out.settle);
  if (key == "settle-max") return take_duration(text, 0ms, out.settle_max);
  if (key == "rescan") return take_duration(text, 1s, out.rescan);
  if (key == "uploads")
    return choose<UploadPolicy>(text,
                                {{"allow", UploadPolicy::kAllow},
                                 {"ask", UploadPolicy::kAsk},
                                 {"deny", UploadPolicy::kDeny}},
                                out.uploads);
  if (key == "limit") return take_size(text, true, out.limit);
  if (key == "max-file-size") return take_size(text, false, out.max_file_size);
  if (key == "max-deletes") return take_max_deletes(text, out.max_deletes);
  if (key == "log-level")
    return choose<LogLevel>(text,
                            {{"trace", LogLevel::kTrace},
                             {"debug", LogLevel::kDebug},
                             {"info", LogLevel::kInfo},
                             {"warn", LogLevel::kWarn},
                             {"error", LogLevel::kError}},
                            out.log_level);
  if (text.empty()) return wrong("takes a name, not nothing");
  if (key == "log-file") out.log_file = absolute_path(text, base);
  if (key == "keylog") out.keylog = absolute_path(text, base);
  if (key == "interface") {
    // IFNAMSIZ is 16 with the final zero.
    if (text.size() > 15) return wrong(str("'", printable(text, 64), "' is no interface name"));
    out.interfaces.push_back(text);
  }
  if (key == "peer") {
    LS_TRY(take_peer(text));
    out.peers.push_back(text);
  }
  return {};  // password-file is read after all others
}

Status apply_all(const SettingTexts& texts, const std::string& prefix, const std::string& base,
                 RunOptions& out) {
  for (const auto& [key, values] : texts) {
    if (values.size() > kMaxListItems)
      return wrong(str(prefix, key, ": more than ", kMaxListItems, " values"));
    // What stands on the command line replaces a list of the config file; it does not add to it.
    if (key == "interface") out.interfaces.clear();
    if (key == "peer") out.peers.clear();
    for (const std::string& value : values) {
      Status status = apply_one(key, value, base, out);
      if (!status) return wrong(str(prefix, key, ": ", status.error().detail));
    }
  }
  return {};
}

Status check_password(const std::string& password, const std::string& from) {
  auto characters =
      static_cast<std::size_t>(std::count_if(password.begin(), password.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
      }));
  if (characters < kMinPasswordCharacters)
    return wrong(str("the password in ", from, " has under ", kMinPasswordCharacters,
                     " characters: `lansync genpass` makes a good one"));
  if (password.size() > kMaxPasswordBytes)
    return wrong(str("the password in ", from, " is longer than ", kMaxPasswordBytes, " bytes"));
  return {};
}

// It would go to all members like any other file of the folder.
bool synced(const std::string& file, const std::string& dir) {
  return lies_below(file, dir) && !lies_below(file, dir + "/.lansync");
}

Status check_outputs(const RunOptions& options) {
  if (!options.keylog.empty() && synced(options.keylog, options.dir))
    return wrong(str("keylog: ", printable(options.keylog),
                     " is in the folder, and would be synced: name a file outside it"));
  if (options.log_file.empty()) return {};
  // Each line would be a change to sync, and what is synced makes a line.
  if (synced(options.log_file, options.dir))
    return wrong(str("log-file: ", printable(options.log_file),
                     " is in the folder, and would be synced: name a file outside it, or ",
                     printable(options.dir), "/.lansync/node.log"));
  Status usable = check_log_file(options.log_file);
  return usable ? usable : wrong(str("log-file: ", usable.error().detail));
}

// Who could write it could have this node log its keys or dial somebody.
Result<std::string> read_config(const std::string& file, const std::string& dir) {
  struct stat folder {};
  std::optional<uid_t> owner;
  if (::stat(dir.c_str(), &folder) == 0) owner = folder.st_uid;
  Result<GuardedText> read = read_guarded_file(file, kMaxConfigBytes, owner);
  if (!read) return read.error();
  return std::move(read->text);
}

// The command line, then the environment, then the config file.
Status take_password(const SettingTexts& command_line, const SettingTexts& config,
                     const Environment& environment, RunOptions& out) {
  std::string file;
  std::optional<std::string> variable = environment.variable("LANSYNC_PASSWORD");
  if (auto at = command_line.find("password-file"); at != command_line.end()) {
    file = absolute_path(at->second.back(), environment.current_directory);
  } else if (variable) {
    out.password = *variable;
    out.password_from = "$LANSYNC_PASSWORD";
    return check_password(out.password, out.password_from);
  } else if (at = config.find("password-file"); at != config.end()) {
    file = absolute_path(at->second.back(), out.dir);
  } else {
    return {};
  }
  Result<GuardedText> read = read_guarded_file(file, kMaxPasswordBytes + 2);
  if (!read) return wrong(str("password-file: ", read.error().detail));
  std::string& text = read->text;
  // An editor ends the last line; that is not part of the password.
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  out.password = std::move(text);
  out.password_from = str("the file ", printable(file));
  if (read->others_read || read->others_write)
    out.warnings.push_back(str("others on this machine can ",
                               read->others_write ? "change" : "read", " the password in ",
                               printable(file), ": chmod 600 it"));
  if (synced(file, out.dir))
    out.warnings.push_back(str("the password in ", printable(file),
                               " is synced with the folder: keep it outside, so that `lansync "
                               "invite --new-password` can shut a lost machine out"));
  return check_password(out.password, out.password_from);
}

}  // namespace

const char* to_string(UploadPolicy policy) {
  switch (policy) {
    case UploadPolicy::kAllow:
      return "allow";
    case UploadPolicy::kDeny:
      return "deny";
    case UploadPolicy::kAsk:
      break;
  }
  return "ask";
}

const std::vector<Setting>& settings() {
  using enum SettingType;
  static const std::vector<Setting> kSettings{
      {"role", kText, "auto|server|proxy|client", "role to take (default auto)"},
      {"group", kText, "NAME", "the group to be in (default lansync)"},
      {"password-file", kText, "FILE", "the group's password; else $LANSYNC_PASSWORD, else open"},
      {"name", kText, "NAME", "this node's name (default: the host's)"},
      {"interface", kList, "IF", "use this interface (repeatable; default: all of the LAN)"},
      {"peer", kList, "HOST[:PORT]", "also dial this address (repeatable)"},
      {"port", kNumber, "N", "N/udp, N/tcp, (N+1)/udp (default 27801, or the next free pair)"},
      {"carrier", kText, "auto|enet|lane|tcp", "how content is asked for (default auto)"},
      {"on-demand", kFlag, "", "know everything, fetch content only when asked"},
      {"copies", kNumber, "N", "wanted copies of a new file under a proxy (default 2)"},
      {"settle", kText, "DUR", "quiet time after an edit before it goes out (default 2s)"},
      {"settle-max", kText, "DUR", "longest quiet time of a file that keeps changing (60s)"},
      {"rescan", kText, "DUR", "time between looks at the whole folder (default 10m)"},
      {"uploads", kText, "allow|ask|deny", "what an incoming upload gets (default ask)"},
      {"limit", kTextOrNumber, "RATE", "bytes a second sent at most, e.g. 20M (default none)"},
      {"max-deletes", kTextOrNumber, "N|P%",
       "hold more deletes than that (default 50% and more than 50)"},
      {"max-file-size", kTextOrNumber, "SIZE", "do not take larger files (default none)"},
      {"log-level", kText, "LEVEL", "trace, debug, info, warn or error (default info)"},
      {"log-file", kText, "FILE", "log there (default stderr)"},
      {"keylog", kText, "FILE", "write session secrets there, for lansync-sniff"},
  };
  return kSettings;
}

const Setting* find_setting(std::string_view key) {
  for (const Setting& setting : settings())
    if (setting.key == key) return &setting;
  return nullptr;
}

Result<RunOptions> resolve_run_options(const std::string& dir, const SettingTexts& command_line,
                                       const Environment& environment) {
  RunOptions out;
  out.dir = dir;
  SettingTexts config;
  std::string file = dir + "/.lansync/config.toml";
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0) {
    // A pipe would be waited for, at each start.
    if (!S_ISREG(info.st_mode))
      return wrong(str(printable(file), " is no plain file: put one in its place, or remove it"));
    Result<std::string> text = read_config(file, dir);
    if (!text) return text.error();
    Result<SettingTexts> parsed = parse_config(*text, printable(file));
    if (!parsed) return parsed.error();
    config = std::move(*parsed);
    LS_TRY(apply_all(config, printable(file) + ": ", dir, out));
  }
  LS_TRY(apply_all(command_line, "--", environment.current_directory, out));
  LS_TRY(take_password(command_line, config, environment, out));
  LS_TRY(check_outputs(out));
  if (out.settle_max < out.settle) {
    // `--settle 2m` alone is clear enough; both given and crossed is not.
    bool given = command_line.count("settle-max") != 0 || config.count("settle-max") != 0;
    if (given && command_line.count("settle") + config.count("settle") != 0)
      return wrong("settle is longer than settle-max: make settle-max at least as long");
    if (given)
      out.settle = out.settle_max;
    else
      out.settle_max = out.settle;
  }
  if (out.name.empty()) {
    // A host name is set by the machine's owner, but may hold anything; a node needs some name.
    std::string host = environment.host_name.substr(0, kMaxNameBytes);
    if (!take_name(host, out.name)) out.name = "node";
  }
  if (!out.keylog.empty())
    out.warnings.push_back(str("--keylog writes secrets to ", printable(out.keylog),
                               ": whoever reads it can open this node's traffic"));
  return out;
}

}  // namespace lansync
