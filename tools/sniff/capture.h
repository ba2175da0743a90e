// Where frames come from and go to: capture files and interfaces, through libpcap. Invariant: a
// frame is never longer than what was read of it, and its time is a valid one. Driven by main.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "base/result.h"
#include "sniff/frame.h"

struct pcap;
struct pcap_dumper;

namespace lansync::sniff {

class Capture {
 public:
  enum class Got : std::uint8_t { kFrame, kNothing, kEnd };

  // pcap or pcapng; "-" is standard input.
  static Result<std::unique_ptr<Capture>> open_file(const std::string& path);
  // Takes the file over.
  static Result<std::unique_ptr<Capture>> open_stream(std::FILE* file, const std::string& name);
  // kDenied: without the right to.
  static Result<std::unique_ptr<Capture>> open_live(const std::string& interface);
  // For writing only: frames are IP packets.
  static Result<std::unique_ptr<Capture>> none();
  ~Capture();

  // `frame.bytes` is valid until the next call. kNothing: nothing now (an interface).
  Result<Got> read(Frame& frame);
  int fd() const;
  std::uint64_t dropped() const;  // by the kernel, because we were too slow

 private:
  friend class CaptureWriter;
  Capture(pcap* handle, std::string name, bool live) : handle_(handle), name_(name), live_(live) {}
  static Result<std::unique_ptr<Capture>> checked(std::unique_ptr<Capture> capture);

  pcap* handle_;
  std::string name_;
  bool live_;
  LinkType link_ = LinkType::kEthernet;
};

class CaptureWriter {
 public:
  // A pcap file of the link type of `like`, times to the nanosecond.
  static Result<std::unique_ptr<CaptureWriter>> open(const std::string& path, const Capture& like);
  ~CaptureWriter();
  void write(const Frame& frame);
  // False: the disk is full, or the like.
  bool flush();

 private:
  explicit CaptureWriter(pcap_dumper* file) : file_(file) {}
  pcap_dumper* file_;
};

}  // namespace lansync::sniff
