#include "app/report_json.h"

#include "support/catch.h"
#include "unit/app/fake_node.h"

using namespace lansync;

TEST_CASE("status is the document of the contract, field by field and in its order") {
  std::string zeros(30, '0');
  CHECK(json_line(to_json_document(sample_status())) ==
        "{\"node\":{\"id\":\"aa" + zeros +
            "\",\"name\":\"alice\",\"version\":\"0.1.0\"},"
            "\"group\":{\"name\":\"family\",\"open\":true},\"role\":\"server\","
            "\"why_role\":\"nobody else was heard\",\"hub\":{\"id\":\"aa" +
            zeros +
            "\",\"name\":\"alice\"},\"term\":7,\"state\":\"syncing\",\"reason\":\"3 files to go\","
            "\"folder\":{\"path\":\"/home/a/"
            "Shared\",\"files\":11,\"directories\":12,\"bytes\":13,\"absent_files\":18,\"absent_"
            "bytes\":19,\"on_demand\":true},"
            "\"pending\":{\"files\":3,\"bytes\":14},\"progress\":{\"files_left\":0,"
            "\"bytes_left\":0,\"files\":0,\"bytes\":0,\"files_per_second\":0.0,\"rate\":0,"
            "\"seconds_left\":null},\"held_deletes\":15,"
            "\"held\":[{\"kind\":\"deletes\",\"run\":\"0a0b0c0d\",\"number\":15,"
            "\"names\":[\"x\"],\"author\":\"bob\",\"since\":\"1970-01-01T00:00:01Z\","
            "\"says\":\"15 deletes by bob\"}],\"conflicts\":16,"
            "\"under_replicated\":17,\"only_here\":0,\"offers\":[],\"peers\":[{\"id\":\"bb" +
            zeros +
            "\",\"name\":\"bob\",\"role\":\"client\",\"address\":\"192.168.1.7\",\"port\":27801,"
            "\"state\":\"connected\",\"rtt_ms\":2,\"protocol\":1,\"reason\":\"\","
            "\"behind\":{\"files\":0,\"bytes\":0}}],\"transfers\":[{\"name\":\"a.txt\","
            "\"direction\":\"out\",\"peer\":\"bob\",\"carrier\":\"lane\",\"size\":100,\"done\":50,"
            "\"rate\":25}],\"counters\":{\"bytes_sent\":21,\"bytes_received\":22,"
            "\"payload_sent\":23,\"payload_received\":24,\"chunks_sent\":25,\"chunks_resent\":26,"
            "\"chunks_received\":27,\"beacons_sent\":28,\"beacons_received\":29,"
            "\"auth_failures\":30,\"rejected\":31}}");
}

TEST_CASE("a path is a name in every document, and a peer's reason is one") {
  CHECK(to_json_document(ConflictReport{"a (conflict)", "a", "h", {}})["name"] == "a (conflict)");
  CHECK(to_json_document(TrashReport{"x1", "d/a", {}, 5, "b"})["name"] == "d/a");
  CHECK(to_json_document(TrashReport{"x1", "d/a", {}, 5, "b"})["kept_as"] == "x1");
  CHECK(to_json_document(PlanReport{"push", "a", "w", 1})["name"] == "a");
  CHECK(to_json_document(ActionReport{"done", 1, {"a"}})["files"][0]["name"] == "a");
  PeerReport refused;
  refused.state = PeerState::kRefused;
  refused.why = "another password";
  CHECK(to_json_document(refused)["reason"] == "another password");
  CHECK(to_json_document(refused)["behind"].is_null());
  StatusReport status;
  status.peers = {refused};
  CHECK(to_json_document(status)["peers"][0]["reason"] == "another password");
}

TEST_CASE("without a hub and a round trip there is null, and a role not taken is none") {
  Json json = to_json_document(StatusReport{});
  CHECK(json["hub"].is_null());
  CHECK(json["role"] == "none");
  CHECK(json["peers"].is_array());
  CHECK(json["transfers"].is_array());
  CHECK(to_json_document(PeerReport{})["rtt_ms"].is_null());
}

TEST_CASE("every document reads back as it was written") {
  Json status = to_json_document(sample_status());
  CHECK(to_json_document(from_json_text<StatusReport>(Json::parse(json_line(status)))) == status);
  auto check = [](const auto& value) {
    Json json = to_json_document(value);
    using Value = std::decay_t<decltype(value)>;
    CHECK(to_json_document(from_json_text<Value>(Json::parse(json_line(json)))) == json);
  };
  for (NodeState state : {NodeState::kError, NodeState::kHeld, NodeState::kPaused,
                          NodeState::kSeeking, NodeState::kSyncing, NodeState::kInSync}) {
    StatusReport report;
    report.state = state;
    check(report);
  }
  FakeNode node;
  check(node.peers());
  check(node.conflicts());
  node.trash({}, [&](auto rows) { check(*rows); });
  check(node.plan());
  check(ActionReport{"done", 3, {"a", "b"}});
  check(RejectReport{
      {"11112222"},
      {{"a", RejectOutcome::kBack}, {"b", RejectOutcome::kLeft}, {"c", RejectOutcome::kMissing}}});
  for (int kind = 0; kind <= static_cast<int>(HoldKind::kName); ++kind) {
    HoldReport hold;
    hold.kind = static_cast<HoldKind>(kind);
    check(hold);
  }
  DoctorFacts facts{{{"eth7", "1.2.3.4/24", true, "", 1, 2, 3, "no route", 4}},
                    1,
                    2,
                    3,
                    4,
                    5,
                    6,
                    {{true, "what", "do"}},
                    7,
                    "nftables"};
  check(facts);
}

TEST_CASE("times are ISO 8601 with a Z") {
  CHECK(to_json_document(TrashReport{"n", "p", WallTime{1'000'000'000}, 5, "b"})["time"] ==
        "1970-01-01T00:00:01Z");
}

TEST_CASE("documents that are not what they should be read as defaults") {
  for (const char* text : {"null", "[]", "3", "\"x\"", "{}", R"({"node":3,"peers":{"a":1}})",
                           R"({"peers":[null,7,{"port":70000,"state":[]}],"term":-1})",
                           R"({"hub":[],"transfers":[[]],"counters":[]})"}) {
    INFO(text);
    auto report = from_json_text<StatusReport>(Json::parse(text));
    CHECK(report.name.empty());
    CHECK(report.term == 0);
    from_json_text<std::vector<PeerReport>>(Json::parse(text));
    from_json_text<DoctorFacts>(Json::parse(text));
  }
}

TEST_CASE("hostile bytes in JSON are escaped and never throw") {
  Json json = "a\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\xff\xc3\xbc";
  std::string line = json_line(json);
  CHECK(line == "\"a\\u001b[2J\\u007f\\u009b\\u202e\xef\xbf\xbd\xc3\xbc\"");
  CHECK(Json::parse(line) == "a\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\xef\xbf\xbd\xc3\xbc");
}
