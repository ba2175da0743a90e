// What a hub refuses, and what it publishes without a copy of its own: the version of a path that
// its disk or its rules cannot have (sync/replica_obstacles.cpp).
#include "base/log.h"
#include "roles/hub.h"

namespace lansync {
namespace {

constexpr std::size_t kMaxNotHere = 100'000;  // hints for those who look for content

}  // namespace

// This disk's own is named to the person here, and offered again when it or the group's version
// changes.
void Hub::refuse(const Offer& offer, const std::string& reason) {
  verdict(offer.session, VerdictKind::kRefuse, offer.item.name, nullptr, reason);
  if (offer.session == 0) replica_.refuse_push(offer.item.name, reason);
}

void Hub::note_not_here(const std::string& path) {
  const PathRecord& record = *replica_.index().find(path);
  if (!record.agreed_elsewhere() || !record.synced->is_file()) return;
  if (not_here_.size() >= kMaxNotHere) not_here_.clear();
  not_here_[record.synced->content] = path;
}

// What was agreed on without a copy and is withdrawn before it was published has promised nothing.
void Hub::forget_not_here(const std::string& path, const EntryPtr& entry, const EntryPtr& before) {
  const PathRecord* record = replica_.index().find(path);
  const bool agreed = record && entry && record->synced && record->agreed_elsewhere() &&
                      record->synced->version == entry->version;
  if (agreed) replica_.index().set_synced(path, before);
}

std::string Hub::not_here(const ContentId& content) const {
  auto at = not_here_.find(content);
  return at == not_here_.end() ? std::string() : at->second;
}

std::vector<std::string> Hub::describe_candidates() const {
  std::vector<std::string> out;
  for (const auto& [path, candidate] : candidates_) {
    std::string line =
        str(printable(path), candidate.entry ? "" : ", waits for its copy", ", session ",
            candidate.offer.session, ", offers behind it ", candidate.queue.size());
    if (candidate.offer.item.name != path)
      line += str(", for ", printable(candidate.offer.item.name));
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace lansync
