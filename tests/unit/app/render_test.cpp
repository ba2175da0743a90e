#include "app/render.h"

#include "support/catch.h"
#include "unit/app/fake_node.h"

using namespace lansync;

namespace {

constexpr const char* kHostile = "ev\x1b]0;x\x07il\r\n\xe2\x80\xae\xff";

void check_harmless(const std::string& text) {
  INFO(text);
  for (unsigned char c : text) CHECK((c == '\n' || (c >= 0x20 && c != 0x7f)));
  CHECK(text.find("\xe2\x80\xae") == std::string::npos);
  CHECK(text.find('\xff') == std::string::npos);
}

}  // namespace

TEST_CASE("names from others cannot drive a terminal") {
  StatusReport report = sample_status();
  report.name = report.why_role = report.reason = report.folder = report.group = kHostile;
  report.hub = HubReport{NodeId{}, kHostile};
  report.peers[0].name = report.peers[0].address = report.peers[0].why = kHostile;
  report.peers[0].state = PeerState::kRefused;
  report.transfers[0].name = report.transfers[0].peer = report.transfers[0].carrier = kHostile;
  check_harmless(render_status(report));
  check_harmless(render_peers(report.peers));
  check_harmless(render_conflicts({{kHostile, kHostile, kHostile, {}}}));
  check_harmless(render_trash({{kHostile, kHostile, {}, 1, kHostile}}));
  check_harmless(render_plan({{kHostile, kHostile, kHostile, 1}}));
  DoctorFacts facts;
  facts.interfaces = {{kHostile, kHostile, false, kHostile, 0, 0, 0, kHostile}};
  facts.findings = {{true, kHostile, kHostile}};
  check_harmless(render_doctor(facts));
}

TEST_CASE("status says in words what is going on and what to do") {
  std::string text = render_status(sample_status());
  for (const char* part :
       {"syncing, 3 files and 14 B to go: 3 files to go", "server: nobody else was heard",
        "this node", "OPEN", "lansync confirm", "lansync conflicts", "bob", "192.168.1.7:27801",
        "2 ms", "[#####-----]  50%"})
    CHECK(text.find(part) != std::string::npos);
  StatusReport alone;
  CHECK(render_status(alone).find("no other nodes are known") != std::string::npos);
}

TEST_CASE("who was turned away is shown with the reason") {
  PeerReport refused;
  refused.name = "mallory";
  refused.address = "10.0.0.9";
  refused.state = PeerState::kRefused;
  refused.why = "wrong password";
  CHECK(render_peers({refused}).find("mallory at 10.0.0.9 was turned away: wrong password") !=
        std::string::npos);
}

TEST_CASE("who is behind, by what, and what keeps it there is said") {
  PeerReport peer;
  peer.name = "bob";
  peer.state = PeerState::kConnected;
  CHECK(behind_text(peer).empty());
  CHECK(render_peers({peer}).find("nothing") != std::string::npos);
  peer.behind = {2, 5'000'000, "it is paused there"};
  CHECK(behind_text(peer) == "bob is behind by 2 files (5 MB): it is paused there");
  CHECK(render_peers({peer}).find("2 files, 5 MB") != std::string::npos);
  CHECK(render_peers({peer}).find("it is paused there") != std::string::npos);
}

TEST_CASE("who lacks something is never said to lack nothing") {
  PeerReport peer;
  peer.name = "bob";
  peer.state = PeerState::kConnected;
  // Its folder is gone: how much it lacks cannot be said.
  peer.behind = {0, 0, "it stands still there"};
  CHECK(behind_text(peer) == "bob: it stands still there");
  CHECK(render_peers({peer}).find("nothing") == std::string::npos);
  CHECK(render_peers({peer}).find("bob: it stands still there") != std::string::npos);
  // Of a member that this one has no session with the hub told.
  peer.state = PeerState::kKnown;
  peer.why = "its disk cannot hold that";
  peer.behind = {1, 12, peer.why};
  CHECK(behind_text(peer) == "bob is behind by 1 file (12 B): its disk cannot hold that");
  CHECK(render_peers({peer}).find("not connected") == std::string::npos);
}

