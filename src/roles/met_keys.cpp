#include "roles/met_keys.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "transport/ed25519.h"

namespace lansync {
namespace {

constexpr std::string_view kPrefix = "met/";

std::string row_of(const NodeId& node) { return str(kPrefix, to_hex(node)); }

}  // namespace

void MetKeys::load(const std::map<std::string, std::string>& meta) {
  for (auto at = meta.lower_bound(std::string(kPrefix));
       at != meta.end() && at->first.starts_with(kPrefix); ++at) {
    const std::string_view text = at->second;
    const std::size_t colon = text.find(':');
    Met met;
    auto [end, failed] =
        std::from_chars(text.data(), text.data() + std::min(colon, text.size()), met.turn);
    constexpr std::size_t kKeyDigits = 2 * PublicKey::kSize;
    bool fine = colon != std::string_view::npos && failed == std::errc() &&
                end == text.data() + colon && text.size() > colon + kKeyDigits + 1;
    fine = fine && from_hex(text.substr(colon + 1, kKeyDigits), met.key.bytes) &&
           text[colon + 1 + kKeyDigits] == ':' &&
           from_hex(text.substr(colon + kKeyDigits + 2), met.run.bytes);
    const NodeId node = node_id_of(met.key);
    // A turn that two rows have would lose one of them.
    if (!fine || !acceptable_key(met.key) || row_of(node) != at->first ||
        by_turn_.contains(met.turn)) {
      changes_[at->first].clear();
      continue;
    }
    note(node, met);
  }
  while (keys_.size() > kMaxKeys) drop_oldest();
}

void MetKeys::note(const NodeId& node, const Met& met) {
  keys_[node] = met;
  by_turn_[met.turn] = node;
  last_turn_ = std::max(last_turn_, met.turn);
}

void MetKeys::drop_oldest() {
  const auto oldest = by_turn_.begin();
  changes_[row_of(oldest->second)].clear();
  keys_.erase(oldest->second);
  by_turn_.erase(oldest);
}

StartId MetKeys::run_of(const NodeId& node) const {
  auto at = keys_.find(node);
  return at == keys_.end() ? StartId{} : at->second.run;
}

void MetKeys::meet(const PublicKey& key, const StartId& run) {
  const NodeId node = node_id_of(key);
  if (auto at = keys_.find(node); at != keys_.end()) {
    // Who is among the later half makes room for nobody soon: not a row written for each session.
    if (at->second.run == run && last_turn_ - at->second.turn < kMaxKeys / 2) return;
    by_turn_.erase(at->second.turn);
  }
  const Met met{key, run, last_turn_ + 1};
  note(node, met);
  changes_[row_of(node)] = str(met.turn, ':', to_hex(key), ':', to_hex(run));
  if (keys_.size() > kMaxKeys) drop_oldest();
}

std::optional<PublicKey> MetKeys::find(const NodeId& node) const {
  auto at = keys_.find(node);
  return at == keys_.end() ? std::nullopt : std::optional(at->second.key);
}

std::map<std::string, std::string> MetKeys::take_changes() { return std::exchange(changes_, {}); }

}  // namespace lansync
