// What a person types as a name in the folder, where he stands somewhere in it: a path relative to
// the folder (CONTRACT), else to where he stands, or an absolute one that leads into the folder.
//
// Invariant: what exists in the folder under the name as typed is meant, wherever one stands; only
// `./` and `../` always start where one stands, if that is in the folder. Driven by the command
// line.
#pragma once

#include <functional>
#include <string>

namespace lansync {

// `dir` and `current`: absolute, without links. `exists` is asked of absolute paths. What leads
// nowhere in the folder is given back as it is, for the caller to refuse.
std::string name_in_folder(const std::string& typed, const std::string& dir,
                           const std::string& current,
                           const std::function<bool(const std::string&)>& exists);
// The same, with this machine's files.
std::string name_in_folder(const std::string& typed, const std::string& dir,
                           const std::string& current);

}  // namespace lansync
