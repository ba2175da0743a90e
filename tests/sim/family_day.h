// A day of a family in fast motion: four machines (a desktop, a laptop that leaves, a child's PC, a
// slow tablet whose disk is an exFAT card), editors, photos, a git repository, a mistake and its
// undo. What each person would read in `status` is judged at each moment, and printed on request.
//
// Invariant: the same seed gives the same day. Driven by family_day_test.cpp and lansync-family.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lansync::sim {

struct FamilyDay {
  std::vector<std::string> wrong;  // one line each: what somebody read that was not so, or lost
};

// `say` gets the story: what was done, and what each person's `status` then said.
FamilyDay live_family_day(std::uint64_t seed, const std::function<void(const std::string&)>& say);

}  // namespace lansync::sim
