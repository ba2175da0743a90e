// What a hub refuses before it has begun anything with it.
#include "roles/hub.h"

namespace lansync {

// What this disk would not have in the end is refused at once: as a candidate it would stand in the
// way of others, and its pusher would wait.
std::string Hub::not_taken_here(const Offer& offer, const Settlement& settled) const {
  if (offer.session == 0 || !settled.changed) return {};
  if (settled.entry && (settled.content_needed || !settled.entry->is_file())) {
    if (auto why = replica_.refusal_of(offer.item.name, *settled.entry)) return *why;
  }
  if (settled.copy) {
    if (auto why = replica_.refusal_of(settled.copy_path, *settled.copy)) return *why;
  }
  return {};
}

// This disk's own is named to the person here, and offered again when it or the group's version
// changes.
void Hub::refuse(const Offer& offer, const std::string& reason) {
  verdict(offer.session, VerdictKind::kRefuse, offer.item.name, nullptr, reason);
  if (offer.session == 0) replica_.refuse_push(offer.item.name, reason);
}

}  // namespace lansync
