// Reports as people read them. Pure: values in, text out.
//
// Invariant: every byte that came from another node or from a file name has passed printable().
// Used by the commands and by the terminal view.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "roles/node_control.h"

namespace lansync {

std::string render_status(const StatusReport& report);
std::string render_peers(const std::vector<PeerReport>& peers);
std::string render_conflicts(const std::vector<ConflictReport>& conflicts);
std::string render_trash(const std::vector<TrashReport>& trash);
std::string render_plan(const std::vector<PlanReport>& plan);
std::string render_doctor(const DoctorFacts& facts);

// "syncing: 3 files, 20 MB to go": the state in one line.
std::string state_line(const StatusReport& report);
// "120 of 500 files, 20 MB to go, 40 files/s, 3 MB/s, 7 s left"; "" if nothing is.
std::string progress_line(const StatusReport& report);
// "3 files are on no other machine yet"; "" if none is, or the state says it.
std::string here_alone(const StatusReport& report);
// "bob is behind by 2 files (20 MB): it is paused there ..."; "" if it is not.
std::string behind_text(const PeerReport& peer);
// "[#####-----]  50 %  20 MB/s  7 s left  in   notes.txt  from alice (lane)", `width` columns.
std::string transfer_line(const TransferReport& transfer, std::size_t width);

// Columns padded to their widest cell; two spaces between; no spaces at line ends.
std::string table(const std::vector<std::vector<std::string>>& rows);
// Columns that a terminal gives `text` (UTF-8; wide East Asian characters take two).
std::size_t display_width(std::string_view text);
// At most `width` columns of it, with "~" at the end if something was cut.
// In lines of at most `width` columns, broken at spaces; all but the first begin with `indent`.
std::vector<std::string> wrapped(std::string_view text, std::size_t width, std::size_t indent);
std::string cut_to_width(std::string_view text, std::size_t width);

}  // namespace lansync
