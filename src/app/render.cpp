#include "app/render.h"

#include <algorithm>
#include <utility>

#include "app/hold_commands.h"
#include "app/report_json.h"
#include "app/units.h"
#include "base/log.h"

namespace lansync {
namespace {

using Rows = std::vector<std::vector<std::string>>;

constexpr std::size_t kTransfersShown = 8;
constexpr std::uint64_t kLarge = 1024 * 1024;

// A code point of valid UTF-8 at the front; what printable() let through is valid.
std::pair<std::uint32_t, std::size_t> next_point(std::string_view text) {
  auto first = static_cast<unsigned char>(text.front());
  std::size_t length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  length = std::min(length, text.size());
  std::uint32_t code = length == 1 ? first : first & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i)
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3fu);
  return {code, length};
}

std::size_t point_width(std::uint32_t code) {
  bool combining = (code >= 0x300 && code <= 0x36f) || (code >= 0x200b && code <= 0x200f) ||
                   (code >= 0xfe00 && code <= 0xfe0f);
  if (combining) return 0;
  bool wide = (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
              (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
              (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) ||
              (code >= 0xffe0 && code <= 0xffe6) || (code >= 0x1f300 && code <= 0x1faff) ||
              (code >= 0x20000 && code <= 0x3fffd);
  return wide ? 2 : 1;
}

std::string address_of(const PeerReport& peer) {
  if (peer.address.empty()) return "-";
  return peer.port == 0 ? printable(peer.address, 64)
                        : str(printable(peer.address, 64), ":", peer.port);
}

std::string name_or_dash(const std::string& name) {
  return name.empty() ? "-" : printable(name, 200);
}

std::string hub_text(const StatusReport& report) {
  if (!report.hub) return "none";
  if (report.hub->id == report.id) return "this node";
  return printable(report.hub->name, 200);
}

std::string behind_amount(const PeerReport& peer) {
  if (peer.behind.files == 0)
    return peer.state != PeerState::kConnected ? "-" : peer.behind.why.empty() ? "nothing" : "-";
  // Deletes have no bytes.
  if (peer.behind.bytes == 0) return counted(peer.behind.files, "files");
  return str(counted(peer.behind.files, "files"), ", ", format_size(peer.behind.bytes));
}

Rows peer_rows(const std::vector<PeerReport>& peers) {
  Rows rows{{"NAME", "ROLE", "STATE", "ADDRESS", "ROUND TRIP", "BEHIND BY", "PROTOCOL", "ID"}};
  for (const PeerReport& peer : peers) {
    if (peer.state == PeerState::kRefused) continue;
    rows.push_back({name_or_dash(peer.name), to_string(peer.role), to_string(peer.state),
                    address_of(peer), peer.rtt_ms ? str(*peer.rtt_ms, " ms") : "-",
                    behind_amount(peer), peer.protocol == 0 ? "-" : std::to_string(peer.protocol),
                    peer.id.is_zero() ? "-" : to_hex(peer.id)});
  }
  return rows;
}

// What is known and not here: to be fetched by a person's word, or on its way.
std::string absent_text(const StatusReport& report) {
  std::string text = str(counted(report.absent_files, "files"), ", ",
                         format_size(report.absent_bytes), " more are known, their content is ");
  return text + (report.on_demand ? "elsewhere: `lansync get NAME` fetches it" : "not here yet");
}

void append_attention(const StatusReport& report, Rows& rows) {
  for (const HoldReport& hold : report.held) {
    std::string line = hold_line(hold);
    if (hold.kind == HoldKind::kDeletes)
      line += str(": `lansync confirm ", printable(hold.run, 32),
                  "` lets them go, `lansync reject ", printable(hold.run, 32), "` undoes them");
    rows.push_back({"held", line});
  }
  for (const OfferReport& offer : report.offers)
    rows.push_back(
        {"offer", str(printable(offer.from, 64), " offers ", printable(offer.name, 200), " (",
                      format_size(offer.size), "): `lansync uploads allow ", offer.id,
                      "` takes it, `lansync uploads deny ", offer.id, "` does not")});
  if (std::string alone = here_alone(report); !alone.empty()) rows.push_back({"here alone", alone});
  if (report.conflicts != 0)
    rows.push_back(
        {"conflicts", str(counted(report.conflicts, "conflict copies"), ": `lansync conflicts`")});
  if (report.under_replicated != 0)
    rows.push_back({"copies", str(counted(report.under_replicated, "files"),
                                  " with fewer copies than wanted")});
}

std::string transfer_rows(const std::vector<TransferReport>& transfers) {
  std::string out;
  // Large ones first: what comes and goes within a moment is counted in "to go".
  std::vector<const TransferReport*> rows;
  for (const TransferReport& transfer : transfers) rows.push_back(&transfer);
  std::stable_sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) {
    return (a->size >= kLarge) > (b->size >= kLarge);
  });
  for (std::size_t i = 0; i < std::min(rows.size(), kTransfersShown); ++i)
    out += transfer_line(*rows[i], 200) + "\n";
  if (rows.size() > kTransfersShown)
    out += str("and ", rows.size() - kTransfersShown, " more transfers\n");
  return out;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    auto [code, length] = next_point(text);
    width += point_width(code);
    text.remove_prefix(length);
  }
  return width;
}

