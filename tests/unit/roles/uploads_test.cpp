// Offers: what waits, who answers, what expires, and what a member may not do with them.
#include "roles/uploads.h"

#include "sim/index_store.h"
#include "support/catch.h"
#include "support/hand_clock.h"
#include "support/manual_executor.h"
#include "support/memory_file_system.h"
#include "sync/hashing.h"

using namespace lansync;

namespace {

constexpr SessionId kBob = 7;

class Rig final : public UploadHost {
 public:
  explicit Rig(UploadAnswer policy) : uploads(*this, replica, executor, clock, log, policy) {
    bob.bytes[0] = 0xbb;
  }

  SessionId usable_session(const NodeId&) const override { return connected ? kBob : 0; }
  Status reach(const NodeId&) override { return {}; }
  void ask(SessionId session, const Message& message) override {
    CHECK(session == kBob);
    sent.push_back(message);
  }
  // It pings each half second unless it is dead.
  Instant last_heard(SessionId) const override { return alive ? clock.at : died; }
  std::string name_of(const NodeId&) const override { return "bob"; }
  std::optional<NodeId> node_of(SessionId) const override { return bob; }
  std::string carrier_to(SessionId) const override { return "lane"; }
  void journal(bool incoming, const NodeId&, const std::string& command,
               const std::string& arguments, const std::string& result) override {
    history.push_back(str(incoming ? "in " : "out ", command, ' ', arguments, ": ", result));
  }

  FileUpload offer_of(std::uint32_t id, const std::string& text) const {
    FileUpload offer;
    offer.id = id;
    offer.name = "holiday.jpg";
    offer.size = text.size();
    offer.mode = 0644;
    const ContentDigests digests = digests_of(as_bytes(text));
    offer.hash = digests.content;
    offer.md5 = digests.md5;
    return offer;
  }
  bool hear(const Message& message) { return uploads.on_message(kBob, message, clock.at); }
  void pass(Duration time) {
    clock.at += time;
    uploads.pump(clock.at);
  }
  // Offers a file of ours to bob, up to the moment in which the offer is sent.
  void offer_ours() {
    files.write_file("ours.txt", as_bytes("words"));
    uploads.offer(
        1, bob, "ours.txt", [this] { return files.open_file("ours.txt"); },
        [this](const Result<UploadReport>& result) { end = result; }, clock.at);
    executor.run_all();
  }
  template <typename T>
  const T* last() const {
    return sent.empty() ? nullptr : std::get_if<T>(&sent.back());
  }
  std::string error() const { return end && !*end ? end->error().detail : ""; }

  MemoryFileSystem files;
  sim::SimIndexStore store;
  ManualExecutor executor;
  HandClock clock;
  LineLog log;
  Prng random{1};
  Fetcher fetcher{files, executor, clock};
  Replica replica{Replica::Options{}, files, store, executor, fetcher, random, clock, log};
  NodeId bob;
  Uploads uploads;
  bool connected = true;
  bool alive = true;
  Instant died{};
  std::vector<Message> sent;
  std::vector<std::string> history;
  std::optional<Result<UploadReport>> end;
};

}  // namespace

