#include "sim/streams.h"

#include <algorithm>
#include <utility>

namespace lansync::sim {
namespace {

constexpr std::size_t kWindow = 256 * 1024;
// A kernel tries longer; the carriers' own patience is what is tested.
constexpr Duration kPatience = 8s;
constexpr Duration kRetry = 200ms;

}  // namespace

void Streams::leave(StreamEnd* owner) {
  std::erase_if(listeners_, [&](const auto& named) { return named.second == owner; });
  for (auto& [id, end] : ends_) {
    if (end.owner == owner) close(id, owner);
  }
  for (auto& [id, end] : ends_) {
    if (end.owner == owner) end.owner = nullptr;
  }
}

StreamId Streams::dial(const Address& from, const Address& to, StreamEnd* owner) {
  const StreamId here = next_++;
  const StreamId there = next_++;
  ends_[here] = {from, to, owner, there, {}, 0, {}, true};
  ends_[there] = {to, from, nullptr, here, {}, 0, {}, true};
  carry(
      here,
      [this, here, there, to] {
        auto listener = listeners_.find({host_of_(to.ip), to.port});
        if (listener == listeners_.end()) return broke(here);  // refused
        ends_[there].owner = listener->second;
        listener->second->on_stream(there);
      },
      60, queue_.now());
  return here;
}

// In order after what was sent before. What does not get through is tried again for a while.
void Streams::carry(StreamId from, std::function<void()> what, std::size_t bytes, Instant since) {
  End& end = ends_.at(from);
  const Instant now = queue_.now();
  Instant arrival = passage_(end.own.ip, end.peer.ip, bytes);
  if (arrival == kNever && now - since > kPatience) return broke(from);
  const bool again = arrival == kNever;
  if (again) arrival = now + kRetry;
  arrival = std::max(arrival, end.last_arrival);
  end.last_arrival = arrival;
  queue_.at(arrival, [this, from, what = std::move(what), bytes, since, again]() mutable {
    if (!ends_.contains(from)) return;
    if (again) return carry(from, std::move(what), bytes, since);
    what();
  });
}

void Streams::broke(StreamId id) {
  for (const StreamId one : {id, ends_.at(id).other}) {
    End& end = ends_.at(one);
    if (!std::exchange(end.open, false) || end.owner == nullptr) continue;
    queue_.at(queue_.now(), [this, one] {
      if (StreamEnd* owner = ends_.at(one).owner) owner->on_stream(one);
    });
  }
}

void Streams::send(StreamId id, const StreamEnd* owner, Bytes bytes) {
  auto at = ends_.find(id);
  if (at == ends_.end() || at->second.owner != owner || !at->second.open || bytes.empty()) return;
  const std::size_t size = bytes.size();
  at->second.on_its_way += size;
  carry(
      id,
      [this, id, bytes = std::move(bytes)] {
        End& from = ends_.at(id);
        End& to = ends_.at(from.other);
        from.on_its_way -= bytes.size();
        if (!to.open) return;
        to.in.insert(to.in.end(), bytes.begin(), bytes.end());
        if (to.owner != nullptr) to.owner->on_stream(from.other);
        if (from.owner != nullptr && from.open) from.owner->on_stream(id);
      },
      size, queue_.now());
}

bool Streams::take(StreamId id, const StreamEnd* owner, Bytes& out) {
  auto at = ends_.find(id);
  if (at == ends_.end() || at->second.owner != owner) return false;
  out.insert(out.end(), at->second.in.begin(), at->second.in.end());
  at->second.in.clear();
  return at->second.open;
}

std::size_t Streams::room(StreamId id) const {
  auto at = ends_.find(id);
  if (at == ends_.end() || !at->second.open) return 0;
  return kWindow - std::min(kWindow, at->second.on_its_way);
}

void Streams::close(StreamId id, const StreamEnd* owner) {
  auto at = ends_.find(id);
  if (at == ends_.end() || at->second.owner != owner) return;
  at->second.owner = nullptr;
  if (!std::exchange(at->second.open, false)) return;
  carry(
      id,
      [this, other = at->second.other] {
        End& there = ends_.at(other);
        if (!std::exchange(there.open, false) || there.owner == nullptr) return;
        there.owner->on_stream(other);
      },
      60, queue_.now());
}

}  // namespace lansync::sim
