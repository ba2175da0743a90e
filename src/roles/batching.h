// Cuts lists of entries into messages: by count and by bytes, because 512 entries with long names
// are more than a message may hold.
#pragma once

#include <cstddef>
#include <vector>

#include "transport/message.h"

namespace lansync {

// A message of about this size is some fifty datagrams: large enough that its overhead is noise,
// small enough that what is urgent does not wait long behind it. One entry at most is 32 KiB more.
inline constexpr std::size_t kBatchBytes = 60 * 1024;

// Calls `flush` with each run of items. `bytes_of(item)` bounds what an item takes in the message.
template <typename Item, typename BytesOf, typename Flush>
void in_batches(const std::vector<Item>& items, BytesOf bytes_of, Flush flush) {
  std::vector<Item> batch;
  std::size_t bytes = 0;
  for (const Item& item : items) {
    batch.push_back(item);
    bytes += bytes_of(item);
    if (batch.size() < kMaxEntriesPerMessage && bytes < kBatchBytes) continue;
    flush(std::move(batch));
    batch = {};
    bytes = 0;
  }
  if (!batch.empty()) flush(std::move(batch));
}

inline std::size_t bytes_of_named(const NamedEntry& named) {
  return entry_bytes_bound(named.name, *named.entry);
}

}  // namespace lansync
