#include "sniff/capture.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/log.h"

namespace lansync::sniff {
namespace {

constexpr int kSnapshot = 262144;
constexpr int kBufferBytes = 16 * 1024 * 1024;
// Everything of UDP, since a node's port may be any; of TCP the default port alone, or a download
// from the internet would keep us busy.
constexpr const char* kLiveFilter = "udp or tcp port 27801 or (vlan and (udp or tcp port 27801))";
// For devices whose link layer knows no VLANs.
constexpr const char* kPlainFilter = "udp or tcp port 27801";

std::optional<LinkType> link_type(int datalink) {
  switch (datalink) {
    case DLT_EN10MB:
      return LinkType::kEthernet;
    case DLT_LINUX_SLL:
      return LinkType::kCooked;
#ifdef DLT_LINUX_SLL2
    case DLT_LINUX_SLL2:
      return LinkType::kCooked2;
#endif
    case DLT_RAW:
    case DLT_IPV4:
      return LinkType::kRawIp;
    case DLT_NULL:
    case DLT_LOOP:
      return LinkType::kLoopback;
    default:
      return std::nullopt;
  }
}

// A file may claim anything; 64 bits of nanoseconds reach to 2262.
WallTime time_of(const pcap_pkthdr& header) {
  constexpr std::int64_t kMaxSeconds = std::numeric_limits<std::int64_t>::max() / 1'000'000'000 - 1;
  const std::int64_t seconds =
      std::clamp(static_cast<std::int64_t>(header.ts.tv_sec), std::int64_t{0}, kMaxSeconds);
  const std::int64_t fraction = std::clamp(static_cast<std::int64_t>(header.ts.tv_usec),
                                           std::int64_t{0}, std::int64_t{999'999'999});
  return {seconds * 1'000'000'000 + fraction};
}

bool set_filter(pcap_t* handle, const char* text) {
  bpf_program program{};
  if (pcap_compile(handle, &program, text, 1, PCAP_NETMASK_UNKNOWN) != 0) return false;
  const bool set = pcap_setfilter(handle, &program) == 0;
  pcap_freecode(&program);
  return set;
}

}  // namespace

Result<std::unique_ptr<Capture>> Capture::checked(std::unique_ptr<Capture> capture) {
  const int datalink = pcap_datalink(capture->handle_);
  auto link = link_type(datalink);
  if (!link) {
    const char* name = pcap_datalink_val_to_name(datalink);
    return Error{ErrorCode::kUnsupported,
                 str(capture->name_, ": link type ", name == nullptr ? "unknown" : name,
                     " is not read; Ethernet, Linux cooked and raw IP are")};
  }
  capture->link_ = *link;
  return capture;
}

Result<std::unique_ptr<Capture>> Capture::open_file(const std::string& path) {
  if (path == "-") return open_stream(stdin, "standard input");
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return Error{ErrorCode::kNotFound, str("cannot read ", printable(path))};
  return open_stream(file, path);
}

Result<std::unique_ptr<Capture>> Capture::open_stream(std::FILE* file, const std::string& name) {
  char why[PCAP_ERRBUF_SIZE] = "";
  pcap_t* handle = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
  if (handle == nullptr) {
    std::fclose(file);
    return Error{ErrorCode::kCorrupt, str(printable(name), ": ", printable(why))};
  }
  return checked(std::unique_ptr<Capture>(new Capture(handle, printable(name), false)));
}

Result<std::unique_ptr<Capture>> Capture::open_live(const std::string& interface) {
  char why[PCAP_ERRBUF_SIZE] = "";
  const std::string name = printable(interface);
  pcap_t* handle = pcap_create(interface.c_str(), why);
  if (handle == nullptr) return Error{ErrorCode::kIo, str(name, ": ", printable(why))};
  std::unique_ptr<Capture> capture(new Capture(handle, name, true));
  pcap_set_snaplen(handle, kSnapshot);
  pcap_set_promisc(handle, 1);
  pcap_set_timeout(handle, 50);
  pcap_set_buffer_size(handle, kBufferBytes);
  pcap_set_tstamp_precision(handle, PCAP_TSTAMP_PRECISION_NANO);
  const int status = pcap_activate(handle);
  if (status == PCAP_ERROR_PERM_DENIED || status == PCAP_ERROR_PROMISC_PERM_DENIED)
    return Error{ErrorCode::kDenied,
                 str("capturing on ", name,
                     " needs CAP_NET_RAW: run it with sudo, or without -i to hear beacons only")};
  if (status < 0) return Error{ErrorCode::kIo, str(name, ": ", printable(pcap_geterr(handle)))};
  if (!set_filter(handle, kLiveFilter) && !set_filter(handle, kPlainFilter))
    return Error{ErrorCode::kIo, str(name, ": ", printable(pcap_geterr(handle)))};
  if (pcap_setnonblock(handle, 1, why) != 0)
    return Error{ErrorCode::kIo, str(name, ": ", printable(why))};
  return checked(std::move(capture));
}

Result<std::unique_ptr<Capture>> Capture::none() {
  pcap_t* handle =
      pcap_open_dead_with_tstamp_precision(DLT_RAW, kSnapshot, PCAP_TSTAMP_PRECISION_NANO);
  if (handle == nullptr) return Error{ErrorCode::kIo, "libpcap is out of memory"};
  return checked(std::unique_ptr<Capture>(new Capture(handle, "none", false)));
}

Capture::~Capture() { pcap_close(handle_); }

Result<Capture::Got> Capture::read(Frame& frame) {
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  const int got = pcap_next_ex(handle_, &header, &bytes);
  if (got == PCAP_ERROR_BREAK) return Got::kEnd;
  if (got < 0) {
    const char* what = live_ ? "" : "the file ends or is damaged here: ";
    return Error{ErrorCode::kCorrupt, str(name_, ": ", what, printable(pcap_geterr(handle_)))};
  }
  if (got == 0) return Got::kNothing;
  frame.time = time_of(*header);
  if (live_ && pcap_get_tstamp_precision(handle_) != PCAP_TSTAMP_PRECISION_NANO)
    frame.time.ns += static_cast<std::int64_t>(header->ts.tv_usec) * 999;
  frame.link = link_;
  frame.bytes = {bytes, header->caplen};
  // A file may say that more was captured than was there.
  frame.original = std::max(header->len, header->caplen);
  return Got::kFrame;
}

int Capture::fd() const { return pcap_get_selectable_fd(handle_); }

std::uint64_t Capture::dropped() const {
  pcap_stat stat{};
  return live_ && pcap_stats(handle_, &stat) == 0 ? stat.ps_drop : 0;
}

Result<std::unique_ptr<CaptureWriter>> CaptureWriter::open(const std::string& path,
                                                           const Capture& like) {
  pcap_dumper_t* file = pcap_dump_open(like.handle_, path.c_str());
  if (file == nullptr) return Error{ErrorCode::kIo, printable(pcap_geterr(like.handle_))};
  return std::unique_ptr<CaptureWriter>(new CaptureWriter(file));
}

CaptureWriter::~CaptureWriter() { pcap_dump_close(file_); }

void CaptureWriter::write(const Frame& frame) {
  pcap_pkthdr header{};
  header.ts.tv_sec = frame.time.ns / 1'000'000'000;
  header.ts.tv_usec = frame.time.ns % 1'000'000'000;  // nanoseconds: the handle's precision
  header.caplen = static_cast<bpf_u_int32>(frame.bytes.size());
  header.len = frame.original;
  pcap_dump(reinterpret_cast<u_char*>(file_), &header, frame.bytes.data());
}

bool CaptureWriter::flush() {
  return pcap_dump_flush(file_) == 0 && std::ferror(pcap_dump_file(file_)) == 0;
}

}  // namespace lansync::sniff
