// Messages of every type, well formed, with what a member may not have in mind: boundary numbers,
// other nodes' ids, the names and contents of the folder and names at every limit; and messages
// that are not well formed any more. A function of the random source it is given.
//
// Invariant: each alternative of Message is drawn; a new one does not compile before it is filled.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "transport/message.h"

namespace lansync::sim {

class HostileMessages {
 public:
  explicit HostileMessages(RandomSource& random) : random_(random) {}

  // What there is to aim at; called again as it changes.
  struct Aims {
    std::vector<NodeId> nodes;
    std::vector<std::string> names;
    std::vector<ContentId> contents;
    std::vector<std::pair<std::string, EntryPtr>> entries;
    std::vector<std::uint32_t> transfers;  // that the victim has asked us for
    std::uint32_t round = 0;               // of the victim's last index_get
    std::uint32_t buckets = 1;
  };
  void set_aims(Aims aims) { aims_ = std::move(aims); }

  static constexpr std::size_t kTypes = std::variant_size_v<AnyMessage>;
  Message of_type(std::size_t index);
  Message any() { return of_type(static_cast<std::size_t>(random_.below(kTypes))); }
  // Encoded; one in eight is changed into what our encoder does not write.
  Bytes any_bytes();

 private:
  template <std::size_t I>
  Message make(std::size_t index);
  std::uint64_t number();
  std::uint64_t number_below(std::uint64_t limit);
  std::int64_t signed_number();
  std::uint32_t u32() { return static_cast<std::uint32_t>(number()); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number()); }
  bool flip() { return random_.chance(1, 2); }
  NodeId node();
  ContentId content();
  std::string path();
  std::string path_or_none() { return random_.chance(1, 3) ? std::string() : path(); }
  std::string text(std::size_t max_bytes);
  std::vector<VersionVector::Part> parts();
  EntryPtr entry();
  std::vector<NamedEntry> entries();
  std::vector<WireRange> ranges(std::uint64_t size, std::size_t max_size);
  Address address();

  void fill(Hello& m);
  void fill(Claim& m);
  void fill(Roster& m);
  void fill(Bye& m);
  void fill(Clone& m);
  void fill(RunsKnown& m);
  void fill(RunWord& m);
  void fill(Ping& m);
  void fill(HubHeard& m);
  void fill(Mark& m);
  void fill(Holds& m);
  void fill(IndexGet& m);
  void fill(Update& m);
  void fill(Push& m);
  void fill(Verdict& m);
  void fill(Request& m);
  void fill(Download& m);
  void fill(Hole& m);
  void fill(Done& m);
  void fill(Carrier& m);
  void fill(Where& m);
  void fill(Holders& m);
  void fill(Coming& m);
  void fill(IndexQuery& m);
  void fill(IndexPage& m);
  void fill(FileHash& m);
  void fill(FileHashes& m);
  void fill(Search& m);
  void fill(Found& m);
  void fill(NotFound& m);
  void fill(Working& m);
  void fill(Failed& m);
  void fill(Cancel& m);
  void fill(FileUpload& m);
  void fill(FileUploadAllow& m);
  void fill(FileUploadDeny& m);
  void fill(FileDownloaded& m);
  void fill(TrashGet& m);
  void fill(TrashRows& m);
  void fill(RestoreTrash& m);

  RandomSource& random_;
  Aims aims_;
};

}  // namespace lansync::sim