std::string cut_to_width(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  std::string out;
  std::size_t used = 0;
  while (!text.empty()) {
    auto [code, length] = next_point(text);
    if (used + point_width(code) + 1 > width) break;
    used += point_width(code);
    out += text.substr(0, length);
    text.remove_prefix(length);
  }
  if (width > 0) out += '~';
  return out;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width, std::size_t indent) {
  constexpr std::size_t kMaxLines = 6;
  std::vector<std::string> lines;
  const std::string margin(width > 2 * indent ? indent : 0, ' ');
  std::string line;
  while (!text.empty()) {
    // A word takes the spaces before it along: the text's own columns stay.
    std::size_t word = std::min(text.find_first_not_of(' '), text.size());
    std::size_t end = std::min(text.find(' ', word), text.size());
    std::string_view next = text.substr(0, end);
    if (!line.empty() && display_width(line) + display_width(next) > width &&
        lines.size() + 1 < kMaxLines) {
      lines.push_back(std::exchange(line, margin));
      next.remove_prefix(word);
    }
    line += next;
    text.remove_prefix(end);
  }
  lines.push_back(std::move(line));
  return lines;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    // The last column is never padded, so its width counts for nothing.
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      widths[i] = std::max(widths[i], display_width(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - display_width(row[i]) + 2, ' ');
    }
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  }
  return out;
}

std::string state_line(const StatusReport& report) {
  std::string line = to_string(report.state);
  const bool stands = report.state == NodeState::kHeld || report.state == NodeState::kInSync;
  if (report.pending_files != 0 && !stands)
    line += str(", ", counted(report.pending_files, "files"), " and ",
                format_size(report.pending_bytes), " to go");
  if (!report.reason.empty()) line += ": " + printable(report.reason, 500);
  return line;
}

std::string here_alone(const StatusReport& report) {
  constexpr std::string_view kWords = " on no other machine yet";
  if (report.only_here == 0 || report.reason.find(kWords) != std::string::npos) return {};
  return str(counted(report.only_here, "files"), report.only_here == 1 ? " is" : " are", kWords);
}

std::string behind_text(const PeerReport& peer) {
  if (peer.behind.files == 0 && peer.behind.why.empty()) return {};
  std::string line = printable(peer.name, 64);
  if (peer.behind.files > 0)
    line +=
        str(" is behind by ", counted(peer.behind.files, "files"),
            peer.behind.bytes > 0 ? str(" (", format_size(peer.behind.bytes), ')') : std::string());
  if (!peer.behind.why.empty()) line += ": " + printable(peer.behind.why, 300);
  return line;
}

