// How fast the carriers move content, and what that costs: two processes in two network namespaces
// that a veth pair joins, nothing read from or written to a disk. Measures, proves nothing: not in
// ctest, built only when asked for, in Release (ninja carrier_bench). Needs root, iproute2, nft.
//   carrier_bench [MiB] [word...]     only cases whose name holds a word
// Each figure stands beside the limit that it is held against.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "base/log.h"
#include "platform/lane_carrier.h"
#include "platform/tcp_carrier.h"

namespace {

using namespace lansync;
using Steady = std::chrono::steady_clock;

constexpr std::size_t kBlock = 256'000;
constexpr std::uint16_t kPort = 27801;
constexpr std::uint32_t kSenderIp = 0x0a620001;  // 10.98.0.1
constexpr std::uint32_t kReceiverIp = 0x0a620002;
constexpr double kGbit = 125e6;
// Payload of a frame at the rate of tbf, which counts the Ethernet header and not what is around
// it. Lane: 1000 bytes of content in a datagram of 1042; tcp: 1448 bytes a segment, of which 18 in
// 1018 are not content.
constexpr double kLaneShare = 1000.0 / (1042 + 28 + 14);
constexpr double kTcpShare = 1448.0 / 1514 * 1000 / 1018;

struct Case {
  std::string name;
  CarrierKind kind = CarrierKind::kLane;
  bool plain = false;
  bool shaped = false;
  int loss_percent = 0;
  bool small_buffers = false;
};

struct Outcome {
  bool good = false;
  double seconds = 0;
  double cpu_user = 0;
  double cpu_system = 0;
  long max_rss_kib = 0;
  std::uint64_t resent = 0;
  std::uint64_t wire = 0;
};

struct Names {
  std::string a = str("lscb", getpid(), "a");
  std::string b = str("lscb", getpid(), "b");
};

bool shell(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

void remove_net(const Names& n) {
  shell("ip netns del " + n.a);
  shell("ip netns del " + n.b);
}

bool make_net(const Names& n, const Case& c) {
  bool good = shell("ip netns add " + n.a) && shell("ip netns add " + n.b) &&
              shell(str("ip link add v0 netns ", n.a, " type veth peer name v0 netns ", n.b)) &&
              shell(str("ip -n ", n.a, " addr add 10.98.0.1/24 dev v0")) &&
              shell(str("ip -n ", n.b, " addr add 10.98.0.2/24 dev v0")) &&
              shell(str("ip -n ", n.a, " link set v0 up")) &&
              shell(str("ip -n ", n.b, " link set v0 up"));
  for (const std::string& name : {n.a, n.b}) {
    if (c.shaped)
      good = good && shell(str("tc -n ", name,
                               " qdisc add dev v0 root tbf rate 1gbit burst 128k limit 512k"));
    // One datagram is lost, not a train of sixty: the kernel has to take them apart before nft sees
    // them.
    if (c.loss_percent > 0)
      good = good && shell(str("ip -n ", name, " link set v0 gso_max_segs 1")) &&
             shell(str("ip netns exec ", name, " nft 'add table ip loss; add chain ip loss in { ",
                       "type filter hook prerouting priority -300; }; add rule ip loss in numgen ",
                       "random mod 100 < ", c.loss_percent, " drop'"));
  }
  return good;
}

void enter(const std::string& name) {
  int fd = ::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) std::exit(3);
  ::close(fd);
}

CarrierPeer peer_of(bool sender) {
  CarrierPeer peer;
  peer.session = 1;
  peer.address = {sender ? kReceiverIp : kSenderIp, kPort};
  peer.own.fill(sender ? 1 : 2);
  peer.theirs.fill(sender ? 2 : 1);
  Hash32 th{};
  peer.keys = derive_session_keys(cpu_has_aes() ? Suite::kAes256Gcm : Suite::kChaCha20Poly1305,
                                  Bytes(16, 0x11), th);
  peer.initiator = sender;
  return peer;
}

// One end, in a process of its own. Returns what it did by `report`.
struct End {
  End(const Case& c, bool sends, std::uint64_t bytes) : total(bytes), sender(sends) {
    wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CarrierOptions options;
    options.port = kPort;
    options.plain_udp = c.plain;
    options.wakeup = [fd = wake] {
      std::uint64_t one = 1;
      (void)!::write(fd, &one, sizeof one);
    };
    if (c.small_buffers)
      options.on_socket = [](int fd) {
        for (int option : {SO_RCVBUF, SO_SNDBUF}) {
          int size = 212992;
          setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
        }
      };
    auto opened =
        c.kind == CarrierKind::kLane ? open_lane_carrier(options) : open_tcp_carrier(options);
    if (!opened) std::exit(4);
    carrier = std::move(*opened);
    carrier->open(peer_of(sender));
    source.resize(64 << 20);
    for (std::size_t i = 0; i < source.size(); i += 8)
      source[i] = static_cast<std::uint8_t>(i >> 3);
  }

  bool run(Outcome& out) {
    auto limit = Steady::now() + std::chrono::seconds(100);
    bool begun = false;
    Steady::time_point start{};
    while (done < total) {
      if (Steady::now() > limit) return false;
      take();
      if (!begun && carrier->status(1).state == CarrierState::kUp) {
        begun = true;
        start = Steady::now();
      }
      if (sender && begun) pump();
      if (done >= total) break;
      pollfd ready{wake, POLLIN, 0};
      poll(&ready, 1, 100);
    }
    out.seconds = std::chrono::duration<double>(Steady::now() - start).count();
    CarrierStatus status = carrier->status(1);
    out.resent = status.chunks_resent;
    out.wire = status.bytes_sent;
    return true;
  }

