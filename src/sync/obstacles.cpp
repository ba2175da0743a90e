#include "sync/obstacles.h"

#include <algorithm>

#include "base/rel_path.h"

namespace lansync {
namespace {

// A person who is faster than we are costs one try more; what fails three times in a row is there
// to stay.
constexpr int kStands = 3;
constexpr Duration kFirstWait = 1s;
// Nothing tells of most mendings (what hid it is unmounted): for as long as there are few, each is
// tried once a minute. What is dear to try the replica tries more rarely (run_retries).
constexpr Duration kLongestWait = 1min;
constexpr Duration kLongestOfMany = 10min;
constexpr Duration kWaitEach = 20ms;

// What is said to be in the way, and is not there when it is looked for, is none.
template <typename Obstacle>
bool is_settled(const Obstacle& obstacle) {
  const bool nothing_there = obstacle.in_the_way && obstacle.seen && !obstacle.stat;
  return obstacle.failures >= kStands && !nothing_there;
}

// 0, 1 s, 4 s, 16 s, 1 min; of many that stand up to 10 min.
Duration wait_after(int failures, std::size_t obstacles) {
  if (failures <= 1) return Duration::zero();
  const Duration longest = std::clamp<Duration>(kWaitEach * static_cast<std::int64_t>(obstacles),
                                                kLongestWait, kLongestOfMany);
  Duration wait = kFirstWait;
  for (int i = 2; i < failures && wait < longest; ++i) wait *= 4;
  return std::min(wait, longest);
}

}  // namespace

void Obstacles::disarm(const std::string& path, const Obstacle& obstacle) {
  timers_.erase({obstacle.until, path});
  auto at = waiting_behind_.find(obstacle.behind);
  if (obstacle.behind.empty() || at == waiting_behind_.end()) return;
  at->second.erase(path);
  if (at->second.empty()) waiting_behind_.erase(at);
}

void Obstacles::arm(const std::string& path, Obstacle& obstacle, Instant until) {
  disarm(path, obstacle);
  obstacle.until = until;
  obstacle.behind.clear();
  timers_.insert({until, path});
}

bool Obstacles::on_failed(const std::string& path, const VersionVector& version, bool in_the_way,
                          Instant now) {
  Obstacle& obstacle = obstacles_[path];
  if (!(obstacle.version == version)) {
    obstacle.version = version;
    obstacle.failures = 0;
  }
  ++obstacle.failures;
  obstacle.in_the_way = in_the_way;
  // The try itself may have changed its ctime: only what is other than after it is a reason.
  if (!in_the_way) obstacle.seen = false;
  arm(path, obstacle, now + wait_after(obstacle.failures, obstacles_.size()));
  return is_settled(obstacle);
}

void Obstacles::on_refused(const std::string& path, const VersionVector& version) {
  Obstacle& obstacle = obstacles_[path];
  disarm(path, obstacle);
  obstacle.version = version;
  obstacle.failures = kStands;
  obstacle.in_the_way = false;
  obstacle.until = kNever;
  obstacle.behind.clear();
}

void Obstacles::on_behind(const std::string& path, const VersionVector& version,
                          const std::string& behind) {
  on_refused(path, version);
  obstacles_[path].behind = behind;
  waiting_behind_[behind].insert(path);
}

bool Obstacles::blocks(const std::string& path, const VersionVector& version, Instant now) const {
  auto at = obstacles_.find(path);
  return at != obstacles_.end() && now < at->second.until && at->second.version == version;
}

bool Obstacles::stands(const std::string& path) const {
  auto at = obstacles_.find(path);
  return at != obstacles_.end() && is_settled(at->second);
}

std::optional<std::string> Obstacles::standing_above(const std::string& path) const {
  if (obstacles_.empty()) return std::nullopt;
  for (auto parent = parent_path(path); !parent.empty(); parent = parent_path(parent)) {
    std::string above(parent);
    if (stands(above)) return above;
  }
  return std::nullopt;
}

bool Obstacles::on_seen(const std::string& path, const std::optional<FileStat>& stat) {
  auto at = obstacles_.find(path);
  if (at == obstacles_.end()) return false;
  Obstacle& obstacle = at->second;
  const bool changed = obstacle.seen && !(obstacle.stat == stat);
  obstacle.seen = true;
  obstacle.stat = stat;
  if (changed) free(path, obstacle);
  return changed;
}

bool Obstacles::is_as_seen(const std::string& path, const std::optional<FileStat>& stat) const {
  auto at = obstacles_.find(path);
  return at != obstacles_.end() && at->second.seen && at->second.stat == stat;
}

void Obstacles::on_event_below(const std::string& path) {
  if (auto at = obstacles_.find(path); at != obstacles_.end()) free(path, at->second);
}

std::vector<std::string> Obstacles::below(const std::string& directory) const {
  std::vector<std::string> out;
  const std::string prefix = directory + '/';
  for (auto at = obstacles_.lower_bound(prefix);
       at != obstacles_.end() && at->first.starts_with(prefix); ++at)
    out.push_back(at->first);
  return out;
}

// For one more try; if that fails it stands again.
void Obstacles::free(const std::string& path, Obstacle& obstacle) {
  obstacle.failures = std::min(obstacle.failures, kStands - 1);
  disarm(path, obstacle);
  obstacle.behind.clear();
  obstacle.until = Instant{};
}

std::vector<std::string> Obstacles::clear(const std::string& path) {
  auto at = obstacles_.find(path);
  if (at != obstacles_.end()) {
    disarm(path, at->second);
    obstacles_.erase(at);
  }
  std::vector<std::string> freed;
  auto waiting = waiting_behind_.find(path);
  if (waiting == waiting_behind_.end()) return freed;
  const std::set<std::string> behind = std::move(waiting->second);
  waiting_behind_.erase(waiting);
  for (const std::string& one : behind) {
    freed.push_back(one);
    for (std::string& next : clear(one)) freed.push_back(std::move(next));
  }
  return freed;
}

std::vector<std::string> Obstacles::clear_all() {
  std::vector<std::string> all;
  for (const auto& [path, obstacle] : obstacles_) all.push_back(path);
  obstacles_.clear();
  timers_.clear();
  waiting_behind_.clear();
  return all;
}

bool Obstacles::has_unsettled() const {
  return std::any_of(obstacles_.begin(), obstacles_.end(),
                     [](const auto& item) { return !is_settled(item.second); });
}

Obstacles::Due Obstacles::take_due(Instant now) {
  Due due;
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const std::string path = timers_.begin()->second;
    timers_.erase(timers_.begin());
    Obstacle& obstacle = obstacles_.at(path);
    if (!obstacle.in_the_way || !is_settled(obstacle)) {
      due.tries.push_back(path);
      continue;
    }
    due.looks.push_back(path);
    ++obstacle.failures;
    arm(path, obstacle, now + wait_after(obstacle.failures, obstacles_.size()));
  }
  return due;
}

bool Obstacles::passed_over(const std::string& path, const FileStat& stat) const {
  auto at = passed_over_.find(path);
  return at != passed_over_.end() && at->second == stat;
}

}  // namespace lansync
