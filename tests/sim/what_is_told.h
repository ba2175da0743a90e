// What stories ask of a folder and of words again and again.
#pragma once

#include <string>
#include <vector>

#include "sim/world.h"
#include "support/catch.h"

namespace lansync::sim {

inline std::vector<std::string> copies_in(SimNode& node) {
  std::vector<std::string> out;
  for (const auto& [path, seen] : node.disk().tree())
    if (path.find(" (conflict ") != std::string::npos) out.push_back(path);
  return out;
}

inline bool holds(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace lansync::sim
