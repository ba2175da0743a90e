// A file on a node's disk that the node may not replace, and everybody else may (`chattr +i`).
#pragma once

#include <optional>
#include <string>

#include "sim/node.h"

namespace lansync::sim {

class MayNotReplace {
 public:
  MayNotReplace(SimNode& node, std::string path) : node_(node), path_(std::move(path)) { begin(); }
  ~MayNotReplace() { end(); }
  MayNotReplace(const MayNotReplace&) = delete;
  MayNotReplace& operator=(const MayNotReplace&) = delete;
  void begin() {
    node_.set_on_operation(
        [this](const std::string&, const std::string& subject) { subject_ = subject; });
    node_.disk().set_failing([this](const std::string& operation) -> std::optional<Error> {
      if (subject_ != path_ || operation != "install_temp") return std::nullopt;
      return Error{ErrorCode::kDenied, "cannot replace " + path_ + ": Operation not permitted"};
    });
  }
  void end() {
    node_.disk().set_failing({});
    node_.set_on_operation({});
  }

 private:
  SimNode& node_;
  std::string path_;
  std::string subject_;
};

}  // namespace lansync::sim