TEST_CASE("an offer that nobody answers is denied after ten minutes, and not a moment earlier") {
  Rig rig(UploadAnswer::kAsk);
  const FileUpload offer = rig.offer_of(3, "bytes");
  REQUIRE(rig.hear(offer));
  REQUIRE(rig.uploads.offers().size() == 1);
  CHECK(rig.uploads.offers()[0].from == "bob");
  CHECK(rig.uploads.offers()[0].expires.ns == rig.clock.wall().ns + 600'000'000'000);
  REQUIRE(rig.log.lines.size() == 1);
  CHECK(rig.log.lines[0].find("lansync uploads allow 1") != std::string::npos);
  CHECK_FALSE(rig.fetcher.wants(offer.hash));
  rig.pass(10min - 1ms);
  CHECK(rig.sent.empty());
  rig.pass(1ms);
  REQUIRE(rig.last<FileUploadDeny>() != nullptr);
  CHECK(rig.last<FileUploadDeny>()->id == 3);
  CHECK(rig.uploads.offers().empty());
  CHECK_FALSE(rig.uploads.answer(1, true, rig.clock.at));
  REQUIRE(rig.history.size() == 1);
  CHECK(rig.history[0].find("in upload holiday.jpg: denied: nobody") == 0);
}

TEST_CASE("nothing is fetched before a person allowed it, and then from who offered it") {
  Rig rig(UploadAnswer::kAsk);
  const FileUpload offer = rig.offer_of(3, "bytes");
  REQUIRE(rig.hear(offer));
  REQUIRE(rig.uploads.answer(1, true, rig.clock.at));
  REQUIRE(rig.last<FileUploadAllow>() != nullptr);
  CHECK_FALSE(rig.last<FileUploadAllow>()->done);
  CHECK(rig.fetcher.wants(offer.hash));
  CHECK(rig.uploads.offers().empty());
  // Its end is the end of the fetch as well.
  rig.uploads.on_session_down(kBob);
  CHECK_FALSE(rig.fetcher.wants(offer.hash));
  CHECK(rig.history[0].find("in upload holiday.jpg: failed") == 0);
}

TEST_CASE("a policy answers at once: allow fetches, deny says that it takes none") {
  Rig open(UploadAnswer::kAllow);
  const FileUpload offer = open.offer_of(3, "bytes");
  REQUIRE(open.hear(offer));
  CHECK(open.last<FileUploadAllow>() != nullptr);
  CHECK(open.fetcher.wants(offer.hash));
  Rig closed(UploadAnswer::kDeny);
  REQUIRE(closed.hear(offer));
  REQUIRE(closed.last<FileUploadDeny>() != nullptr);
  CHECK(closed.last<FileUploadDeny>()->reason.find("--uploads deny") != std::string::npos);
  CHECK_FALSE(closed.fetcher.wants(offer.hash));
}

TEST_CASE("a member's offers are bounded, its numbers are used once, and it may take one back") {
  Rig rig(UploadAnswer::kAsk);
  for (std::uint32_t id = 1; id <= Uploads::kMaxPerSession; ++id)
    REQUIRE(rig.hear(rig.offer_of(id, "bytes")));
  CHECK(rig.sent.empty());
  REQUIRE(rig.hear(rig.offer_of(99, "bytes")));
  CHECK(rig.last<FileUploadDeny>() != nullptr);
  CHECK(rig.uploads.offers().size() == Uploads::kMaxPerSession);
  CHECK_FALSE(rig.hear(rig.offer_of(5, "bytes")));
  CHECK(rig.hear(Cancel{5}));
  CHECK(rig.uploads.offers().size() == Uploads::kMaxPerSession - 1);
}

TEST_CASE("whoever says that a file arrived which it never took is at fault") {
  Rig rig(UploadAnswer::kAsk);
  rig.offer_ours();
  REQUIRE(rig.sent.size() == 1);
  const auto* offer = std::get_if<FileUpload>(&rig.sent[0]);
  REQUIRE(offer != nullptr);
  const std::uint32_t id = offer->id;
  CHECK_FALSE(rig.hear(FileUploadAllow{id, true, "ours.txt"}));
  CHECK_FALSE(rig.end);
  // Content is given out only from the allow on.
  CHECK_FALSE(rig.uploads.locate(offer->hash));
  CHECK(rig.hear(FileUploadAllow{id, false, ""}));
  CHECK(rig.uploads.locate(digests_of(as_bytes("words")).content));
  CHECK_FALSE(rig.hear(FileUploadAllow{id, true, ""}));
  CHECK(rig.hear(FileUploadAllow{id, true, "ours (from alice).txt"}));
  REQUIRE(rig.end);
  REQUIRE(*rig.end);
  CHECK((*rig.end)->name == "ours (from alice).txt");
  CHECK((*rig.end)->md5 == to_hex(digests_of(as_bytes("words")).md5));
  CHECK_FALSE(rig.uploads.locate(digests_of(as_bytes("words")).content));
}

TEST_CASE("an upload ends with a word when it is denied, and when the other side dies") {
  Rig denied(UploadAnswer::kAsk);
  denied.offer_ours();
  const std::uint32_t id = std::get<FileUpload>(denied.sent.at(0)).id;
  CHECK(denied.hear(FileUploadDeny{id, "somebody there said no"}));
  CHECK(denied.error().find("bob does not take it: somebody there said no") == 0);
  CHECK(denied.history.at(0).find("out upload ours.txt: failed") == 0);

  Rig dead(UploadAnswer::kAsk);
  dead.offer_ours();
  dead.alive = false;
  dead.died = dead.clock.at;
  dead.pass(Uploads::kSilence - 1ms);
  CHECK_FALSE(dead.end);
  dead.pass(1ms);
  CHECK(dead.error().find("bob is not heard any more") == 0);
}
