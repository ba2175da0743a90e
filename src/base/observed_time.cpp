#include "base/observed_time.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace lansync {
namespace {

constexpr std::int64_t kNobodyKnows = INT64_MAX / 4;

// Numbers with one space between them, and nothing else.
bool read_numbers(std::string_view text, std::array<std::int64_t, 3>& out) {
  const char* end = text.data() + text.size();
  const char* at = text.data();
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i > 0 && (at == end || *at++ != ' ')) return false;
    auto read = std::from_chars(at, end, out[i]);
    if (read.ec != std::errc{}) return false;
    at = read.ptr;
  }
  return at == end;
}

// Two calendar times may be 584 years apart.
std::int64_t difference(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  if (__builtin_sub_overflow(a, b, &out)) return a < b ? INT64_MIN : INT64_MAX;
  return out;
}

}  // namespace

void ObservedTime::start(std::string_view saved, Instant now, WallTime wall) {
  *this = ObservedTime{};
  started_ = now;
  std::array<std::int64_t, 3> read{};
  if (!read_numbers(saved, read)) return;
  const auto [observed, calendar, unsure] = read;
  // A number near the end of its range is nobody's age; a century is enough for everybody.
  base_ns_ = std::clamp<std::int64_t>(observed, 0, INT64_MAX / 2);
  unsure_before_ns_ = std::clamp<std::int64_t>(unsure, 0, kNobodyKnows);
  begin_gap(difference(wall.ns, calendar));
}

void ObservedTime::begin_gap(std::int64_t ns) {
  unsure_before_ns_ = unsure_ns();
  gap_ns_ = ns;
  credited_ns_ = 0;
}

std::int64_t ObservedTime::unsure_ns() const {
  // A clock that is put right by seconds at each start is none that went back.
  if (gap_ns_ < -kAloneNs) return kNobodyKnows;
  const std::int64_t now =
      std::min(std::max<std::int64_t>(0, gap_ns_ - credited_ns_), kNobodyKnows);
  return std::min(unsure_before_ns_ + now, kNobodyKnows);
}

void ObservedTime::on_contact() {
  unsure_before_ns_ = 0;
  gap_ns_ = credited_ns_;
}

std::int64_t ObservedTime::at(Instant now) const {
  const std::int64_t running =
      std::max<std::int64_t>(0, std::chrono::nanoseconds(now - started_).count());
  return base_ns_ + running;
}

void ObservedTime::credit(std::int64_t ns) {
  const std::int64_t wanted = std::min({ns, gap_ns_, INT64_MAX / 4});
  if (wanted <= credited_ns_) return;
  base_ns_ += wanted - credited_ns_;
  credited_ns_ = wanted;
}

void ObservedTime::on_reported(std::int64_t away_ns) { credit(away_ns); }
void ObservedTime::vouch_alone() { credit(kAloneNs); }

void ObservedTime::on_suspended(Duration slept) {
  const std::int64_t ns = std::chrono::nanoseconds(slept).count();
  if (ns <= 0) return;
  begin_gap(ns);
  credit(kAloneNs);
}

std::string ObservedTime::text(Instant now, WallTime wall) const {
  return std::to_string(at(now)) + ' ' + std::to_string(wall.ns) + ' ' +
         std::to_string(unsure_ns());
}

}  // namespace lansync
