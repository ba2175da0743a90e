#include "sync/partial_file.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "sync/content.h"
#include "sync/room_guard.h"

namespace lansync {

namespace {

constexpr std::string_view kPartSuffix = ".part";
constexpr std::string_view kHaveSuffix = ".have";
constexpr std::uint32_t kSidecarMagic = 0x4C534856;  // "LSHV"
constexpr std::uint16_t kSidecarVersion = 1;
constexpr std::size_t kReadBackBytes = 256 * 1024;
// Magic, version, serial, content, size, count; then 16 bytes a range; then the checksum.
constexpr std::size_t kSidecarHeaderBytes = 4 + 2 + 8 + ContentId::kSize + 8 + 4;
static_assert(kSidecarHeaderBytes + 16 * kSidecarMaxRanges + 8 <= kSidecarSlotBytes);

// FNV-1a, 64 bits. Tells a torn slot from a whole one; nobody forges files in our own tmp.
std::uint64_t checksum(ByteView bytes) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001B3;
  return hash;
}

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

// Reads until `out` is full or the file ends; what a short file lacks reads as nothing.
Result<std::size_t> read_fully(TempFile& file, std::uint64_t offset, std::span<std::uint8_t> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    auto got = file.read(offset + filled, out.subspan(filled));
    if (!got) return got.error();
    if (*got == 0) break;
    filled += *got;
  }
  return filled;
}

}  // namespace

std::string partial_name(const ContentId& content) { return to_hex(content).append(kPartSuffix); }

std::string sidecar_name(const ContentId& content) { return to_hex(content).append(kHaveSuffix); }

std::optional<ContentId> partial_content(std::string_view temp_name) {
  if (!temp_name.ends_with(kPartSuffix) && !temp_name.ends_with(kHaveSuffix)) return std::nullopt;
  const std::string_view hex = temp_name.substr(0, temp_name.size() - kPartSuffix.size());
  ContentId content;
  // Exactly the name that we would make: upper-case digits are somebody else's file.
  if (!from_hex(hex, content.bytes) || to_hex(content) != hex) return std::nullopt;
  return content;
}

Bytes encode_sidecar_slot(const SidecarState& state) {
  // Of too many ranges the last are left out: their bytes are asked for again after a restart.
  const std::vector<ByteRange>& ranges = state.written.ranges();
  const std::size_t count = std::min(ranges.size(), kSidecarMaxRanges);
  ByteWriter out;
  out.u32(kSidecarMagic);
  out.u16(kSidecarVersion);
  out.u64(state.serial);
  out.raw(state.content);
  out.u64(state.size);
  out.u32(static_cast<std::uint32_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    out.u64(ranges[i].begin);
    out.u64(ranges[i].end);
  }
  out.u64(checksum(out.bytes()));
  return out.take();
}

std::optional<SidecarState> decode_sidecar_slot(ByteView slot) {
  ByteReader in(slot);
  SidecarState state;
  if (in.u32() != kSidecarMagic || in.u16() != kSidecarVersion) return std::nullopt;
  state.serial = in.u64();
  state.content = in.id<ContentId>();
  state.size = in.u64();
  const std::uint32_t count = in.u32();
  if (!in.ok() || count > kSidecarMaxRanges) return std::nullopt;
  std::uint64_t last_end = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t begin = in.u64();
    const std::uint64_t end = in.u64();
    if (!in.ok() || begin >= end || begin < last_end || end > state.size) return std::nullopt;
    // What is missing is asked for in chunks: half a one could never come.
    if (begin % kContentChunk != 0 || (end % kContentChunk != 0 && end != state.size))
      return std::nullopt;
    state.written.add(begin, end);
    last_end = end;
  }
  const std::size_t covered = slot.size() - in.left();
  if (in.u64() != checksum(slot.first(covered)) || !in.ok()) return std::nullopt;
  return state;
}

PartialFile::PartialFile(FileSystem& fs, const ContentId& content, std::uint64_t size) : fs_(fs) {
  state_.content = content;
  state_.size = size;
}

Result<std::unique_ptr<PartialFile>> PartialFile::open(FileSystem& fs, const ContentId& content,
                                                       std::uint64_t size, bool fresh,
                                                       std::uint64_t reserve) {
  std::unique_ptr<PartialFile> partial(new PartialFile(fs, content, size));
  const bool resumed = !fresh && partial->resume();
  const std::uint64_t missing = size - partial->state_.written.total();
  // The file is sparse until it is filled, so without this check a disk would be found full only
  // after most of the content was sent.
  auto free = fs.free_bytes();
  if (!free) return free.error();
  if (missing > 0 && (*free < missing || *free - missing < reserve))
    return Error{ErrorCode::kNoSpace,
                 str("no room on the disk: needs ", shown_bytes(missing), ", ", shown_bytes(*free),
                     " are free and ", shown_bytes(reserve),
                     " of them are not for it; free space, it goes on by itself")};
  partial->resumed_ = resumed;
  return partial;
}

