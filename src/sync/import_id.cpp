#include "sync/import_id.h"

#include "base/bytes.h"
#include "sync/hashing.h"

namespace lansync {

ShortId import_id(const std::string& path, const Entry& entry) {
  ByteWriter out;
  out.text("lansync import");
  out.text(path);
  out.u8(static_cast<std::uint8_t>(entry.kind));
  out.u16(entry.mode);
  out.u64(entry.size);
  out.i64(entry.mtime_ns);
  out.raw(entry.content);
  return short_id_from(content_id_of(out.bytes()));
}

}  // namespace lansync