TEST_CASE("status shows an upload that waits, with what answers it, and what is here alone") {
  StatusReport report = sample_status();
  CHECK(render_status(report).find("here alone") == std::string::npos);
  report.offers = {{3, "film.mkv", 5'000'000, "anna", {}}};
  report.only_here = 2;
  const std::string text = render_status(report);
  CHECK(text.find("anna offers film.mkv (5 MB): `lansync uploads allow 3`") != std::string::npos);
  CHECK(text.find("2 files are on no other machine yet") != std::string::npos);
}

TEST_CASE("what is to do has a total, a rate and the time left") {
  StatusReport report;
  CHECK(progress_line(report).empty());
  report.state = NodeState::kSyncing;
  report.left_files = 12'000;
  report.left_bytes = 48'000'000;
  report.total_files = 50'000;
  report.files_per_second = 400.4;
  report.bytes_per_second = 1.6e6;
  report.seconds_left = 30;
  CHECK(progress_line(report) ==
        "12000 of 50000 files, 48 MB to go, 400 files/s, 1.6 MB/s, 30 s left");
  CHECK(render_status(report).find("to go") != std::string::npos);
  // While the folder is read its files are counted, and not their bytes.
  report.left_bytes = 0;
  report.bytes_per_second = 0;
  CHECK(progress_line(report) == "12000 of 50000 files to go, 400 files/s, 30 s left");
  // What waits for a person gets no nearer.
  report.state = NodeState::kHeld;
  CHECK(progress_line(report).empty());
}

TEST_CASE("of very many transfers the large ones are shown, and the rest is counted") {
  StatusReport report = sample_status();
  report.transfers.assign(40, report.transfers[0]);
  report.transfers[33].name = "film.mkv";
  report.transfers[33].size = 50'000'000;
  const std::string text = render_status(report);
  CHECK(text.find("film.mkv") != std::string::npos);
  CHECK(text.find("and 32 more transfers") != std::string::npos);
}

TEST_CASE("status names who was turned away") {
  StatusReport report = sample_status();
  report.peers[0].name = "cora";
  report.peers[0].state = PeerState::kRefused;
  report.peers[0].why = "it has another password for this group";
  CHECK(render_status(report).find("cora at 192.168.1.7:27801 was turned away: it has another "
                                   "password for this group") != std::string::npos);
}

TEST_CASE("a long line is wrapped at its spaces, and no word of it is lost") {
  auto lines = wrapped("state   held: a reason of many words that ends in what to do", 24, 8);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0] == "state   held: a reason");
  CHECK(lines[1] == "        of many words");
  CHECK(lines[3] == "        what to do");
  CHECK(wrapped("short", 24, 8) == std::vector<std::string>{"short"});
  CHECK(wrapped("", 24, 8) == std::vector<std::string>{""});
  // No room for a margin, and no space to break at: still an end.
  CHECK(wrapped("a b c d e f g h i j k", 3, 8).size() == 6);
  CHECK(wrapped(std::string(500, 'x'), 10, 2).size() == 1);
}

TEST_CASE("a transfer of nothing, of too much and of unknown length has a bar") {
  CHECK(transfer_line({"a", false, "b", "enet", 0, 0, 0}, 80).starts_with("[##########] 100%"));
  CHECK(transfer_line({"a", false, "b", "enet", 10, 50, 0}, 80).starts_with("[##########] 100%"));
  CHECK(transfer_line({"a", false, "", "", 100, 0, 10}, 80) ==
        "[----------]   0%  10 B/s  11 s left  a from several");
}

TEST_CASE("columns line up also with wide and combining letters") {
  CHECK(table({{"a", "b"}, {"\xe6\x97\xa5\xe6\x9c\xac", "c"}, {"e\xcc\x81", "d"}}) ==
        "a     b\n\xe6\x97\xa5\xe6\x9c\xac  c\ne\xcc\x81     d\n");
  CHECK(cut_to_width("\xe6\x97\xa5\xe6\x9c\xac", 4) == "\xe6\x97\xa5\xe6\x9c\xac");
  CHECK(cut_to_width("\xe6\x97\xa5\xe6\x9c\xac", 3) == "\xe6\x97\xa5~");
  CHECK(cut_to_width("abc", 0).empty());
}