bool PartialFile::resume() {
  auto sidecar = fs_.open_temp(sidecar_name(state_.content));
  auto file = fs_.open_temp(partial_name(state_.content));
  if (!sidecar || !file) return false;
  std::optional<SidecarState> best;
  Bytes slot(kSidecarSlotBytes);
  for (std::uint64_t index = 0; index < 2; ++index) {
    auto got = read_fully(**sidecar, index * kSidecarSlotBytes, slot);
    if (!got) return false;
    auto state = decode_sidecar_slot(ByteView(slot).first(*got));
    if (!state || state->content != state_.content || state->size != state_.size) continue;
    if (!best || state->serial > best->serial) best = std::move(state);
  }
  if (!best) return false;
  // The file was given its whole size before the first sidecar was written. A shorter one was not
  // left by us.
  std::uint8_t last = 0;
  if (state_.size > 0) {
    auto got = (*file)->read(state_.size - 1, {&last, 1});
    if (!got || *got != 1) return false;
  }
  state_ = std::move(*best);
  file_ = std::move(*file);
  sidecar_ = std::move(*sidecar);
  return true;
}

Status PartialFile::start_anew() {
  state_.written.clear();
  state_.serial = 0;
  // The old sidecar goes first: it must not describe the file that is truncated next.
  if (auto removed = fs_.remove_temp(sidecar_name(state_.content));
      !removed && removed.error().code != ErrorCode::kNotFound)
    return removed;
  auto file = fs_.create_temp(partial_name(state_.content));
  if (!file) return file.error();
  file_ = std::move(*file);
  LS_TRY(file_->set_size(state_.size));
  auto sidecar = fs_.create_temp(sidecar_name(state_.content));
  if (!sidecar) return sidecar.error();
  sidecar_ = std::move(*sidecar);
  return {};
}

Status PartialFile::write(std::uint64_t offset, ByteView bytes) {
  const std::uint64_t end = offset + bytes.size();
  LS_ASSERT(end <= state_.size);
  if (!begun()) LS_TRY(start_anew());
  if (!state_.written.contains(offset, end)) {
    // Where nothing was ever written zeros are there already: a sparse file stays sparse.
    const bool zeros = all_zero(bytes);
    if (stale_.overlap(offset, end) > 0 || (zeros && resumed_)) {
      LS_TRY(write_over(offset, bytes));
    } else if (!zeros) {
      LS_TRY(file_->write(offset, bytes));
    }
    state_.written.add(offset, end);
    unsaved_ += bytes.size();
  }
  if (unsaved_ < kSaveEvery) return {};
  return save();
}

// Chunk by chunk, so that what differs is known that well.
Status PartialFile::write_over(std::uint64_t offset, ByteView bytes) {
  Bytes before(bytes.size());
  auto got = read_fully(*file_, offset, before);
  if (!got) return got.error();
  if (*got != before.size())
    return Error{ErrorCode::kCorrupt, "a partly received file became shorter by itself"};
  for (std::size_t at = 0; at < bytes.size(); at += kContentChunk) {
    const std::size_t size = std::min<std::size_t>(kContentChunk, bytes.size() - at);
    const ByteView chunk = bytes.subspan(at, size);
    if (std::equal(chunk.begin(), chunk.end(), ByteView(before).subspan(at, size).begin()))
      continue;
    LS_TRY(file_->write(offset + at, chunk));
    if (stale_.overlap(offset + at, offset + at + size) > 0)
      differed_.add(offset + at, offset + at + size);
  }
  stale_.remove(offset, offset + bytes.size());
  return {};
}

Status PartialFile::take_back(const RangeSet& ranges) {
  if (!begun()) return {};  // its sidecar was lost: nothing of it counts
  state_.written.remove(ranges);
  stale_.add(ranges);
  hashed_ = 0;
  hasher_.reset();
  unsaved_ = 1;
  return save();
}

Status PartialFile::hash_on(const RangeSet& on_disk, std::span<const Piece> pieces,
                            std::uint64_t budget) {
  std::size_t next = 0;
  while (true) {
    while (next < pieces.size() && pieces[next].begin + pieces[next].bytes.size() <= hashed_)
      ++next;
    if (next < pieces.size() && pieces[next].begin <= hashed_) {
      const ByteView rest =
          pieces[next].bytes.subspan(static_cast<std::size_t>(hashed_ - pieces[next].begin));
      hasher_.update(rest);
      hashed_ += rest.size();
      continue;
    }
    const std::uint64_t end = on_disk.end_of_run(hashed_);
    if (end == hashed_ || budget == 0) return {};
    LS_TRY(read_back(end, budget));
  }
}

Status PartialFile::read_back(std::uint64_t end, std::uint64_t& budget) {
  Bytes buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kReadBackBytes, end - hashed_)));
  while (hashed_ < end && budget > 0) {
    const std::uint64_t step = std::min<std::uint64_t>(buffer.size(), end - hashed_);
    auto got = read_fully(*file_, hashed_, std::span(buffer).first(step));
    if (!got) return got.error();
    if (*got != step)
      return Error{ErrorCode::kCorrupt, "a partly received file became shorter by itself"};
    hasher_.update(ByteView(buffer).first(step));
    hashed_ += step;
    budget -= std::min(budget, step);
  }
  return {};
}

ContentDigests PartialFile::digests() {
  LS_ASSERT(hashed_whole());
  return hasher_.finish();
}

Status PartialFile::save() {
  if (unsaved_ == 0) return {};
  ++state_.serial;
  LS_TRY(sidecar_->write((state_.serial % 2) * kSidecarSlotBytes, encode_sidecar_slot(state_)));
  unsaved_ = 0;
  return {};
}

void PartialFile::close() {
  file_.reset();
  sidecar_.reset();
}

}  // namespace lansync
