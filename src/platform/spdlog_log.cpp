#include "platform/spdlog_log.h"

#include <fcntl.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <sys/stat.h>

#include <cstdio>

#include "platform/posix.h"

namespace lansync {
namespace {

constexpr std::size_t kMaxFileBytes = 16 << 20;
constexpr std::size_t kOldFiles = 3;

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

}  // namespace

struct SpdlogLog::Impl {
  std::shared_ptr<spdlog::logger> logger;
  bool to_file = false;
};

SpdlogLog::SpdlogLog(LogLevel level, std::unique_ptr<Impl> impl)
    : level_(level), impl_(std::move(impl)) {}
SpdlogLog::~SpdlogLog() { flush(); }

Result<std::unique_ptr<SpdlogLog>> SpdlogLog::create(LogLevel level, const std::string& file) {
  auto impl = std::make_unique<Impl>();
  impl->to_file = !file.empty();
  if (impl->to_file) {
    // spdlog throws on a file that cannot be opened, with a text that names its own internals.
    UniqueFd probe(
        ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600));
    if (!probe.valid()) return posix_error(errno, "open the log file " + file);
  }
  try {
    spdlog::sink_ptr sink;
    if (impl->to_file) {
      // Also the file after a full one: names of files are nobody else's business.
      spdlog::file_event_handlers handlers;
      handlers.after_open = [](const spdlog::filename_t&, std::FILE* opened) {
        struct stat info {};
        bool fresh = ::fstat(::fileno(opened), &info) == 0 && info.st_size == 0;
        if (fresh) (void)::fchmod(::fileno(opened), 0600);
      };
      sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(file, kMaxFileBytes, kOldFiles,
                                                                    false, handlers);
    } else {
      sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    }
    impl->logger = std::make_shared<spdlog::logger>("lansync", std::move(sink));
  } catch (const std::exception& failed) {
    return Error{ErrorCode::kIo, str("cannot log: ", failed.what())};
  }
  impl->logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-5l%$ %v");
  impl->logger->set_level(to_spdlog(level));
  impl->logger->flush_on(spdlog::level::info);
  // A full disk must not turn into a second stream of errors about logging.
  impl->logger->set_error_handler([](const std::string&) {});
  return std::unique_ptr<SpdlogLog>(new SpdlogLog(level, std::move(impl)));
}

void SpdlogLog::write(LogLevel level, std::string_view line) {
  if (!enabled(level)) return;
  if (tap_) tap_(level, line);
  if (tap_ && !impl_->to_file) return;
  impl_->logger->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

void SpdlogLog::flush() { impl_->logger->flush(); }

std::optional<LogLevel> parse_log_level(std::string_view text) {
  if (text == "trace") return LogLevel::kTrace;
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warn") return LogLevel::kWarn;
  if (text == "error") return LogLevel::kError;
  return std::nullopt;
}

}  // namespace lansync
