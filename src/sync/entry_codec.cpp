#include "sync/entry_codec.h"

#include <algorithm>
#include <memory>

#include "base/bytes.h"
#include "sync/hashing.h"

namespace lansync {
namespace {

constexpr std::uint8_t kFormat = 2;
// A symlink's target and a node's name: what a disk or a peer could otherwise make as long as it
// likes. 4095 is PATH_MAX without its NUL.
constexpr std::size_t kMaxTargetBytes = 4095;
constexpr std::size_t kMaxAuthorNameBytes = 255;

void write_version(ByteWriter& out, const VersionVector& version) {
  out.u16(static_cast<std::uint16_t>(version.parts().size()));
  for (const VersionVector::Part& part : version.parts()) {
    out.u64(part.id);
    out.u64(part.count);
  }
}

// False unless the parts are what a VersionVector has: sorted, no id twice, no zero count. A form
// that is not canonical would decode to something that encodes otherwise.
bool read_version(ByteReader& in, VersionVector& version) {
  std::size_t size = in.u16();
  if (size > kMaxVectorSize || size * 16 > in.left()) return false;
  std::vector<VersionVector::Part> parts;
  parts.reserve(size);
  for (std::size_t i = 0; i < size; ++i) {
    VersionVector::Part part{in.u64(), in.u64()};
    if (part.count == 0 || part.count >= kCountLimit || (i > 0 && parts.back().id >= part.id))
      return false;
    parts.push_back(part);
  }
  version = VersionVector(std::move(parts));
  return in.ok();
}

// What the vector does not have is not known, and no row says otherwise.
void write_edit(ByteWriter& out, const Edit& edit, const VersionVector& version) {
  const Edit known = has_seen(version, edit) ? edit : Edit{};
  out.u64(known.id);
  out.u64(known.count);
}

bool read_edit(ByteReader& in, Edit& edit, const VersionVector& version) {
  edit = {in.u64(), in.u64()};
  return edit == Edit{} || has_seen(version, edit);
}

// What decode_entry would take. A row that no start could read must never be written, whatever
// brought the entry here.
bool can_be_read_again(const Entry& entry) {
  const auto& parts = entry.version.parts();
  const bool counts = std::all_of(parts.begin(), parts.end(),
                                  [](const auto& part) { return part.count < kCountLimit; });
  return counts && parts.size() <= kMaxVectorSize && entry.mode <= 0777 &&
         entry.target.size() <= kMaxTargetBytes && entry.author_name.size() <= kMaxAuthorNameBytes;
}

bool known_kind(std::uint8_t kind) {
  return kind >= static_cast<std::uint8_t>(EntryKind::kFile) &&
         kind <= static_cast<std::uint8_t>(EntryKind::kSetting);
}

}  // namespace

ContentId entry_digest(const std::string& path, const Entry& entry) {
  ByteWriter out;
  out.text(path);
  out.u8(static_cast<std::uint8_t>(entry.kind));
  out.u8(static_cast<std::uint8_t>(entry.was));
  out.u64(entry.run);
  out.u16(entry.mode);
  out.u64(entry.size);
  out.i64(entry.mtime_ns);
  out.raw(entry.content);
  out.text(entry.target);
  write_version(out, entry.version);
  return content_id_of(out.bytes());
}

std::string encode_entry(const Entry& entry) {
  if (!can_be_read_again(entry)) return {};
  ByteWriter out;
  out.u8(kFormat);
  out.u8(static_cast<std::uint8_t>(entry.kind));
  out.u8(static_cast<std::uint8_t>(entry.was));
  out.u64(entry.run);
  out.u16(entry.mode);
  // All kinds have all fields: 80 bytes more for a directory buy a decoder without cases, and an
  // encoding that keeps whatever an Entry holds.
  out.u64(entry.size);
  out.i64(entry.mtime_ns);
  out.raw(entry.content);
  out.raw(entry.md5);
  out.text(entry.target);
  write_version(out, entry.version);
  write_edit(out, entry.edits.content, entry.version);
  write_edit(out, entry.edits.mode, entry.version);
  write_edit(out, entry.edits.mtime, entry.version);
  out.u64(entry.author);
  out.text(entry.author_name);
  out.i64(entry.edited.ns);
  return std::string(as_text(out.bytes()));
}

EntryPtr decode_entry(std::string_view bytes) {
  ByteReader in(as_bytes(bytes));
  if (in.u8() != kFormat) return nullptr;
  auto entry = std::make_shared<Entry>();
  std::uint8_t kind = in.u8();
  std::uint8_t was = in.u8();
  entry->run = in.u64();
  entry->mode = in.u16();
  if (!known_kind(kind) || !known_kind(was) || entry->mode > 0777) return nullptr;
  entry->kind = static_cast<EntryKind>(kind);
  entry->was = static_cast<EntryKind>(was);
  entry->size = in.u64();
  entry->mtime_ns = in.i64();
  entry->content = in.id<ContentId>();
  entry->md5 = in.id<Md5>();
  entry->target = in.text(kMaxTargetBytes);
  if (!read_version(in, entry->version)) return nullptr;
  for (Edit* edit : {&entry->edits.content, &entry->edits.mode, &entry->edits.mtime}) {
    if (!read_edit(in, *edit, entry->version)) return nullptr;
  }
  entry->author = in.u64();
  entry->author_name = in.text(kMaxAuthorNameBytes);
  entry->edited.ns = in.i64();
  if (!in.finished()) return nullptr;
  return entry;
}

}  // namespace lansync
