#include "sim/family_day.h"

#include <algorithm>
#include <map>
#include <set>

#include "app/render.h"
#include "base/log.h"
#include "sim/world.h"

namespace lansync::sim {
namespace {

constexpr const char* kPhotos = "photos/2025";
constexpr int kPhotoCount = 160;  // over half of the folder: a delete of it is asked about

class Day {
 public:
  Day(std::uint64_t seed, const std::function<void(const std::string&)>& say)
      : world_(seed), random_(seed ^ 0xFA3117DA7), say_(say) {}
  FamilyDay live();

 private:
  struct Read {
    std::string state;
    std::string screen;
  };

  void begin();
  void morning();
  void midday();
  void mistake();
  void evening();
  // A moment later everybody looks at the screen, and once more when things have calmed down.
  void then(const char* hour, const std::string& what, const std::function<void()>& act);
  void look(const std::string& when);
  void judge(bool calm);
  void wrong(const std::string& what);
  std::map<std::string, Bytes> files_of(SimNode& node);
  std::string photo(int number);
  bool held_somewhere();
  void say(const std::string& text) {
    if (say_) say_(text);
  }

  World world_;
  Prng random_;
  const std::function<void(const std::string&)>& say_;
  std::map<std::string, std::string> read_;  // what each read last
  std::set<std::string> away_;               // whose cable is out
  std::string now_;                          // the hour and what was done
  FamilyDay day_;
};

SimNode& at(World& world, const char* name) { return world.node(name); }

void Day::wrong(const std::string& what) { day_.wrong.push_back(str(now_, ": ", what)); }

std::string Day::photo(int number) {
  std::string bytes = str("photo ", number, ": ");
  bytes.resize(2000 + random_.below(20'000), static_cast<char>('a' + number % 26));
  return bytes;
}

std::map<std::string, Bytes> Day::files_of(SimNode& node) {
  std::map<std::string, Bytes> out;
  for (const auto& [path, seen] : node.disk().tree())
    if (seen.kind == FileKind::kFile) out[path] = seen.bytes;
  return out;
}

bool Day::held_somewhere() {
  const auto running = world_.running();
  return std::any_of(running.begin(), running.end(),
                     [](SimNode* one) { return !one->node().status().held.empty(); });
}

// What nobody of them would agree with.
void Day::judge(bool calm) {
  SimNode* hub = nullptr;
  for (SimNode* one : world_.running())
    if (is_hub(one->role()) && !away_.contains(one->name())) hub = one;
  for (SimNode* one : world_.running()) {
    const StatusReport status = one->node().status();
    if (status.state != NodeState::kInSync && status.state != NodeState::kSeeking &&
        status.reason.empty() && calm)
      wrong(str(one->name(), " is not in sync, and is not told why"));
    if (status.state == NodeState::kInSync && !status.held.empty())
      wrong(str(one->name(), " is said to be in sync, and something is held"));
    if (!calm || status.state != NodeState::kInSync || hub == nullptr) continue;
    if (away_.contains(one->name())) {
      wrong(str(one->name(), " is away, and said to be in sync"));
      continue;
    }
    // The hub's own "in sync" may stand beside a line that says who is behind; and what waits there
    // for a person's word is told there.
    if (one == hub || !hub->node().status().held.empty()) continue;
    if (files_of(*one) != files_of(*hub))
      wrong(str(one->name(), " is said to be in sync, and differs from ", hub->name()));
  }
}

void Day::look(const std::string& when) {
  for (SimNode* one : world_.nodes()) {
    std::string screen =
        one->running() ? render_status(one->node().status()) : std::string("(switched off)\n");
    std::string& last = read_[one->name()];
    // Traffic is counted on; that is no news.
    std::string compared = screen.substr(0, screen.find("traffic"));
    if (compared == last) continue;
    last = std::move(compared);
    say(str("---- ", one->name(), ", ", when, "\n", screen));
  }
}

void Day::then(const char* hour, const std::string& what, const std::function<void()>& act) {
  now_ = str(hour, " ", what);
  say(str("\n==== ", now_, "\n"));
  act();
  world_.run_for(2s);
  look("at once");
  judge(false);
  world_.run_for(20s + Duration(static_cast<std::int64_t>(random_.below(40'000'000))));
  look("later");
  judge(true);
}

void Day::begin() {
  NodeOptions normal;
  normal.settle = 2s;
  for (const char* name : {"desk", "laptop", "kid", "tablet"}) world_.add(name, normal);
  SimNode& tablet = at(world_, "tablet");
  DiskLimits exfat;
  exfat.keeps_modes = exfat.makes_links = exfat.tells_case = false;
  exfat.mtime_step_ns = 10'000'000;
  tablet.disk().set_limits(exfat);
  for (SimNode* other : world_.nodes()) {
    if (other == &tablet) continue;
    for (auto* link : {&world_.network().faults(tablet.ip(), other->ip()),
                       &world_.network().faults(other->ip(), tablet.ip())}) {
      link->bytes_per_second = 250'000;
      link->loss = 10'000;  // 1 %
      link->delay = 5ms;
    }
  }
  SimNode& desk = at(world_, "desk");
  for (int n = 0; n < kPhotoCount; ++n) desk.write(str(kPhotos, "/", n, ".jpg"), photo(n));
  for (int n = 0; n < 20; ++n) desk.write(str("docs/", n, ".txt"), str("document ", n));
  desk.write("docs/letter.txt", "Dear all,");
  desk.write("Readme.txt", "What is where");
  for (int n = 0; n < 30; ++n) desk.write(str("code/.git/objects/", n), str("object ", n));
  desk.write("code/.git/HEAD", "ref: refs/heads/main");
  desk.link("docs/latest", "letter.txt");
}

void Day::morning() {
  then("06:30", "the desktop is switched on", [&] { at(world_, "desk").start(); });
  then("06:45", "the tablet is switched on for the first time",
       [&] { at(world_, "tablet").start(); });
  then("07:00", "the laptop, with two files of its own, and the child's PC", [&] {
    at(world_, "laptop").write("docs/trip.txt", "Paris");
    at(world_, "laptop").write("docs/1.txt", "another document 1");
    at(world_, "laptop").start();
    at(world_, "kid").start();
  });
  then("08:00", "at the laptop: the letter is written, with a swap file beside it", [&] {
    SimNode& laptop = at(world_, "laptop");
    laptop.write("docs/.letter.txt.swp", "swap");
    laptop.save("docs/letter.txt", "Dear all, we come on Monday");
    laptop.erase("docs/.letter.txt.swp");
  });
  then("08:30", "the laptop leaves the house", [&] {
    away_.insert("laptop");
    world_.unplug("laptop");
  });
  then("09:00", "at the desktop: the letter is changed",
       [&] { at(world_, "desk").save("docs/letter.txt", "Dear all, we come on Tuesday"); });
  then("10:00", "on the train: the letter is changed too, and a note is made", [&] {
    at(world_, "laptop").save("docs/letter.txt", "Dear all, we come on Monday by train");
    at(world_, "laptop").write("docs/note.txt", "buy bread");
  });
}

void Day::midday() {
  then("12:00", "the child's PC takes forty photos from a camera", [&] {
    for (int n = 0; n < 40; ++n)
      at(world_, "kid").write(str("photos/party/", n, ".jpg"), photo(1000 + n));
  });
  then("13:00", "the child commits: objects, and a lock that is renamed", [&] {
    SimNode& kid = at(world_, "kid");
    for (int n = 100; n < 125; ++n) kid.write(str("code/.git/objects/", n), str("object ", n));
    kid.write("code/.git/HEAD.lock", "ref: refs/heads/game");
    kid.rename("code/.git/HEAD.lock", "code/.git/HEAD");
    kid.write("code/run.sh", "#!/bin/sh");
    kid.chmod("code/run.sh", 0755);
  });
  then("13:30", "the tablet's card is full, and a film arrives", [&] {
    at(world_, "tablet").disk().fill_up(100'000);
    std::string film(900'000, 'f');
    at(world_, "desk").write("films/holiday.mp4", film);
  });
  then("13:45", "there is room again on the tablet", [&] { at(world_, "tablet").make_whole(); });
}

void Day::mistake() {
  then("14:00", "at the desktop, by mistake: all photos of 2025 are deleted",
       [&] { at(world_, "desk").erase(kPhotos); });
  if (!held_somewhere()) wrong("160 deletes of 280 files, and nobody was asked");
  for (const char* name : {"kid", "tablet"}) {
    if (!at(world_, name).has(str(kPhotos, "/7.jpg")))
      wrong(str(name, " has lost the photos that somebody deleted by mistake"));
  }
  then("14:10", "at the desktop: `lansync reject`", [&] { at(world_, "desk").reject(); });
  for (const char* name : {"desk", "kid", "tablet"}) {
    for (int n = 0; n < kPhotoCount; ++n) {
      if (at(world_, name).has(str(kPhotos, "/", n, ".jpg"))) continue;
      wrong(str(name, " lacks photo ", n, " after the mistake was undone"));
      break;
    }
  }
  if (held_somewhere()) wrong("deletes are held yet, after they were undone");
}

void Day::evening() {
  then("16:30", "the laptop comes home", [&] {
    away_.erase("laptop");
    world_.plug("laptop");
  });
  const auto copies = [&] {
    std::vector<std::string> out;
    for (const auto& [path, bytes] : files_of(at(world_, "laptop")))
      if (path.find("letter (conflict ") != std::string::npos) out.push_back(path);
    return out;
  };
  if (copies().size() != 1) wrong(str(copies().size(), " conflict copies of the letter"));
  then("17:00", "at the laptop: the letters are put together, and the copy is deleted", [&] {
    SimNode& laptop = at(world_, "laptop");
    laptop.save("docs/letter.txt", "Dear all, we come on Tuesday by train");
    for (const std::string& path : copies()) laptop.erase(path);
  });
  then("18:00", "at the child's PC: `lansync pause`, and a file is written", [&] {
    at(world_, "kid").pause();
    at(world_, "kid").write("code/game.txt", "level 1");
  });
  then("18:30", "at the child's PC: `lansync resume`", [&] { at(world_, "kid").resume(); });
  then("19:00", "at the laptop: docs is renamed to papers",
       [&] { at(world_, "laptop").rename("docs", "papers"); });
  then("20:00", "at the desktop: Readme.txt becomes README.txt",
       [&] { at(world_, "desk").rename("Readme.txt", "README.txt"); });
  then("22:00", "the desktop is switched off", [&] { at(world_, "desk").stop(); });
  then("22:30", "the child writes on", [&] {
    at(world_, "kid").write("code/game.txt", "level 2");
    at(world_, "kid").erase("photos/party/3.jpg");
  });
  then("23:30", "the desktop is switched on again", [&] { at(world_, "desk").start(); });
}

FamilyDay Day::live() {
  begin();
  morning();
  midday();
  mistake();
  evening();
  now_ = "at the end of the day";
  world_.run_for(60s);
  for (SimNode* one : world_.running()) {
    if (one->in_sync()) continue;
    const StatusReport status = one->node().status();
    wrong(str(one->name(), " is not in sync: ", status.reason));
  }
  const auto files = files_of(at(world_, "desk"));
  for (SimNode* one : world_.running())
    if (files_of(*one) != files) wrong(str(one->name(), " has other files than desk"));
  if (at(world_, "desk").text("papers/letter.txt") != "Dear all, we come on Tuesday by train")
    wrong("the letter is not what was written last");
  if (!files.contains("README.txt") || files.contains("Readme.txt"))
    wrong("README.txt has not its new name");
  // The card shows other modes and no links: the others are what the oracle can compare.
  at(world_, "tablet").stop();
  world_.run_for(5s);
  if (!world_.converge(120s)) wrong(str("the oracle says:\n", world_.verdict()));
  return day_;
}

}  // namespace

FamilyDay live_family_day(std::uint64_t seed, const std::function<void(const std::string&)>& say) {
  return Day(seed, say).live();
}

}  // namespace lansync::sim