std::string progress_line(const StatusReport& report) {
  if (report.left_files == 0 || report.state != NodeState::kSyncing) return {};
  const std::uint64_t total = std::max(report.total_files, report.left_files);
  std::string line = str(report.left_files, " of ", counted(total, "files"));
  // While the folder is read nobody knows how much it is.
  if (report.left_bytes > 0) line += ", " + format_size(report.left_bytes);
  line += " to go";
  if (report.files_per_second >= 1)
    line += str(", ", static_cast<std::uint64_t>(report.files_per_second), " files/s");
  const auto rate = static_cast<std::uint64_t>(report.bytes_per_second);
  if (rate > 0) line += ", " + format_rate(rate);
  if (report.seconds_left) line += str(", ", format_seconds(*report.seconds_left), " left");
  return line;
}

std::string transfer_line(const TransferReport& transfer, std::size_t width) {
  constexpr std::size_t kBar = 10;
  std::uint64_t done = std::min(transfer.done, transfer.size);
  double part =
      transfer.size == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(transfer.size);
  auto full = static_cast<std::size_t>(part * static_cast<double>(kBar));
  auto percent = static_cast<int>(part * 100);
  std::string line = "[" + std::string(full, '#') + std::string(kBar - full, '-') + "] ";
  std::string number = std::to_string(percent);
  line += std::string(3 - std::min<std::size_t>(number.size(), 3), ' ') + number + "%  ";
  line += format_rate(transfer.rate);
  if (transfer.rate != 0 && done < transfer.size)
    line += "  " + format_seconds((transfer.size - done) / transfer.rate + 1) + " left";
  line += str("  ", printable(transfer.name, 1024));
  line += transfer.sending ? " to " : " from ";
  line += transfer.peer.empty() ? "several" : printable(transfer.peer, 100);
  if (!transfer.carrier.empty()) line += str(" (", printable(transfer.carrier, 16), ")");
  return cut_to_width(line, width);
}

std::string render_status(const StatusReport& report) {
  Rows rows;
  rows.push_back({"state", state_line(report)});
  if (std::string progress = progress_line(report); !progress.empty())
    rows.push_back({"to go", progress});
  rows.push_back({"role", str(to_string(report.role), report.why_role.empty() ? "" : ": ",
                              printable(report.why_role, 500))});
  rows.push_back(
      {"hub", str(hub_text(report), report.hub ? str(" (term ", report.term, ")") : "")});
  rows.push_back(
      {"folder", str(printable(report.folder), ": ", counted(report.files, "files"), ", ",
                     counted(report.directories, "directories"), ", ", format_size(report.bytes))});
  if (report.on_demand || report.absent_files != 0) rows.push_back({"absent", absent_text(report)});
  rows.push_back(
      {"group", str(printable(report.group, 200),
                    report.open ? " (OPEN: anyone on this network can join; to close "
                                  "it: `lansync genpass > FILE`, then --password-file FILE "
                                  "on every node)"
                                : " (closed by a password)")});
  rows.push_back({"node", str(printable(report.name, 200), "  ", to_hex(report.id), "  lansync ",
                              printable(report.version, 64))});
  append_attention(report, rows);
  const CounterReport& counters = report.counters;
  rows.push_back({"traffic", str(format_size(counters.bytes_sent), " sent, ",
                                 format_size(counters.bytes_received), " received, ",
                                 counted(counters.chunks_resent, "chunks"), " sent again")});
  if (counters.auth_failures + counters.rejected != 0)
    rows.push_back({"refused", str(counted(counters.auth_failures, "handshakes"), " and ",
                                   counted(counters.rejected, "packets"), " since the start")});
  std::string out = table(rows) + "\n" + render_peers(report.peers);
  if (!report.transfers.empty()) out += "\n";
  out += transfer_rows(report.transfers);
  return out;
}

