// A large file on its way in: a temp file of the whole size that is filled by ranges, hashed as it
// becomes contiguous, and described by a sidecar, so that a killed node asks only for what is not
// there. Invariant: a range that the sidecar names was written before the sidecar was.
//
// After a power cut that order is not kept by the disk; then the digest at the end does not match,
// and the content is fetched anew. Used within worker jobs only, by one job at a time; but one may
// hash_on() while another writes: MD5 is most of the cost of a transfer, and of that part alone is
// it that one core cannot be spared.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "sync/file_system.h"
#include "sync/hashing.h"
#include "sync/range_set.h"

namespace lansync {

// "<64 hex digits>.part": the content; "<64 hex digits>.have": its sidecar.
std::string partial_name(const ContentId& content);
std::string sidecar_name(const ContentId& content);
// The content id in either of the names above; nullopt for any other name.
std::optional<ContentId> partial_content(std::string_view temp_name);

// What a sidecar says. Two slots are written in turn, each with its checksum, so that a kill in the
// middle of one write leaves the other.
struct SidecarState {
  std::uint64_t serial = 0;
  ContentId content;
  std::uint64_t size = 0;
  RangeSet written;
};
inline constexpr std::size_t kSidecarSlotBytes = 20 * 1024;
inline constexpr std::size_t kSidecarMaxRanges = 1024;
Bytes encode_sidecar_slot(const SidecarState& state);
std::optional<SidecarState> decode_sidecar_slot(ByteView slot);

class PartialFile {
 public:
  // How far the file may run ahead of its sidecar: what a kill can cost, with the block that was
  // being received. DESIGN's bound is 1 MiB a kill.
  static constexpr std::uint64_t kSaveEvery = 512 * 1024;

  // Continues what is in tmp if its sidecar is whole and fits, else starts an empty one with the
  // first write, so that what nobody has costs the disk nothing, however often it is asked for;
  // always the latter if `fresh`. kNoSpace, and nothing touched, if less than what is missing and
  // `reserve` bytes are free.
  static Result<std::unique_ptr<PartialFile>> open(FileSystem& fs, const ContentId& content,
                                                   std::uint64_t size, bool fresh,
                                                   std::uint64_t reserve);

  const RangeSet& written() const { return state_.written; }
  bool complete() const { return state_.written.contains(0, state_.size); }
  // There is something in tmp.
  bool begun() const { return sidecar_ != nullptr; }
  // These bytes count as not written any more; what comes for them is compared with what is there.
  Status take_back(const RangeSet& ranges);
  // What was written since the last call over other bytes, taken back before.
  RangeSet take_differed() { return std::exchange(differed_, {}); }
  // Bytes that are written already are left alone, so a write that failed may be repeated.
  Status write(std::uint64_t offset, ByteView bytes);
  // Bytes in memory that another job writes at this very moment.
  struct Piece {
    std::uint64_t begin = 0;
    ByteView bytes;
  };
  // Hashes on over what is contiguous: of `pieces` (by place), and of `on_disk`, which was written
  // before, reading back at most `budget` bytes.
  Status hash_on(const RangeSet& on_disk, std::span<const Piece> pieces, std::uint64_t budget);
  std::uint64_t hashed() const { return hashed_; }
  bool hashed_whole() const { return hashed_ == state_.size; }
  // Requires: hashed_whole(). Once.
  ContentDigests digests();
  // Writes the sidecar if it is behind.
  Status save();
  // Gives the descriptors back, so that this happens in the job and not where the object dies.
  void close();

 private:
  PartialFile(FileSystem& fs, const ContentId& content, std::uint64_t size);
  bool resume();
  Status start_anew();
  Status write_over(std::uint64_t offset, ByteView bytes);
  Status read_back(std::uint64_t end, std::uint64_t& budget);

  FileSystem& fs_;
  std::unique_ptr<TempFile> file_;
  std::unique_ptr<TempFile> sidecar_;
  SidecarState state_;
  // Where bytes may stand that do not count: in a file that was resumed anywhere, else what was
  // taken back.
  bool resumed_ = false;
  RangeSet stale_;
  RangeSet differed_;
  std::uint64_t unsaved_ = 0;
  // Of the job that hashes alone.
  std::uint64_t hashed_ = 0;
  ContentHasher hasher_;
};

}  // namespace lansync