  void take() {
    std::uint64_t count = 0;
    (void)!::read(wake, &count, sizeof count);
    for (CarrierEvent& event : carrier->take_events()) {
      if (auto* block = std::get_if<BlockReceived>(&event)) {
        done += block->block.data.size();
        carrier->credit(1, block->block.data.size());
      } else if (auto* delivered = std::get_if<BlockDelivered>(&event)) {
        done += delivered->bytes;
      }
    }
  }

  void pump() {
    while (sent < total && carrier->room(1) >= kBlock) {
      std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, total - sent));
      std::size_t at = static_cast<std::size_t>(sent % (source.size() - kBlock));
      auto from = source.begin() + static_cast<std::ptrdiff_t>(at);
      carrier->send(1, {1, sent / 1000, Bytes(from, from + static_cast<std::ptrdiff_t>(size))});
      sent += size;
    }
  }

  std::uint64_t total;
  bool sender;
  int wake;
  std::uint64_t sent = 0;
  std::uint64_t done = 0;
  Bytes source;
  std::unique_ptr<CarrierThread> carrier;
};

Outcome run_end(const Case& c, bool sender, std::uint64_t bytes) {
  Outcome out;
  End end(c, sender, bytes);
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  out.good = end.run(out);
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  auto seconds = [](const timeval& a, const timeval& b) {
    return static_cast<double>(b.tv_sec - a.tv_sec) +
           static_cast<double>(b.tv_usec - a.tv_usec) / 1e6;
  };
  out.cpu_user = seconds(before.ru_utime, after.ru_utime);
  out.cpu_system = seconds(before.ru_stime, after.ru_stime);
  out.max_rss_kib = after.ru_maxrss;
  // The receiver stays a while: what it still has to report, the sender waits for.
  if (!sender) usleep(500'000);
  return out;
}

pid_t start_end(const Case& c, bool sender, const Names& names, std::uint64_t bytes, int pipe_fd) {
  pid_t child = fork();
  if (child != 0) return child;
  enter(sender ? names.a : names.b);
  Outcome out = run_end(c, sender, bytes);
  (void)!::write(pipe_fd, &out, sizeof out);
  _exit(0);
}

bool run_case(const Case& c, std::uint64_t bytes) {
  Names names;
  remove_net(names);
  if (!make_net(names, c)) {
    remove_net(names);
    std::cout << c.name << ": cannot make the network (root, iproute2, nft?)\n";
    return false;
  }
  int to_us[2][2];
  if (pipe(to_us[0]) != 0 || pipe(to_us[1]) != 0) return false;
  pid_t receiver = start_end(c, false, names, bytes, to_us[0][1]);
  pid_t sender = start_end(c, true, names, bytes, to_us[1][1]);
  ::close(to_us[0][1]);
  ::close(to_us[1][1]);
  Outcome in, out;
  bool good = ::read(to_us[1][0], &out, sizeof out) == sizeof out && out.good;
  if (!good) kill(receiver, SIGKILL);
  good = ::read(to_us[0][0], &in, sizeof in) == sizeof in && in.good && good;
  waitpid(receiver, nullptr, 0);
  waitpid(sender, nullptr, 0);
  ::close(to_us[0][0]);
  ::close(to_us[1][0]);
  remove_net(names);
  if (!good) {
    std::printf("%-34s did not end\n", c.name.c_str());
    return false;
  }
  double rate = static_cast<double>(bytes) / out.seconds / 1e6;
  double gib = static_cast<double>(bytes) / static_cast<double>(1 << 30);
  double limit = kGbit * (c.kind == CarrierKind::kLane ? kLaneShare : kTcpShare) *
                 (1 - c.loss_percent / 100.0) / 1e6;
  std::printf("%-34s %7.1f MB/s", c.name.c_str(), rate);
  if (c.shaped)
    std::printf("  %5.1f %% of %5.1f", rate / limit * 100, limit);
  else
    std::printf("  goal %s       ", c.kind == CarrierKind::kLane && !c.plain ? "600" : " - ");
  std::printf(
      "  CPU s/GiB: out %.2f+%.2f in %.2f+%.2f (user+system)  resent %5.2f %%  rss %ld/%ld MiB\n",
      out.cpu_user / gib, out.cpu_system / gib, in.cpu_user / gib, in.cpu_system / gib,
      static_cast<double>(out.resent) * 1000 / static_cast<double>(bytes) * 100,
      out.max_rss_kib / 1024, in.max_rss_kib / 1024);
  std::fflush(stdout);
  return true;
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (bool shaped : {false, true})
    for (int loss : {0, 1, 5})
      for (int kind = 0; kind < 4; ++kind) {
        if (!shaped && loss > 0) continue;
        Case c;
        c.kind = kind == 3 ? CarrierKind::kTcp : CarrierKind::kLane;
        c.plain = kind == 1;
        c.small_buffers = kind == 2;
        c.shaped = shaped;
        c.loss_percent = loss;
        const char* names[] = {"lane", "lane plain", "lane 208k", "tcp"};
        c.name = str(names[kind], shaped ? " 1gbit" : " unshaped");
        if (loss > 0) c.name += str(" loss ", loss, "%");
        cases.push_back(c);
      }
  return cases;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::uint64_t mib = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1024;
  bool good = mib > 0;
  for (const Case& c : all_cases()) {
    bool wanted = argc <= 2;
    for (int i = 2; i < argc; ++i) wanted = wanted || c.name.find(argv[i]) != std::string::npos;
    if (wanted) good = run_case(c, mib << 20) && good;
  }
  return good ? 0 : 1;
}
