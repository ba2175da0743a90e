#include "sniff/folder.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/log.h"
#include "sniff/render.h"

namespace lansync::sniff {
namespace {

constexpr std::array<std::string_view, 5> kTrains = {"sealed", "chunk", "lane", "tcp", "enet"};

// The type of all that the packet carried, if that is one that comes in trains.
std::optional<std::string> train_type(const std::vector<Item>& items) {
  const Item& first = items.front();
  if (std::find(kTrains.begin(), kTrains.end(), first.type) == kTrains.end()) return std::nullopt;
  for (const Item& item : items)
    if (item.type != first.type || item.src != first.src || item.dst != first.dst)
      return std::nullopt;
  return first.type;
}

}  // namespace

std::string LineFolder::add(const std::vector<Item>& items) {
  if (items.empty()) return {};
  const Item& first = items.front();
  const std::optional<std::string> type = train_type(items);
  if (type && train_ && train_->type == *type && train_->src == first.src &&
      train_->dst == first.dst && first.time.ns - train_->begin.ns < kLongestNs) {
    ++train_->packets;
    train_->end = first.time;
    return {};
  }
  std::string out = flush();
  if (type) train_ = Train{first.src, first.dst, *type, first.time, first.time, 0};
  return out + render_line(items);
}

std::string LineFolder::flush() {
  if (!train_) return {};
  const Train train = *std::exchange(train_, std::nullopt);
  if (train.packets == 0) return {};
  return str(iso_time(train.end).substr(11, 15), ' ', train.src ? to_string(*train.src) : "?",
             " > ", train.dst ? to_string(*train.dst) : "?", ' ', train.type, " and ",
             train.packets,
             train.packets == 1 ? " more packet like it in " : " more packets like it in ",
             (train.end.ns - train.begin.ns) / 1'000'000, " ms\n");
}

}  // namespace lansync::sniff
