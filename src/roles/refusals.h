// Who was turned away, or turned this node away, and why: another password, another protocol.
//
// Invariant: what is told names the node (as far as its beacons did) and what mends it; bounded.
// Driven by roles/node on the control thread; knows no clock.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/ids.h"
#include "base/time.h"
#include "transport/session.h"

namespace lansync {

// A sentence for people: what is so, and what to do about it.
struct Complaint {
  std::string what;
  std::string advice;
  std::string text() const;
};

class Refusals {
 public:
  // Somebody who is not heard (--peer) is dialled each 30 s.
  static constexpr Duration kLife = 100s;
  static constexpr Duration kForgotten = 10min;
  static constexpr Duration kRetried = 30s;
  static constexpr std::size_t kMost = 256;

  struct Row {
    std::string name;  // "": no beacon of it was heard
    std::string why;
    int protocol = 0;
    bool other_version = false;
    Instant at{};
    Instant heard{};  // its last beacon
    BootId boot;      // of the start that was turned away, as far as it was heard
    Instant restarted{};
  };

  Refusals(std::string group, bool open, int protocol);

  // True if it is news, for the log.
  bool note(const Address& address, DialFailure failure, int peer_version, Instant now);
  // A beacon of a node that listens there. `member`: it has the group's key by now, so that
  // what was said of its password is not so any more. Another start of it may have another
  // password: it is turned away again within kRetried, or not at all.
  void note_beacon(const Address& address, const std::string& name, const BootId& boot, bool member,
                   Instant now);
  void forget(const Address& address) { rows_.erase(address); }
  void prune(Instant now);

  const Row* find(const Address& address) const;
  const std::map<Address, Row>& rows() const { return rows_; }
  std::string version_refusal(int theirs) const;
  // About those with another password that are there now: of this node, which they keep out
  // (`others`: who is heard in the same group and was not asked, by name), and by name for one of
  // the group that keeps them out. Empty `what`: there are none.
  Complaint kept_out(const std::vector<std::string>& others, Instant now) const;
  std::vector<Complaint> turned_away(Instant now) const;
  bool any_password(Instant now) const;

 private:
  static bool present(const Row& row, Instant now);
  static bool of_the_past(const Row& row, Instant now);
  std::string password_advice() const;

  std::string group_;
  bool open_;
  int protocol_;
  std::map<Address, Row> rows_;
};

}  // namespace lansync
