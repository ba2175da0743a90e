// Workers without threads: a job's work runs at a moment drawn from the seed, its `done` at a later
// one, so that what the control thread does in between is as various as with real threads.
//
// Invariant: jobs of one class start in order, one kIndex job runs at a time, and nothing of a node
// that was killed runs any more. Owned by SimNode; driven by World's event queue.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "base/executor.h"
#include "base/random.h"
#include "sim/event_queue.h"

namespace lansync::sim {

class SimExecutor final : public Executor {
 public:
  SimExecutor(EventQueue& queue, std::uint64_t seed, std::function<void()> wakeup)
      : queue_(queue),
        random_(seed),
        wakeup_(std::move(wakeup)),
        state_(std::make_shared<State>()) {}
  ~SimExecutor() override { shutdown(); }

  void submit(JobClass job_class, std::function<void()> work, std::function<void()> done) override {
    Lane& lane = state_->lanes[job_class];
    lane.waiting.push_back({std::move(work), std::move(done)});
    ++jobs_;
    start_next(job_class);
  }
  // On the control thread, before a turn.
  void run_completions() {
    while (!state_->completed.empty()) {
      auto done = std::move(state_->completed.front());
      state_->completed.pop_front();
      if (done) done();
    }
  }
  bool has_completions() const { return !state_->completed.empty(); }
  // What a kill does: what has not begun never runs, what has run is never told.
  void shutdown() {
    state_->lanes.clear();
    state_->completed.clear();
    state_ = std::make_shared<State>();
  }
  // Makes every job this much slower: a disk under load.
  void set_slowness(std::uint64_t factor) { slowness_ = factor; }
  std::uint64_t jobs() const { return jobs_; }

 private:
  struct Job {
    std::function<void()> work;
    std::function<void()> done;
  };
  struct Lane {
    std::deque<Job> waiting;
    int running = 0;
  };
  struct State {
    std::map<JobClass, Lane> lanes;
    std::deque<std::function<void()>> completed;
  };

  Duration drawn(Duration least, Duration most) {
    const auto span = static_cast<std::uint64_t>((most - least).count());
    return least + Duration(random_.below(span + 1) * slowness_);
  }
  // The work itself happens at one instant; its length is what stands before and after it.
  std::pair<Duration, Duration> lengths(JobClass job_class) {
    switch (job_class) {
      case JobClass::kDisk:
        return {drawn(20us, 2ms), drawn(10us, 500us)};
      case JobClass::kBulk:
        return {drawn(100us, 10ms), drawn(10us, 10ms)};
      case JobClass::kIndex:
        return {drawn(500us, 10ms), drawn(10us, 2ms)};
    }
    return {};
  }
  void start_next(JobClass job_class) {
    Lane& lane = state_->lanes[job_class];
    const int limit = job_class == JobClass::kIndex ? 1 : 2;
    if (lane.waiting.empty() || lane.running >= limit) return;
    ++lane.running;
    auto job = std::make_shared<Job>(std::move(lane.waiting.front()));
    lane.waiting.pop_front();
    const auto [before, after] = lengths(job_class);
    std::weak_ptr<State> alive = state_;
    queue_.after(before, [this, alive, job, job_class, rest = after] {
      if (alive.expired()) return;
      job->work();
      if (alive.expired()) return;  // the work itself was what killed the node
      job->work = nullptr;
      queue_.after(rest, [this, alive, job, job_class] {
        auto state = alive.lock();
        if (!state) return;
        --state->lanes[job_class].running;
        state->completed.push_back(std::move(job->done));
        start_next(job_class);
        wakeup_();
      });
    });
  }

  EventQueue& queue_;
  Prng random_;
  std::function<void()> wakeup_;
  std::shared_ptr<State> state_;
  std::uint64_t slowness_ = 1;
  std::uint64_t jobs_ = 0;
};

}  // namespace lansync::sim
