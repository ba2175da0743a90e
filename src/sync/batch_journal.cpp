#include "sync/batch_journal.h"

#include "base/bytes.h"
#include "base/rel_path.h"
#include "sync/entry_codec.h"

namespace lansync {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMaxName = 2 * kMaxPathBytes;
constexpr std::size_t kMaxEntry = 1 << 20;

void put_item(ByteWriter& out, const TrashItem& item) {
  out.raw(item.content);
  out.i64(item.time_ns);
  out.u64(item.size);
  out.i64(item.put_at_ns);
  out.u8(static_cast<std::uint8_t>(item.reason));
  out.u8(item.symlink ? 1 : 0);
}

bool take_item(ByteReader& in, TrashItem& item) {
  item.content = in.id<ContentId>();
  item.time_ns = in.i64();
  item.size = in.u64();
  item.put_at_ns = in.i64();
  const std::uint8_t reason = in.u8();
  if (reason > static_cast<std::uint8_t>(TrashReason::kDamaged)) return false;
  item.reason = static_cast<TrashReason>(reason);
  item.symlink = in.u8() != 0;
  return in.ok();
}

}  // namespace

std::string BatchJournal::encode(const std::vector<DiskChange>& changes) const {
  if (changes.empty() && intended_.empty()) return {};
  ByteWriter out;
  out.u8(kVersion);
  out.u32(static_cast<std::uint32_t>(intended_.size() + changes.size()));
  auto put = [&](const DiskChange& change) {
    out.text(change.path);
    out.text(change.entry ? encode_entry(*change.entry) : std::string());
    out.text(change.temp);
    out.text(change.trash);
    if (!change.trash.empty()) put_item(out, change.displaces);
  };
  // In this order: what is done to a path now counts.
  for (const auto& [path, entry] : intended_) {
    DiskChange before;
    before.path = path;
    before.entry = entry;
    put(before);
  }
  for (const DiskChange& change : changes) put(change);
  return std::string(as_text(out.bytes()));
}

void BatchJournal::load(std::string_view text) {
  *this = BatchJournal{};
  if (text.empty()) return;
  BatchJournal read;
  ByteReader in(as_bytes(text));
  if (in.u8() != kVersion) return;
  for (std::uint32_t left = in.u32(); left > 0 && in.ok(); --left) {
    const std::string path(in.text(kMaxName));
    const std::string_view entry = in.text(kMaxEntry);
    const std::string temp(in.text(kMaxName));
    const std::string trash(in.text(kMaxName));
    if (!in.ok()) return;
    if (!entry.empty()) {
      EntryPtr decoded = decode_entry(entry);
      if (!decoded) return;
      read.intended_[path] = std::move(decoded);
    }
    if (!temp.empty()) read.temps_[temp] = path;
    if (trash.empty()) continue;
    TrashItem item;
    if (!take_item(in, item)) return;
    item.path = path;
    read.trash_[trash] = std::move(item);
  }
  if (in.finished()) *this = std::move(read);
}

EntryPtr BatchJournal::intended(const std::string& path) const {
  auto at = intended_.find(path);
  return at == intended_.end() ? nullptr : at->second;
}

}  // namespace lansync
