// What a node is started with: the options of CONTRACT "The node", from the command line and from
// DIR/.lansync/config.toml.
//
// One table of settings serves both, so that a key cannot mean two things; the command line wins.
// Driven once at start, by main.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/environment.h"
#include "base/carrier_choice.h"
#include "base/log.h"
#include "base/result.h"
#include "base/role.h"
#include "base/time.h"
#include "sync/max_deletes.h"

namespace lansync {

enum class UploadPolicy : std::uint8_t { kAllow, kAsk, kDeny };
const char* to_string(UploadPolicy policy);

inline constexpr std::uint16_t kDefaultPort = 27801;
inline constexpr std::size_t kMinPasswordCharacters = 8;
inline constexpr std::size_t kMaxPasswordBytes = 1024;

struct RunOptions {
  std::string dir;  // absolute
  ManualRole role = ManualRole::kAuto;
  std::string group = "lansync";
  std::string password;       // empty: an open group
  std::string password_from;  // "the file X", "$LANSYNC_PASSWORD"; "" for an open group
  std::string name;
  std::vector<std::string> interfaces;  // empty: by default rules
  std::vector<std::string> peers;       // HOST or HOST:PORT
  std::uint16_t port = kDefaultPort;
  bool port_given = false;  // busy is an error then, not a reason to take the next pair
  CarrierChoice carrier = CarrierChoice::kAuto;
  bool on_demand = false;
  std::uint32_t copies = 2;
  Duration settle = 2s;
  Duration settle_max = 60s;
  Duration rescan = 10min;
  UploadPolicy uploads = UploadPolicy::kAsk;
  std::optional<std::uint64_t> limit;  // bytes per second
  MaxDeletes max_deletes = default_max_deletes();
  std::optional<std::uint64_t> max_file_size;
  LogLevel log_level = LogLevel::kInfo;
  std::string log_file;  // absolute; "": stderr
  std::string keylog;    // absolute; "": none
  bool force_dir = false;
  std::vector<std::string> warnings;  // to be shown before the node starts
};

// How a setting is written in config.toml.
enum class SettingType : std::uint8_t { kText, kNumber, kTextOrNumber, kFlag, kList };

struct Setting {
  const char* key;  // without the leading --
  SettingType type;
  const char* argument;  // "DUR"; "" for a flag
  const char* meaning;   // one line for --help
};
const std::vector<Setting>& settings();
const Setting* find_setting(std::string_view key);

// Texts by key; several for a repeatable one. A flag is "true" or "false".
using SettingTexts = std::map<std::string, std::vector<std::string>, std::less<>>;

// Reads the text of a config file. Errors name the key, or the line where it is not TOML.
Result<SettingTexts> parse_config(std::string_view text, const std::string& file_name);

// All together: the config file of `dir` (if there is one), then the command line, then the
// password. `dir` is absolute.
Result<RunOptions> resolve_run_options(const std::string& dir, const SettingTexts& command_line,
                                       const Environment& environment);

}  // namespace lansync
