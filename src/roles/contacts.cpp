#include "roles/contacts.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace lansync {
namespace {

bool take_number(std::string_view& text, std::int64_t& value) {
  const char* end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, value);
  if (read.ec != std::errc{} || value < -1) return false;
  text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
  return true;
}

std::optional<std::int64_t> ago(std::int64_t then_ns, std::int64_t now_ns) {
  if (then_ns < 0) return std::nullopt;
  return std::max<std::int64_t>(0, now_ns - then_ns);
}

}  // namespace

// "SHARED CONFIRMED\n", then "ID SEEN SYNCED\n" for each node.
void Contacts::load(std::string_view text) {
  *this = Contacts{};
  unreadable_ = !text.empty();
  Contacts read;
  std::int64_t confirmed = 0;
  if (!take_number(text, read.shared_ns_) || !text.starts_with(' ')) return;
  text.remove_prefix(1);
  if (!take_number(text, confirmed) || !text.starts_with('\n')) return;
  text.remove_prefix(1);
  read.absence_confirmed_ = confirmed == 1;
  while (!text.empty()) {
    constexpr std::size_t kIdDigits = 2 * NodeId::kSize;
    NodeId node;
    Seen seen;
    if (text.size() < kIdDigits || !from_hex(text.substr(0, kIdDigits), node.bytes)) return;
    text.remove_prefix(kIdDigits);
    for (std::int64_t* number : {&seen.seen_ns, &seen.synced_ns}) {
      if (!text.starts_with(' ')) return;
      text.remove_prefix(1);
      if (!take_number(text, *number)) return;
    }
    if (!text.starts_with('\n') || read.nodes_.size() >= kMaxNodes) return;
    text.remove_prefix(1);
    read.nodes_[node] = seen;
  }
  *this = std::move(read);
}

std::string Contacts::text() const {
  std::string out = std::to_string(shared_ns_) + (absence_confirmed_ ? " 1\n" : " 0\n");
  for (const auto& [node, seen] : nodes_) {
    out += to_hex(node) + ' ' + std::to_string(seen.seen_ns) + ' ' +
           std::to_string(seen.synced_ns) + '\n';
  }
  return out;
}

Contacts::Seen& Contacts::at(const NodeId& node) {
  auto found = nodes_.find(node);
  if (found != nodes_.end()) return found->second;
  if (nodes_.size() >= kMaxNodes) {
    nodes_.erase(std::min_element(nodes_.begin(), nodes_.end(), [](const auto& a, const auto& b) {
      return a.second.seen_ns < b.second.seen_ns;
    }));
  }
  return nodes_[node];
}

void Contacts::note_seen(const NodeId& node, std::int64_t observed_ns) {
  Seen& seen = at(node);
  seen.seen_ns = std::max(seen.seen_ns, observed_ns);
}

void Contacts::note_synced(const NodeId& node, std::int64_t observed_ns) {
  Seen& seen = at(node);
  seen.seen_ns = std::max(seen.seen_ns, observed_ns);
  seen.synced_ns = std::max(seen.synced_ns, observed_ns);
}

std::optional<std::int64_t> Contacts::seen_ago(const NodeId& node, std::int64_t observed_ns) const {
  auto found = nodes_.find(node);
  return found == nodes_.end() ? std::nullopt : ago(found->second.seen_ns, observed_ns);
}

std::optional<std::int64_t> Contacts::synced_ago(const NodeId& node,
                                                 std::int64_t observed_ns) const {
  auto found = nodes_.find(node);
  return found == nodes_.end() ? std::nullopt : ago(found->second.synced_ns, observed_ns);
}

std::optional<std::int64_t> Contacts::shared_ago(std::int64_t observed_ns) const {
  if (unreadable_) return std::numeric_limits<std::int64_t>::max() / 4;
  return ago(shared_ns_, observed_ns);
}

bool was_long_away(std::optional<std::int64_t> hub_ns, std::optional<std::int64_t> own_ns,
                   std::int64_t unsure_ns) {
  if (hub_ns) return *hub_ns > Contacts::kLongAwayNs;
  if (!own_ns) return false;
  return *own_ns > Contacts::kLongAwayNs || unsure_ns > Contacts::kLongAwayNs - *own_ns;
}

}  // namespace lansync
