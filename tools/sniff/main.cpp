// lansync-sniff: shows what lansync nodes say to each other (CONTRACT, lansync-sniff).
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "sniff/beacon_listener.h"
#include "sniff/capture.h"
#include "sniff/decoder.h"
#include "sniff/folder.h"
#include "sniff/render.h"

namespace lansync::sniff {
namespace {

std::atomic<bool> stop_asked = false;
static_assert(std::atomic<bool>::is_always_lock_free);

struct Options {
  std::string interface;
  std::string file;
  std::string write;
  std::string keylog;
  bool verbose = false;
  bool json = false;
};

int fail(const std::string& why) {
  std::fprintf(stderr, "lansync-sniff: %s\n", why.c_str());
  return 1;
}

// Reads what was appended since the last time; whole lines only.
class KeylogFile {
 public:
  static constexpr std::streamoff kMaxRead = 64 << 20;
  KeylogFile(std::string path, Keylog& keylog) : path_(std::move(path)), keylog_(keylog) {}

  bool refresh() {
    std::ifstream in(path_, std::ios::binary);
    if (!in) return false;
    in.seekg(0, std::ios::end);
    const std::streamoff size = in.tellg();
    if (size < at_) at_ = 0;  // begun anew
    if (size == at_) return true;
    std::string text(static_cast<std::size_t>(std::min(size - at_, kMaxRead)), '\0');
    in.seekg(at_);
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    // A line that is being written is read when it is whole; the file's last may have no newline.
    const std::size_t whole = first_ ? text.size() : text.rfind('\n') + 1;
    if (first_ || whole != 0) {
      keylog_.add(std::string_view(text).substr(0, whole));
      at_ += static_cast<std::streamoff>(text.rfind('\n') + 1);
    }
    first_ = false;
    return true;
  }

 private:
  std::string path_;
  Keylog& keylog_;
  std::streamoff at_ = 0;
  bool first_ = true;
};

// False: nobody reads any more.
bool print(const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
}

struct Sniffer {
  Options options;
  Keylog keylog{};
  Decoder decoder{keylog};
  std::unique_ptr<Capture> capture{};
  std::unique_ptr<BeaconListener> listener{};
  std::unique_ptr<CaptureWriter> writer{};

  LineFolder folder{};
  bool advised = false;

