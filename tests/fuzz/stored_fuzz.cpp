// What index.db holds in its values: whatever the bytes, they are refused or mean something that is
// written back the same. The first byte says which.
#include <string>

#include "fuzz/fuzz_check.h"
#include "roles/network_guard.h"
#include "sync/content.h"
#include "sync/delete_guard.h"
#include "sync/edit_counter.h"
#include "sync/entry_codec.h"
#include "sync/index.h"
#include "sync/partial_file.h"

using namespace lansync;

namespace {

void entry(std::string_view bytes) {
  EntryPtr decoded = decode_entry(bytes);
  if (!decoded) return;
  const std::string once = encode_entry(*decoded);
  EntryPtr again = decode_entry(once);
  FUZZ_CHECK(again != nullptr);
  FUZZ_CHECK(encode_entry(*again) == once);
  FUZZ_CHECK(entry_digest("a/b", *again) == entry_digest("a/b", *decoded));
}

void held_deletes(std::string_view bytes) {
  for (DeleteGuard::Side side : {DeleteGuard::Side::kOwn, DeleteGuard::Side::kOthers}) {
    auto none = [] { return RunId{1}; };
    DeleteGuard guard(default_max_deletes(), side, none);
    if (!guard.restore(bytes, Instant{})) continue;
    const std::string once = guard.serialize();
    DeleteGuard again(default_max_deletes(), side, none);
    FUZZ_CHECK(again.restore(once, Instant{}));
    FUZZ_CHECK(again.serialize() == once);
    again.finish_restore();
    FUZZ_CHECK(again.held().empty());
  }
}

void networks(std::string_view bytes) {
  const std::string text(bytes);
  NetworkGuard guard(true, text);
  NetworkGuard again(true, guard.networks_text());
  FUZZ_CHECK(again.networks_text() == guard.networks_text());
}

void counts(std::string_view bytes) {
  const std::string text(bytes.substr(0, 4096));
  Prng random(1);
  EditCounter counter;
  counter.start({"1000000", "7", "0", "0102030405060708", text, text}, random);
  FUZZ_CHECK(!counter.forgot(7));
  FUZZ_CHECK(counter.forgot(counter.last() + 1));
  EditCounter again;
  again.start({"1000000", "7", "0", "0102030405060708", counter.runs_text(), ""}, random);
  FUZZ_CHECK(!again.forgot(7));
}

// Both columns of a row, and its path.
void row(std::string_view bytes) {
  const std::size_t half = bytes.size() / 2;
  LoadedIndex loaded;
  loaded.rows.push_back({"a", std::string(bytes.substr(0, half)), std::string(bytes.substr(half))});
  loaded.rows.push_back({"b", std::string(bytes), {}});
  loaded.rows.push_back(
      {std::string(bytes.substr(0, 300)), std::string(bytes), std::string(bytes)});
  loaded.trash.push_back({std::string(bytes.substr(0, half)), std::string(bytes.substr(half)),
                          std::string(bytes.substr(0, 32)), -1, ~std::uint64_t{0}});
  Index index;
  (void)index.load(loaded);
  // What was taken is written so that it can be read again; the rest is taken out of the store.
  for (const auto& [path, record] : index.paths()) index.set_stat(path, FileStat{});
  LoadedIndex again;
  for (IndexRow& written : index.take_batch().rows) {
    if (!written.local.empty() || !written.synced.empty()) again.rows.push_back(std::move(written));
  }
  Index second;
  FUZZ_CHECK(second.load(again).empty());
}

void sidecar(std::string_view bytes) {
  auto state = decode_sidecar_slot(as_bytes(bytes));
  if (!state) return;
  FUZZ_CHECK(state->written.total() <= state->size);
  const RangeSet missing = state->written.missing_of(state->size);
  for (const ByteRange& range : missing.ranges()) FUZZ_CHECK(range.begin % kContentChunk == 0);
  auto again = decode_sidecar_slot(encode_sidecar_slot(*state));
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(again->written.ranges() == state->written.ranges());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      entry(rest);
      break;
    case 1:
      held_deletes(rest);
      break;
    case 2:
      networks(rest);
      break;
    case 3:
      counts(rest);
      break;
    case 4:
      row(rest);
      break;
    default:
      sidecar(rest);
  }
  return 0;
}
