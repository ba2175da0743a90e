// Contents whose fetch failed: which of them nobody who is here has, and what was said of the paths
// that want them.
//
// Invariant: nobody_has(x) is true only while x is wanted, its last three fetches failed, and the
// last one ended with the word of everybody who could be asked that they do not have it. Such a
// content is waited for by nobody (DESIGN, Deletes: it stays listed and comes when its holder
// does). No clock, no I/O; driven by Replica.
#pragma once

#include <map>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace lansync {

class Unfetched {
 public:
  // A fetch of it, asked of everybody, failed. Gives what to say of the paths that want it.
  std::string on_failed(const ContentId& content, const Error& error);
  // It came, or is wanted no more.
  void forget(const ContentId& content) { failures_.erase(content); }
  void clear();
  bool nobody_has(const ContentId& content) const;
  bool empty() const { return failures_.empty(); }

  // What was said of a path, to be taken back when it waits no more.
  void said(const std::string& path, const std::string& text) { said_[path] = text; }
  // Empty: nothing.
  std::string take_said(const std::string& path);

 private:
  std::map<ContentId, int> failures_;
  std::map<std::string, std::string> said_;
};

}  // namespace lansync
