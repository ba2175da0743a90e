// The documents of CONTRACT, to and from the values of roles/node_control.h: what the control
// socket carries and what --json prints.
//
// Invariant: field names and meanings are CONTRACT's; the order of fields is the one written there.
// Reading back is lenient (a missing or mistyped field is its default): the other side is a node of
// the same user, perhaps of another version.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "roles/node_control.h"

namespace lansync {

using Json = nlohmann::ordered_json;

const char* to_string(NodeState state);
const char* to_string(PeerState state);

Json to_json_document(const StatusReport& report);
Json to_json_document(const PeerReport& report);  // as in `peers`
Json to_json_document(const ConflictReport& report);
Json to_json_document(const TrashReport& report);
Json to_json_document(const PlanReport& report);
Json to_json_document(const ActionReport& report);
Json to_json_document(const HoldReport& report);
Json to_json_document(const RejectReport& report);
// What is lent (`file`) is added for the command that asked.
Json to_json_document(const DownloadReport& report);
Json to_json_document(const DoctorFacts& report);
Json to_json_document(const FileReport& report);
Json to_json_document(const HashReport& report);
Json to_json_document(const RecordReport& report);
Json to_json_document(const HistoryReport& report);
Json to_json_document(const UploadReport& report);
Json to_json_document(const OfferReport& report);
template <typename T>
Json to_json_document(const std::vector<T>& reports) {
  Json list = Json::array();
  for (const T& report : reports) list.push_back(to_json_document(report));
  return list;
}

void from_json_document(const Json& json, StatusReport& out);
void from_json_document(const Json& json, PeerReport& out);
void from_json_document(const Json& json, ConflictReport& out);
void from_json_document(const Json& json, TrashReport& out);
void from_json_document(const Json& json, PlanReport& out);
void from_json_document(const Json& json, ActionReport& out);
void from_json_document(const Json& json, OfferReport& out);
void from_json_document(const Json& json, HoldReport& out);
void from_json_document(const Json& json, RejectReport& out);
void from_json_document(const Json& json, DownloadReport& out);
void from_json_document(const Json& json, DoctorFacts& out);
template <typename T>
void from_json_document(const Json& json, std::vector<T>& out) {
  out.clear();
  if (!json.is_array()) return;
  for (const Json& item : json) from_json_document(item, out.emplace_back());
}
template <typename T>
T from_json_text(const Json& json) {
  T value;
  from_json_document(json, value);
  return value;
}

// One line of text. Never throws and never drives a terminal: invalid UTF-8 becomes U+FFFD; DEL, C1
// and what reorders a line become \uXXXX.
std::string json_line(const Json& json);

}  // namespace lansync