  bool take(const Frame& frame);
  bool show(const std::vector<Item>& items);
  void finish();
  int run_file();
  int run_live();
};

bool Sniffer::show(const std::vector<Item>& items) {
  if (!advised && std::any_of(items.begin(), items.end(),
                              [](const Item& item) { return item.type == "sealed"; })) {
    advised = true;
    std::fprintf(stderr,
                 "lansync-sniff: what stays `sealed` belongs to sessions that began before this "
                 "capture or whose keys are not given: start a node with `lansync --keylog FILE`, "
                 "give `--keylog FILE` here too, and restart that node so that its sessions begin "
                 "anew\n");
  }
  std::string text;
  if (options.json) {
    for (const Item& item : items) text += render_json(item);
  } else {
    text = options.verbose ? render_verbose(items) : folder.add(items);
  }
  return print(text);
}

void Sniffer::finish() {
  for (const Item& item : decoder.finish()) show({item});
  print(folder.flush());
}

bool Sniffer::take(const Frame& frame) {
  const std::vector<Item> items = decoder.on_frame(frame);
  // What is not lansync's is not written either.
  if (writer && !items.empty()) writer->write(frame);
  return show(items);
}

int Sniffer::run_file() {
  int result = 0;
  while (!stop_asked) {
    Frame frame;
    auto got = capture->read(frame);
    if (!got) {
      result = fail(got.error().detail);  // what came before it is shown all the same
      break;
    }
    if (*got != Capture::Got::kFrame) break;
    if (!take(frame)) return 1;
  }
  finish();
  return result;
}

int Sniffer::run_live() {
  pollfd wait{listener ? listener->fd() : capture->fd(), POLLIN, 0};
  int result = 0;
  while (!stop_asked && result == 0) {
    // Also without an event: some devices' descriptors do not tell of everything.
    const bool idle = poll(&wait, 1, 100) == 0;
    for (int i = 0; i < 1024 && !stop_asked; ++i) {
      Frame frame;
      if (listener) {
        if (!listener->read(frame)) break;
      } else {
        auto got = capture->read(frame);
        if (!got) result = fail(got.error().detail);
        if (!got || *got != Capture::Got::kFrame) break;
      }
      if (!take(frame)) return 1;
    }
    // Nothing more of a train has come for a while: it is told of.
    if (idle) print(folder.flush());
    if (std::fflush(stdout) != 0) return 1;
    if (writer && !writer->flush()) result = fail(str("cannot write ", printable(options.write)));
  }
  finish();
  if (capture && capture->dropped() != 0)
    std::fprintf(stderr, "lansync-sniff: the system dropped %llu packets that came too fast\n",
                 static_cast<unsigned long long>(capture->dropped()));
  return result;
}

int open_all(Sniffer& sniffer) {
  const Options& options = sniffer.options;
  if (!options.file.empty() || !options.interface.empty()) {
    auto capture = options.file.empty() ? Capture::open_live(options.interface)
                                        : Capture::open_file(options.file);
    if (!capture) return fail(capture.error().detail);
    sniffer.capture = std::move(*capture);
  } else {
    auto listener = BeaconListener::open();
    if (!listener) return fail(listener.error().detail);
    sniffer.listener = std::move(*listener);
    std::fprintf(stderr, "lansync-sniff: listening to beacons only; -i IF shows everything\n");
  }
  if (options.write.empty()) return 0;
  if (!sniffer.capture) {
    auto none = Capture::none();
    if (!none) return fail(none.error().detail);
    auto writer = CaptureWriter::open(options.write, **none);
    if (!writer) return fail(writer.error().detail);
    sniffer.writer = std::move(*writer);
    return 0;
  }
  auto writer = CaptureWriter::open(options.write, *sniffer.capture);
  if (!writer) return fail(writer.error().detail);
  sniffer.writer = std::move(*writer);
  return 0;
}

int run(const Options& options) {
  Sniffer sniffer{.options = options};
  KeylogFile keylog(options.keylog, sniffer.keylog);
  if (!options.keylog.empty()) {
    if (!keylog.refresh()) return fail(str("cannot read ", printable(options.keylog)));
    if (sniffer.keylog.bad_lines() != 0)
      std::fprintf(stderr, "lansync-sniff: %zu lines of %s are not keys\n",
                   sniffer.keylog.bad_lines(), printable(options.keylog).c_str());
    if (options.file.empty()) sniffer.keylog.set_on_missing([&keylog] { keylog.refresh(); });
  }
  if (int failed = open_all(sniffer); failed != 0) return failed;
  int result = options.file.empty() ? sniffer.run_live() : sniffer.run_file();
  if (std::fflush(stdout) != 0) result = 1;
  if (sniffer.writer && !sniffer.writer->flush())
    result = fail(str("cannot write ", printable(options.write)));
  return result;
}

int main_of(int argc, char** argv) {
  CLI::App app("Shows what lansync nodes on a LAN say to each other.", "lansync-sniff");
  Options options;
  auto* interface =
      app.add_option("-i", options.interface, "Capture on this interface (needs root)");
  auto* file = app.add_option("-r", options.file, "Read this capture (pcap or pcapng; - is stdin)");
  interface->type_name("IF")->excludes(file);
  file->type_name("FILE");
  app.add_option("-w", options.write, "Write lansync's packets to this capture")->type_name("FILE");
  app.add_option("--keylog", options.keylog, "Secrets that `lansync --keylog` wrote")
      ->type_name("FILE");
  app.add_flag("-V,--verbose", options.verbose, "Show all fields");
  app.add_flag("--json", options.json, "One JSON object a line for each message");
  app.set_version_flag("--version", std::string("lansync-sniff ") + LANSYNC_VERSION);
  app.footer("Without -i and -r it listens to beacons, which needs no privileges.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& wrong) {
    std::fprintf(stderr, "lansync-sniff: %s; see lansync-sniff --help\n",
                 printable(wrong.what()).c_str());
    return 2;
  }
  struct sigaction action {};
  action.sa_handler = [](int) { stop_asked = true; };
  for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
  return run(options);
}

}  // namespace
}  // namespace lansync::sniff

int main(int argc, char** argv) { return lansync::sniff::main_of(argc, argv); }
