#include "app/fetch_progress.h"

#include <algorithm>
#include <ostream>

#include "app/control_client.h"
#include "app/report_json.h"
#include "app/units.h"

namespace lansync {
namespace {

constexpr Duration kLook = 100ms;
constexpr int kLooksBetween = 10;

}  // namespace

FetchProgress::FetchProgress(const CommandLine& command, const CommandStreams& streams) {
  if (!streams.terminal || command.json) return;
  teller_ = std::thread([this, dir = command.dir, &error = streams.error] {
    while (!over_.load()) {
      for (int i = 0; i < kLooksBetween && !over_.load(); ++i) std::this_thread::sleep_for(kLook);
      if (!over_.load()) tell(dir, error);
    }
    if (told_) error << "\r\x1b[K" << std::flush;
  });
}

FetchProgress::~FetchProgress() {
  over_.store(true);
  if (teller_.joinable()) teller_.join();
}

void FetchProgress::tell(const std::string& dir, std::ostream& error) {
  ControlAnswer answer = ask_node(dir, "status", Json::object(), 1s);
  if (answer.exit_code != kExitDone || over_.load()) return;
  auto status = from_json_text<StatusReport>(answer.result);
  std::uint64_t rate = 0;
  std::uint64_t left = 0;
  std::uint64_t files = 0;
  for (const TransferReport& transfer : status.transfers) {
    if (transfer.sending) continue;
    ++files;
    rate += transfer.rate;
    left += transfer.size - std::min(transfer.done, transfer.size);
  }
  left = std::max(left, status.pending_bytes);
  files = std::max(files, status.pending_files);
  error << "\r\x1b[K" << counted(files, "files") << ", " << format_size(left) << " to go, "
        << format_rate(rate) << std::flush;
  told_ = true;
}

}  // namespace lansync
