// A disk that does not answer: what took moments until now has waited for it for many seconds (it
// is frozen, its server is gone, it is dying). Told by the outside, which alone sees its workers.
//
// A node with such a disk can promise nothing: as hub it names a successor (DESIGN, Self-assignment
// 4), and people are told. Pure; driven by Node.
#pragma once

#include <string>

#include "base/log.h"
#include "base/time.h"

namespace lansync {

class DiskSilence {
 public:
  // As long as a hub may have something to commit without success.
  static constexpr Duration kPatience = 10s;

  void note(Duration waits) { waits_ = waits; }
  bool stands() const { return waits_ >= kPatience; }
  Duration waits() const { return waits_; }
  std::string text(const std::string& folder) const {
    if (!stands()) return {};
    return str(
        "the disk of ", printable(folder, 300), " has not answered for ", waits_ / 1s,
        " s: nothing is synced here until it does (is it unplugged, frozen, or a share whose "
        "server is gone? `dmesg` says more)");
  }

 private:
  Duration waits_{};
};

}  // namespace lansync
