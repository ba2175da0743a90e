#include <tuple>

#include "roles/election.h"

namespace lansync {

namespace {

int manual_weight(ManualRole manual) {
  switch (manual) {
    case ManualRole::kProxy:
      return 3;
    case ManualRole::kServer:
      return 2;
    case ManualRole::kAuto:
      return 1;
    case ManualRole::kClient:
      return 0;
  }
  return 0;
}

}  // namespace

bool outranks(const Rank& a, const Rank& b) {
  auto key = [](const Rank& r) {
    return std::tuple(manual_weight(r.manual), r.full_replica, r.has_data, r.term, r.seq,
                      r.disk_log2);
  };
  if (key(a) != key(b)) return key(a) > key(b);
  // The lower id, as in the transport's rule for two sessions between the same nodes.
  return a.node < b.node;
}

// A group with several storage servers wants a proxy in front of them, and a node that nobody gave
// a role is the one to take it; everywhere else a person's word comes first (DESIGN,
// Self-assignment 3).
int Election::standing(ManualRole manual, const Context& context) {
  switch (manual) {
    case ManualRole::kProxy:
      return 4;
    case ManualRole::kAuto:
      return context.servers >= 2 && context.proxies == 0 ? 3 : 1;
    case ManualRole::kServer:
      return 2;
    case ManualRole::kClient:
      return 0;
  }
  return 0;
}

bool Election::better(const Rank& a, const Rank& b, const Context& context) const {
  int left = standing(a.manual, context);
  int right = standing(b.manual, context);
  return left != right ? left > right : outranks(a, b);
}

}  // namespace lansync
