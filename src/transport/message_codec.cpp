// What encoding and decoding share, and the chunk, which is no msgpack.
#include "base/assert.h"
#include "transport/message.h"

namespace lansync {

Message::Message() = default;
Message::Message(const Message& other) = default;
Message::Message(Message&& other) noexcept = default;
Message& Message::operator=(const Message& other) = default;
Message& Message::operator=(Message&& other) noexcept = default;
Message::~Message() = default;

std::string_view message_type(const Message& message) {
  struct Namer {
    std::string_view operator()(const Hello& m) { return m.answer ? "hi" : "hello"; }
    std::string_view operator()(const Claim&) { return "claim"; }
    std::string_view operator()(const Roster&) { return "roster"; }
    std::string_view operator()(const Bye&) { return "bye"; }
    std::string_view operator()(const Clone&) { return "clone"; }
    std::string_view operator()(const Ping&) { return "ping"; }
    std::string_view operator()(const HubHeard&) { return "hub_heard"; }
    std::string_view operator()(const Mark&) { return "mark"; }
    std::string_view operator()(const Holds&) { return "holds"; }
    std::string_view operator()(const Hole&) { return "hole"; }
    std::string_view operator()(const IndexGet&) { return "index_get"; }
    std::string_view operator()(const Update&) { return "update"; }
    std::string_view operator()(const Push&) { return "push"; }
    std::string_view operator()(const Verdict& m) {
      switch (m.kind) {
        case VerdictKind::kAccept:
          return "accept";
        case VerdictKind::kHave:
          return "have";
        case VerdictKind::kConflict:
          return "conflict";
        case VerdictKind::kRefuse:
          return "refuse";
      }
      LS_ASSERT(false);
    }
    std::string_view operator()(const Request&) { return "request"; }
    std::string_view operator()(const Download&) { return "download"; }
    std::string_view operator()(const Done&) { return "done"; }
    std::string_view operator()(const Carrier&) { return "carrier"; }
    std::string_view operator()(const Where&) { return "where"; }
    std::string_view operator()(const Holders&) { return "holders"; }
    std::string_view operator()(const Coming&) { return "coming"; }
    std::string_view operator()(const IndexQuery&) { return "index_query"; }
    std::string_view operator()(const IndexPage&) { return "index_page"; }
    std::string_view operator()(const FileHash&) { return "file_hash"; }
    std::string_view operator()(const FileHashes&) { return "file_hashes"; }
    std::string_view operator()(const Search&) { return "search"; }
    std::string_view operator()(const Found&) { return "found"; }
    std::string_view operator()(const NotFound&) { return "not_found"; }
    std::string_view operator()(const Working&) { return "working"; }
    std::string_view operator()(const Failed&) { return "failed"; }
    std::string_view operator()(const Cancel&) { return "cancel"; }
    std::string_view operator()(const FileUpload&) { return "file_upload"; }
    std::string_view operator()(const FileUploadAllow&) { return "file_upload_allow"; }
    std::string_view operator()(const FileUploadDeny&) { return "file_upload_deny"; }
    std::string_view operator()(const FileDownloaded&) { return "file_downloaded"; }
    std::string_view operator()(const TrashGet&) { return "trash_get"; }
    std::string_view operator()(const TrashRows&) { return "trash"; }
    std::string_view operator()(const RestoreTrash&) { return "trash_restore"; }
    std::string_view operator()(const RunsKnown&) { return "runs"; }
    std::string_view operator()(const RunWord&) { return "run"; }
  };
  return std::visit(Namer{}, message);
}

void encode_chunk(const Chunk& chunk, Bytes& out) {
  LS_ASSERT(!chunk.bytes.empty() && chunk.bytes.size() <= kChunkBytes);
  out.resize(kChunkHeaderBytes);
  out[0] = kChunkMark;
  for (std::size_t i = 0; i < 4; ++i)
    out[1 + i] = static_cast<std::uint8_t>(chunk.transfer >> (24 - 8 * i));
  for (std::size_t i = 0; i < 8; ++i)
    out[5 + i] = static_cast<std::uint8_t>(chunk.number >> (56 - 8 * i));
  out.insert(out.end(), chunk.bytes.begin(), chunk.bytes.end());
}

std::optional<Chunk> decode_chunk(ByteView packet) {
  ByteReader in(packet);
  if (in.u8() != kChunkMark) return std::nullopt;
  Chunk chunk;
  chunk.transfer = in.u32();
  chunk.number = in.u64();
  std::size_t size = in.left();
  if (!in.ok() || size == 0 || size > kChunkBytes) return std::nullopt;
  // The offset of its last byte has to be a file offset.
  if (chunk.number > kMaxFileSize / kChunkBytes) return std::nullopt;
  chunk.bytes = in.raw(size);
  return chunk;
}

}  // namespace lansync
