#include "app/report_json.h"

#include <array>
#include <cstdio>
#include <limits>

namespace lansync {
namespace {

std::string text_of(const Json& json, const char* key) {
  auto at = json.is_object() ? json.find(key) : json.end();
  return json.is_object() && at != json.end() && at->is_string() ? at->get<std::string>() : "";
}

std::uint64_t number_of(const Json& json, const char* key) {
  if (!json.is_object()) return 0;
  auto at = json.find(key);
  return at != json.end() && at->is_number_unsigned() ? at->get<std::uint64_t>() : 0;
}

template <typename T>
T small_number_of(const Json& json, const char* key) {
  std::uint64_t value = number_of(json, key);
  return value <= static_cast<std::uint64_t>(std::numeric_limits<T>::max()) ? static_cast<T>(value)
                                                                            : T{};
}

bool flag_of(const Json& json, const char* key) {
  if (!json.is_object()) return false;
  auto at = json.find(key);
  return at != json.end() && at->is_boolean() && at->get<bool>();
}

const Json& part_of(const Json& json, const char* key) {
  static const Json kNothing;
  if (!json.is_object()) return kNothing;
  auto at = json.find(key);
  return at != json.end() ? *at : kNothing;
}

std::string id_text(const NodeId& id) { return id.is_zero() ? "" : to_hex(id); }

NodeId id_of(const Json& json, const char* key) {
  NodeId id;
  if (!from_hex(text_of(json, key), id.bytes)) return NodeId{};
  return id;
}

WallTime time_of(const Json& json, const char* key) {
  return parse_time(text_of(json, key)).value_or(WallTime{});
}

Role role_of(const Json& json) {
  std::string text = text_of(json, "role");
  for (Role role : {Role::kServer, Role::kProxy, Role::kClient})
    if (text == to_string(role)) return role;
  return Role::kNone;
}

Json peer_in_status(const PeerReport& peer) {
  Json json = {{"id", id_text(peer.id)},  {"name", peer.name}, {"role", to_string(peer.role)},
               {"address", peer.address}, {"port", peer.port}, {"state", to_string(peer.state)},
               {"rtt_ms", nullptr}};
  if (peer.rtt_ms) json["rtt_ms"] = *peer.rtt_ms;
  json["protocol"] = nullptr;
  if (peer.protocol != 0) json["protocol"] = static_cast<unsigned>(peer.protocol);
  json["reason"] = peer.why;
  json["behind"] = nullptr;
  if (peer.state == PeerState::kConnected || peer.behind.files > 0 || !peer.behind.why.empty())
    json["behind"] = {{"files", peer.behind.files}, {"bytes", peer.behind.bytes}};
  return json;
}

Json transfer_json(const TransferReport& transfer) {
  return {{"name", transfer.name}, {"direction", transfer.sending ? "out" : "in"},
          {"peer", transfer.peer}, {"carrier", transfer.carrier},
          {"size", transfer.size}, {"done", transfer.done},
          {"rate", transfer.rate}};
}

const char* outcome_text(RejectOutcome outcome) {
  static constexpr std::array kNames{"back", "left", "missing"};
  return kNames[static_cast<std::size_t>(outcome)];
}

std::vector<std::string> texts_of(const Json& json, const char* key) {
  std::vector<std::string> out;
  const Json& list = part_of(json, key);
  if (!list.is_array()) return out;
  for (const Json& item : list)
    if (item.is_string()) out.push_back(item.get<std::string>());
  return out;
}

// Name and place of each counter: one list for writing and reading.
struct CounterField {
  const char* name;
  std::uint64_t CounterReport::*value;
};
constexpr std::array<CounterField, 11> kCounters{{
    {"bytes_sent", &CounterReport::bytes_sent},
    {"bytes_received", &CounterReport::bytes_received},
    {"payload_sent", &CounterReport::payload_sent},
    {"payload_received", &CounterReport::payload_received},
    {"chunks_sent", &CounterReport::chunks_sent},
    {"chunks_resent", &CounterReport::chunks_resent},
    {"chunks_received", &CounterReport::chunks_received},
    {"beacons_sent", &CounterReport::beacons_sent},
    {"beacons_received", &CounterReport::beacons_received},
    {"auth_failures", &CounterReport::auth_failures},
    {"rejected", &CounterReport::rejected},
}};

}  // namespace

const char* to_string(NodeState state) {
  static constexpr std::array kNames{"error", "held", "paused", "seeking", "syncing", "in-sync"};
  return kNames[static_cast<std::size_t>(state)];
}

const char* to_string(PeerState state) {
  static constexpr std::array kNames{"connected", "known", "lost", "refused"};
  return kNames[static_cast<std::size_t>(state)];
}

Json to_json_document(const StatusReport& report) {
  Json json;
  json["node"] = {{"id", id_text(report.id)}, {"name", report.name}, {"version", report.version}};
  json["group"] = {{"name", report.group}, {"open", report.open}};
  json["role"] = to_string(report.role);
  json["why_role"] = report.why_role;
  json["hub"] = nullptr;
  if (report.hub) json["hub"] = {{"id", id_text(report.hub->id)}, {"name", report.hub->name}};
  json["term"] = report.term;
  json["state"] = to_string(report.state);
  json["reason"] = report.reason;
  json["folder"] = {{"path", report.folder},
                    {"files", report.files},
                    {"directories", report.directories},
                    {"bytes", report.bytes},
                    {"absent_files", report.absent_files},
                    {"absent_bytes", report.absent_bytes},
                    {"on_demand", report.on_demand}};
  json["pending"] = {{"files", report.pending_files}, {"bytes", report.pending_bytes}};
  json["progress"] = {{"files_left", report.left_files},
                      {"bytes_left", report.left_bytes},
                      {"files", report.total_files},
                      {"bytes", report.total_bytes},
                      {"files_per_second", report.files_per_second},
                      {"rate", static_cast<std::uint64_t>(report.bytes_per_second)},
                      {"seconds_left", nullptr}};
  if (report.seconds_left) json["progress"]["seconds_left"] = *report.seconds_left;
  json["held_deletes"] = report.held_deletes;
  json["held"] = to_json_document(report.held);
  json["conflicts"] = report.conflicts;
  json["under_replicated"] = report.under_replicated;
  json["only_here"] = report.only_here;
  json["offers"] = to_json_document(report.offers);
  json["peers"] = Json::array();
  for (const PeerReport& peer : report.peers) json["peers"].push_back(peer_in_status(peer));
  json["transfers"] = Json::array();
  for (const TransferReport& transfer : report.transfers)
    json["transfers"].push_back(transfer_json(transfer));
  Json& counters = json["counters"] = Json::object();
  for (const CounterField& field : kCounters) counters[field.name] = report.counters.*field.value;
  return json;
}

Json to_json_document(const PeerReport& report) { return peer_in_status(report); }

Json to_json_document(const ConflictReport& report) {
  return {{"name", report.path},
          {"of", report.of},
          {"host", report.host},
          {"time", to_iso8601(report.time)}};
}

Json to_json_document(const TrashReport& report) {
  return {{"name", report.path},
          {"kept_as", report.name},
          {"time", to_iso8601(report.time)},
          {"size", report.size},
          {"node", report.node}};
}

Json to_json_document(const PlanReport& report) {
  return {
      {"action", report.action}, {"name", report.path}, {"why", report.why}, {"size", report.size}};
}

Json to_json_document(const ActionReport& report) {
  Json files = Json::array();
  for (const std::string& name : report.names) files.push_back({{"name", name}});
  return {{"message", report.message}, {"count", report.count}, {"files", std::move(files)}};
}

Json to_json_document(const HoldReport& report) {
  return {{"kind", to_string(report.kind)},
          {"run", report.run},
          {"number", report.number},
          {"names", report.names},
          {"author", report.author},
          {"since", report.since ? Json(to_iso8601(*report.since)) : Json(nullptr)},
          {"says", report.says}};
}

Json to_json_document(const RejectReport& report) {
  std::uint64_t back = 0;
  Json files = Json::array();
  for (const RejectRow& row : report.rows) {
    back += row.outcome == RejectOutcome::kBack ? 1 : 0;
    files.push_back({{"name", row.name}, {"outcome", outcome_text(row.outcome)}});
  }
  return {{"runs", report.runs}, {"count", back}, {"files", std::move(files)}};
}

Json to_json_document(const DownloadReport& report) {
  Json json = {
      {"name", report.name},      {"size", report.size}, {"mtime", to_iso8601(report.mtime)},
      {"md5", report.md5},        {"peer", report.peer}, {"carrier", report.carrier},
      {"seconds", report.seconds}};
  if (report.file.empty()) return json;
  json["mtime_ns"] = report.mtime.ns;
  json["mode"] = report.mode;
  json["file"] = report.file;
  json["token"] = report.token;
  return json;
}

Json to_json_document(const DoctorFacts& report) {
  Json json;
  json["interfaces"] = Json::array();
  for (const InterfaceFacts& facts : report.interfaces) {
    json["interfaces"].push_back({{"name", facts.name},
                                  {"address", facts.address},
                                  {"used", facts.used},
                                  {"why_not", facts.why_not},
                                  {"beacons_sent", facts.beacons_sent},
                                  {"beacons_heard", facts.beacons_heard},
                                  {"members_heard", facts.members_heard},
                                  {"send_error", facts.send_error},
                                  {"own_heard", facts.own_heard}});
  }
  json["port"] = report.port;
  json["beacon_port"] = report.beacon_port;
  json["receive_buffer"] = report.receive_buffer;
  json["send_buffer"] = report.send_buffer;
  json["watches_used"] = report.watches_used;
  json["watches_limit"] = report.watches_limit;
  json["instances_limit"] = report.instances_limit;
  json["firewall"] = report.firewall;
  json["findings"] = Json::array();
  for (const DoctorFinding& finding : report.findings) {
    json["findings"].push_back(
        {{"problem", finding.problem}, {"what", finding.what}, {"advice", finding.advice}});
  }
  return json;
}

Json to_json_document(const FileReport& report) {
  return {{"name", report.name},
          {"size", report.size},
          {"mtime", to_iso8601(report.mtime)},
          {"type", report.type}};
}

Json to_json_document(const HashReport& report) {
  Json json = {{"name", report.name}, {"md5", nullptr},      {"mtime", to_iso8601(report.mtime)},
               {"same", nullptr},     {"size", report.size}, {"state", report.state},
               {"note", report.note}};
  if (!report.md5.empty()) json["md5"] = report.md5;
  if (report.same) json["same"] = *report.same;
  return json;
}

Json to_json_document(const RecordReport& report) {
  Json json = to_json_document(report.file);
  json["address"] = report.address;
  json["port"] = report.port;
  json["node"] = report.node;
  return json;
}

Json to_json_document(const UploadReport& report) {
  return {{"name", report.name},
          {"size", report.size},
          {"mtime", to_iso8601(report.mtime)},
          {"md5", report.md5},
          {"peer", report.peer},
          {"carrier", report.carrier},
          {"seconds", std::chrono::duration<double>(report.took).count()}};
}

Json to_json_document(const OfferReport& report) {
  return {{"id", report.id},
          {"name", report.name},
          {"size", report.size},
          {"from", report.from},
          {"expires", to_iso8601(report.expires)}};
}

Json to_json_document(const HistoryReport& report) {
  return {{"time", to_iso8601(report.time)},
          {"direction", report.incoming ? "in" : "out"},
          {"peer", report.peer},
          {"command", report.command},
          {"arguments", report.arguments},
          {"result", report.result}};
}

void from_json_document(const Json& json, StatusReport& out) {
  const Json& node = part_of(json, "node");
  out.id = id_of(node, "id");
  out.name = text_of(node, "name");
  out.version = text_of(node, "version");
  const Json& group = part_of(json, "group");
  out.group = text_of(group, "name");
  out.open = flag_of(group, "open");
  out.role = role_of(json);
  out.why_role = text_of(json, "why_role");
  if (const Json& hub = part_of(json, "hub"); hub.is_object())
    out.hub = HubReport{id_of(hub, "id"), text_of(hub, "name")};
  out.term = number_of(json, "term");
  std::string state = text_of(json, "state");
  for (int i = 0; i <= static_cast<int>(NodeState::kInSync); ++i)
    if (state == to_string(static_cast<NodeState>(i))) out.state = static_cast<NodeState>(i);
  out.reason = text_of(json, "reason");
  const Json& folder = part_of(json, "folder");
  out.folder = text_of(folder, "path");
  out.files = number_of(folder, "files");
  out.directories = number_of(folder, "directories");
  out.bytes = number_of(folder, "bytes");
  out.absent_files = number_of(folder, "absent_files");
  out.absent_bytes = number_of(folder, "absent_bytes");
  out.on_demand = flag_of(folder, "on_demand");
  const Json& pending = part_of(json, "pending");
  out.pending_files = number_of(pending, "files");
  out.pending_bytes = number_of(pending, "bytes");
  const Json& progress = part_of(json, "progress");
  out.left_files = number_of(progress, "files_left");
  out.left_bytes = number_of(progress, "bytes_left");
  out.total_files = number_of(progress, "files");
  out.total_bytes = number_of(progress, "bytes");
  if (const Json& rate = part_of(progress, "files_per_second"); rate.is_number())
    out.files_per_second = rate.get<double>();
  out.bytes_per_second = static_cast<double>(number_of(progress, "rate"));
  if (part_of(progress, "seconds_left").is_number_unsigned())
    out.seconds_left = number_of(progress, "seconds_left");
  out.held_deletes = number_of(json, "held_deletes");
  from_json_document(part_of(json, "held"), out.held);
  out.conflicts = number_of(json, "conflicts");
  out.under_replicated = number_of(json, "under_replicated");
  out.only_here = number_of(json, "only_here");
  from_json_document(part_of(json, "offers"), out.offers);
  from_json_document(part_of(json, "peers"), out.peers);
  if (const Json& transfers = part_of(json, "transfers"); transfers.is_array()) {
    for (const Json& item : transfers) {
      out.transfers.push_back({text_of(item, "name"), text_of(item, "direction") == "out",
                               text_of(item, "peer"), text_of(item, "carrier"),
                               number_of(item, "size"), number_of(item, "done"),
                               number_of(item, "rate")});
    }
  }
  const Json& counters = part_of(json, "counters");
  for (const CounterField& field : kCounters)
    out.counters.*field.value = number_of(counters, field.name);
}

void from_json_document(const Json& json, PeerReport& out) {
  out.id = id_of(json, "id");
  out.name = text_of(json, "name");
  out.role = role_of(json);
  out.address = text_of(json, "address");
  out.port = small_number_of<std::uint16_t>(json, "port");
  std::string state = text_of(json, "state");
  for (int i = 0; i <= static_cast<int>(PeerState::kRefused); ++i)
    if (state == to_string(static_cast<PeerState>(i))) out.state = static_cast<PeerState>(i);
  if (part_of(json, "rtt_ms").is_number_unsigned())
    out.rtt_ms = small_number_of<std::uint32_t>(json, "rtt_ms");
  out.protocol = small_number_of<int>(json, "protocol");
  out.why = text_of(json, "reason");
  const Json& behind = part_of(json, "behind");
  out.behind = {number_of(behind, "files"), number_of(behind, "bytes"),
                behind.is_object() ? out.why : ""};
}

void from_json_document(const Json& json, ConflictReport& out) {
  out = {text_of(json, "name"), text_of(json, "of"), text_of(json, "host"), time_of(json, "time")};
}

void from_json_document(const Json& json, TrashReport& out) {
  out = {text_of(json, "kept_as"), text_of(json, "name"), time_of(json, "time"),
         number_of(json, "size"), text_of(json, "node")};
}

void from_json_document(const Json& json, PlanReport& out) {
  out = {text_of(json, "action"), text_of(json, "name"), text_of(json, "why"),
         number_of(json, "size")};
}

void from_json_document(const Json& json, OfferReport& out) {
  out = {number_of(json, "id"), text_of(json, "name"), number_of(json, "size"),
         text_of(json, "from"), time_of(json, "expires")};
}

void from_json_document(const Json& json, ActionReport& out) {
  out = {text_of(json, "message"), number_of(json, "count"), {}};
  const Json& files = part_of(json, "files");
  if (!files.is_array()) return;
  for (const Json& file : files) out.names.push_back(text_of(file, "name"));
}

void from_json_document(const Json& json, HoldReport& out) {
  const std::string kind = text_of(json, "kind");
  for (int i = 0; i <= static_cast<int>(HoldKind::kName); ++i)
    if (kind == to_string(static_cast<HoldKind>(i))) out.kind = static_cast<HoldKind>(i);
  out.run = text_of(json, "run");
  out.number = number_of(json, "number");
  out.names = texts_of(json, "names");
  out.author = text_of(json, "author");
  if (part_of(json, "since").is_string()) out.since = time_of(json, "since");
  out.says = text_of(json, "says");
}

void from_json_document(const Json& json, RejectReport& out) {
  out.runs = texts_of(json, "runs");
  const Json& files = part_of(json, "files");
  if (!files.is_array()) return;
  for (const Json& file : files) {
    RejectRow& row = out.rows.emplace_back();
    row.name = text_of(file, "name");
    const std::string outcome = text_of(file, "outcome");
    for (RejectOutcome one : {RejectOutcome::kBack, RejectOutcome::kLeft, RejectOutcome::kMissing})
      if (outcome == outcome_text(one)) row.outcome = one;
  }
}

void from_json_document(const Json& json, DownloadReport& out) {
  out.name = text_of(json, "name");
  out.size = number_of(json, "size");
  out.mtime = time_of(json, "mtime");
  out.md5 = text_of(json, "md5");
  out.peer = text_of(json, "peer");
  out.carrier = text_of(json, "carrier");
  if (const Json& seconds = part_of(json, "seconds"); seconds.is_number())
    out.seconds = seconds.get<double>();
  // ISO 8601 as people read it has no nanoseconds.
  if (const Json& exact = part_of(json, "mtime_ns"); exact.is_number_integer())
    out.mtime = WallTime{exact.get<std::int64_t>()};
  out.mode = small_number_of<std::uint16_t>(json, "mode");
  out.file = text_of(json, "file");
  out.token = number_of(json, "token");
}

void from_json_document(const Json& json, DoctorFacts& out) {
  if (const Json& list = part_of(json, "interfaces"); list.is_array()) {
    for (const Json& item : list) {
      out.interfaces.push_back({text_of(item, "name"), text_of(item, "address"),
                                flag_of(item, "used"), text_of(item, "why_not"),
                                number_of(item, "beacons_sent"), number_of(item, "beacons_heard"),
                                number_of(item, "members_heard"), text_of(item, "send_error"),
                                number_of(item, "own_heard")});
    }
  }
  out.port = small_number_of<std::uint16_t>(json, "port");
  out.beacon_port = small_number_of<std::uint16_t>(json, "beacon_port");
  out.receive_buffer = number_of(json, "receive_buffer");
  out.send_buffer = number_of(json, "send_buffer");
  out.watches_used = number_of(json, "watches_used");
  out.watches_limit = number_of(json, "watches_limit");
  out.instances_limit = number_of(json, "instances_limit");
  out.firewall = text_of(json, "firewall");
  if (const Json& list = part_of(json, "findings"); list.is_array()) {
    for (const Json& item : list)
      out.findings.push_back(
          {flag_of(item, "problem"), text_of(item, "what"), text_of(item, "advice")});
  }
}

std::string json_line(const Json& json) {
  std::string plain = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string out;
  out.reserve(plain.size());
  for (std::size_t i = 0; i < plain.size();) {
    auto byte = [&](std::size_t k) { return static_cast<unsigned char>(plain[i + k]); };
    std::uint32_t code = 0;
    std::size_t length = 1;
    // The text is valid UTF-8 by now; only these ranges hold code points that act on a terminal.
    if (byte(0) == 0x7f) {
      code = 0x7f;
    } else if (byte(0) == 0xc2 && byte(1) < 0xa0) {
      code = byte(1);
      length = 2;
    } else if (byte(0) == 0xe2 && (byte(1) == 0x80 || byte(1) == 0x81)) {
      std::uint32_t point = 0x2000u + (byte(1) & 0x3fu) * 64 + (byte(2) & 0x3fu);
      bool acts = (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
      length = 3;
      if (acts) code = point;
    }
    if (code != 0) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", code & 0xffff);
      out += escaped;
    } else {
      out.append(plain, i, length);
    }
    i += length;
  }
  return out;
}

}  // namespace lansync