std::string render_peers(const std::vector<PeerReport>& peers) {
  std::vector<PeerReport> members;
  std::string turned_away;
  for (const PeerReport& peer : peers) {
    if (peer.state != PeerState::kRefused) members.push_back(peer);
    if (std::string behind = behind_text(peer); !peer.behind.why.empty() && !behind.empty())
      turned_away += behind + "\n";
    if (peer.state == PeerState::kConnected || !peer.behind.why.empty()) continue;
    if (peer.why.empty() && peer.state != PeerState::kRefused) continue;
    const std::string who = str(name_or_dash(peer.name), " at ", address_of(peer), " ");
    const std::string why = peer.why.empty() ? "no reason known" : printable(peer.why, 500);
    if (peer.state == PeerState::kRefused && why.starts_with("not asked")) {
      turned_away += str(who, "was ", why, "\n");
    } else {
      turned_away += str(
          who, peer.state == PeerState::kRefused ? "was turned away: " : "is not connected: ", why,
          "\n");
    }
  }
  std::string out = members.empty() ? "no other nodes are known\n" : table(peer_rows(members));
  return turned_away.empty() ? out : out + "\n" + turned_away;
}

std::string render_conflicts(const std::vector<ConflictReport>& conflicts) {
  if (conflicts.empty()) return "no conflict copies\n";
  Rows rows{{"TIME", "HOST", "COPY", "OF"}};
  for (const ConflictReport& conflict : conflicts)
    rows.push_back({to_iso8601(conflict.time), name_or_dash(conflict.host),
                    printable(conflict.path), printable(conflict.of)});
  return table(rows);
}

std::string render_trash(const std::vector<TrashReport>& trash) {
  if (trash.empty()) return "nothing in the trash\n";
  Rows rows{{"TIME", "SIZE", "ON", "NAME"}};
  for (const TrashReport& item : trash)
    rows.push_back({to_iso8601(item.time), format_size(item.size), name_or_dash(item.node),
                    printable(item.path)});
  return table(rows);
}

std::string render_plan(const std::vector<PlanReport>& plan) {
  if (plan.empty()) return "nothing to do\n";
  Rows rows{{"ACTION", "SIZE", "NAME", "WHY"}};
  for (const PlanReport& step : plan)
    rows.push_back({printable(step.action, 64), format_size(step.size), printable(step.path),
                    printable(step.why, 500)});
  return table(rows);
}

std::string render_doctor(const DoctorFacts& facts) {
  Rows rows{{"INTERFACE", "ADDRESS", "SENT", "HEARD", "OWN", "MEMBERS", "REMARK"}};
  for (const InterfaceFacts& item : facts.interfaces) {
    std::string remark =
        item.used ? printable(item.send_error, 200) : "not used: " + printable(item.why_not, 200);
    rows.push_back({printable(item.name, 32), printable(item.address, 64),
                    std::to_string(item.beacons_sent), std::to_string(item.beacons_heard),
                    std::to_string(item.own_heard), std::to_string(item.members_heard), remark});
  }
  std::string out = table(rows) + "\n";
  Rows figures;
  figures.push_back({"ports", str(facts.port, "/udp, ", facts.port, "/tcp, ", facts.port + 1,
                                  "/udp; beacons ", facts.beacon_port, "/udp")});
  figures.push_back({"buffers", str("receive ", format_size(facts.receive_buffer), ", send ",
                                    format_size(facts.send_buffer))});
  figures.push_back(
      {"watches", str(facts.watches_used, " of ",
                      facts.watches_limit == 0 ? std::string("an unknown limit")
                                               : std::to_string(facts.watches_limit),
                      facts.instances_limit == 0
                          ? std::string()
                          : str("; ", facts.instances_limit, " inotify instances for one user"))});
  if (!facts.firewall.empty()) figures.push_back({"firewall", printable(facts.firewall, 500)});
  out += table(figures) + "\n";
  if (facts.findings.empty()) return out + "nothing is wrong as far as this node can tell\n";
  for (const DoctorFinding& finding : facts.findings) {
    out += str(finding.problem ? "PROBLEM: " : "note: ", printable(finding.what, 1000), "\n");
    if (!finding.advice.empty()) out += str("  do: ", printable(finding.advice, 1000), "\n");
  }
  return out;
}

}  // namespace lansync
