// Items as text. Invariant: what comes out is whole lines of printable UTF-8, whatever was in the
// packets (value.h). Pure functions; driven by main.
#pragma once

#include <string>

#include "sniff/item.h"

namespace lansync::sniff {

// "2026-11-21T12:30:05.123456789Z": to the nanosecond, so that mtimes keep what they are.
std::string iso_time(WallTime time);

// One JSON object and a newline: time, src, dst, type, then the fields.
std::string render_json(const Item& item);
// One line for the items of one packet (one more if some of them went the other way).
std::string render_line(const std::vector<Item>& items);
// Each item, and below it each of its fields on a line of its own.
std::string render_verbose(const std::vector<Item>& items);

}  // namespace lansync::sniff
