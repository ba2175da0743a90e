// Names in the folder as people type them, from wherever they stand.
#include "app/folder_names.h"

#include <set>

#include "support/catch.h"

using namespace lansync;

namespace {

std::string named(const std::string& typed, const std::string& current,
                  const std::set<std::string>& there = {}) {
  return name_in_folder(typed, "/home/anna/Shared", current,
                        [&](const std::string& path) { return there.contains(path); });
}

}  // namespace

TEST_CASE("a name is relative to the folder, and to where one stands if it is there alone") {
  const std::string in = "/home/anna/Shared/notes";
  CHECK(named("notes/a.txt", "/home/anna/Shared") == "notes/a.txt");
  CHECK(named("a.txt", in) == "a.txt");
  CHECK(named("a.txt", in, {"/home/anna/Shared/notes/a.txt"}) == "notes/a.txt");
  // The folder's own name comes first: what the documents say is never something else.
  CHECK(named("a.txt", in, {"/home/anna/Shared/notes/a.txt", "/home/anna/Shared/a.txt"}) ==
        "a.txt");
  CHECK(named("notes/b.txt", in, {"/home/anna/Shared/notes/b.txt"}) == "notes/b.txt");
  CHECK(named("a.txt", "/home/anna", {"/home/anna/a.txt"}) == "a.txt");
}

TEST_CASE("./ and ../ start where one stands, in the folder") {
  CHECK(named("./a.txt", "/home/anna/Shared/notes") == "notes/a.txt");
  CHECK(named("../b.txt", "/home/anna/Shared/notes") == "b.txt");
  CHECK(named(".", "/home/anna/Shared/notes") == "notes");
  CHECK(named("./a.txt", "/home/anna/Shared") == "a.txt");
  // Elsewhere they are what they were.
  CHECK(named("./a.txt", "/home/anna") == "./a.txt");
  CHECK(named("../../x", "/home/anna/Shared/notes") == "../../x");
}

TEST_CASE("an absolute path that leads into the folder is a name there") {
  CHECK(named("/home/anna/Shared/notes/a.txt", "/") == "notes/a.txt");
  CHECK(named("/home/anna/Shared/notes/", "/") == "notes");
  CHECK(named("/home/anna/Shared/x/../a.txt", "/") == "a.txt");
  CHECK(named("/home/anna/Shared2/a.txt", "/") == "/home/anna/Shared2/a.txt");
  CHECK(named("/home/anna/Shared", "/") == "/home/anna/Shared");
}
