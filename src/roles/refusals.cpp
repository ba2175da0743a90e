#include "roles/refusals.h"

#include <algorithm>

#include "base/log.h"

namespace lansync {
namespace {

constexpr std::size_t kNamed = 3;
constexpr Duration kNews = 10s;
// Two of the longest periods between beacons.
constexpr Duration kHeardLife = 80s;

std::string who(const Address& address, const Refusals::Row& row) {
  return row.name.empty() ? to_string(address) : printable(row.name, 64);
}

}  // namespace

std::string Complaint::text() const { return advice.empty() ? what : str(what, ": ", advice); }

Refusals::Refusals(std::string group, bool open, int protocol)
    : group_(printable(group, 64)), open_(open), protocol_(protocol) {}

bool Refusals::note(const Address& address, DialFailure failure, int peer_version, Instant now) {
  auto at = rows_.find(address);
  if (at == rows_.end() && rows_.size() >= kMost) {
    rows_.erase(std::min_element(rows_.begin(), rows_.end(), [](const auto& a, const auto& b) {
      return a.second.at < b.second.at;
    }));
  }
  Row& row = rows_[address];
  const bool fresh = row.why.empty() || now - row.at > kNews;
  row.protocol = peer_version;
  row.at = now;
  row.boot = BootId{};
  row.restarted = Instant{};
  row.other_version = failure == DialFailure::kProtocol;
  row.why = failure == DialFailure::kWrongPassword
                ? str("it has another password for this group", open_ ? "" : ", or none")
            : row.other_version ? version_refusal(peer_version)
                                : to_string(failure);
  return fresh;
}

void Refusals::note_beacon(const Address& address, const std::string& name, const BootId& boot,
                           bool member, Instant now) {
  auto at = rows_.find(address);
  if (at == rows_.end()) return;
  Row& row = at->second;
  if (!row.boot.is_zero() && row.boot != boot && row.restarted == Instant{}) row.restarted = now;
  if (member || of_the_past(row, now)) {
    rows_.erase(at);
    return;
  }
  if (row.boot.is_zero()) row.boot = boot;
  row.name = name;
  row.heard = now;
}

bool Refusals::of_the_past(const Row& row, Instant now) {
  return row.restarted != Instant{} && now - row.restarted >= kRetried;
}

void Refusals::prune(Instant now) {
  std::erase_if(rows_, [&](const auto& item) {
    return now - std::max(item.second.at, item.second.heard) > kForgotten ||
           of_the_past(item.second, now);
  });
}

const Refusals::Row* Refusals::find(const Address& address) const {
  auto at = rows_.find(address);
  return at == rows_.end() ? nullptr : &at->second;
}

std::string Refusals::version_refusal(int theirs) const {
  return str("it speaks protocol ", theirs, ", this node ", protocol_,
             ": install the newer lansync ", theirs > protocol_ ? "here" : "there");
}

bool Refusals::present(const Row& row, Instant now) {
  if (of_the_past(row, now)) return false;
  return now - row.at < kLife || (row.heard != Instant{} && now - row.heard < kHeardLife);
}

bool Refusals::any_password(Instant now) const {
  return std::any_of(rows_.begin(), rows_.end(), [&](const auto& item) {
    return !item.second.other_version && present(item.second, now);
  });
}

std::string Refusals::password_advice() const {
  return str("start this node with theirs (--password-file FILE, or $LANSYNC_PASSWORD)",
             open_ ? "" : ", or without one if they have none");
}

Complaint Refusals::kept_out(const std::vector<std::string>& others, Instant now) const {
  std::vector<std::string> names;
  for (const auto& [address, row] : rows_)
    if (!row.other_version && present(row, now)) names.push_back(who(address, row));
  if (names.empty()) return {};
  for (const std::string& other : others)
    if (std::find(names.begin(), names.end(), other) == names.end()) names.push_back(other);
  std::string list;
  for (std::size_t i = 0; i < std::min(names.size(), kNamed); ++i)
    list += str(i == 0 ? "" : i + 1 == names.size() ? " and " : ", ", names[i]);
  if (names.size() > kNamed) list += str(" and ", names.size() - kNamed, " more");
  return {str(list, names.size() == 1 ? " has" : " have", " another password for the group ",
              group_, open_ ? " (this node has none)" : ", or none"),
          password_advice()};
}

std::vector<Complaint> Refusals::turned_away(Instant now) const {
  std::vector<Complaint> found;
  for (const auto& [address, row] : rows_) {
    if (!present(row, now)) continue;
    const std::string there =
        row.name.empty() ? to_string(address)
                         : str(printable(row.name, 64), " (", ip_to_string(address.ip), ")");
    if (row.other_version) {
      found.push_back({str(there, " was turned away: ", row.why), ""});
    } else {
      found.push_back({str(there, " was turned away: it has another password for the group ",
                           group_, open_ ? "" : ", or none"),
                       str("if it is meant to be in this group, start it with this group's ",
                           open_ ? "(none: without --password-file and $LANSYNC_PASSWORD)"
                                 : "password (--password-file FILE, or $LANSYNC_PASSWORD)",
                           "; else with another --group")});
    }
  }
  return found;
}

}  // namespace lansync
