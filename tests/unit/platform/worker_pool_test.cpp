#include "platform/worker_pool.h"

#include <poll.h>

#include <atomic>
#include <future>

#include "support/catch.h"

namespace lansync {
namespace {

std::unique_ptr<WorkerPool> make_pool(std::size_t threads) {
  auto pool = WorkerPool::create(threads);
  REQUIRE(pool);
  return std::move(*pool);
}

void run_all(WorkerPool& pool) {
  while (pool.pending() > 0) {
    pollfd wait{pool.completion_fd(), POLLIN, 0};
    REQUIRE(::poll(&wait, 1, 10'000) == 1);
    pool.run_completions(7);
  }
}

TEST_CASE("work runs elsewhere and done runs here, once each") {
  auto pool = make_pool(3);
  auto here = std::this_thread::get_id();
  std::atomic<int> worked{0};
  int done = 0;
  for (int i = 0; i < 1000; ++i) {
    auto job = i % 3 == 0 ? JobClass::kDisk : i % 3 == 1 ? JobClass::kBulk : JobClass::kIndex;
    pool->submit(
        job, [&] { worked += std::this_thread::get_id() != here; },
        [&] { done += std::this_thread::get_id() == here; });
  }
  run_all(*pool);
  CHECK(worked == 1000);
  CHECK(done == 1000);
}

TEST_CASE("index jobs run one at a time and in order") {
  auto pool = make_pool(4);
  std::atomic<int> inside{0};
  std::atomic<bool> overlapped{false};
  std::vector<int> order;  // only index jobs touch it, and they never overlap
  for (int i = 0; i < 500; ++i) {
    pool->submit(
        JobClass::kIndex,
        [&, i] {
          if (++inside != 1) overlapped = true;
          order.push_back(i);
          --inside;
        },
        nullptr);
  }
  run_all(*pool);
  CHECK_FALSE(overlapped);
  REQUIRE(order.size() == 500);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("long jobs leave a thread to the short ones") {
  auto pool = make_pool(2);
  std::promise<void> release;
  auto wait = release.get_future().share();
  for (int i = 0; i < 4; ++i)
    pool->submit(
        JobClass::kBulk, [wait] { wait.wait(); }, nullptr);
  std::promise<void> ran;
  pool->submit(
      JobClass::kDisk, [&] { ran.set_value(); }, nullptr);
  CHECK(ran.get_future().wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  release.set_value();
  run_all(*pool);
}

TEST_CASE("after a shutdown waiting commits have run, other jobs have not, and no done is called") {
  auto pool = make_pool(1);
  std::promise<void> started;
  std::promise<void> release;
  std::atomic<int> commits{0}, others{0}, dones{0};
  pool->submit(
      JobClass::kDisk,
      [&] {
        started.set_value();
        release.get_future().wait();
      },
      [&] { ++dones; });
  started.get_future().wait();
  for (int i = 0; i < 10; ++i) {
    pool->submit(
        JobClass::kIndex, [&] { ++commits; }, [&] { ++dones; });
    pool->submit(
        JobClass::kBulk, [&] { ++others; }, [&] { ++dones; });
  }
  std::thread stopper([&] { pool->shutdown(); });
  // pending() falls when shutdown has dropped what it drops: from then on nothing new may start.
  while (pool->pending() > 11) std::this_thread::yield();
  release.set_value();
  stopper.join();
  pool->run_completions();
  pool->submit(
      JobClass::kDisk, [&] { ++others; }, nullptr);
  CHECK(commits == 10);
  CHECK(others == 0);
  CHECK(dones == 0);
}

}  // namespace
}  // namespace lansync
