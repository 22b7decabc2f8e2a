// Loops on the pool: every block once, nested loops, errors and stop requests.
#include "core/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "core/memory_budget.h"
#include "fp8/error.h"

namespace fp8 {
namespace {

TEST(ThreadPool, RunsEveryBlockOnce) {
  for (const std::size_t threads : {1U, 2U, 5U}) {
    ThreadPool pool(threads);
    std::vector<std::atomic<int>> runs(1000);
    pool.parallel_for(runs.size(), {}, [&](std::size_t index) { ++runs[index]; });
    for (const auto& count : runs) ASSERT_EQ(count, 1);
  }
}

TEST(ThreadPool, RunsLoopsInsideLoops) {
  ThreadPool pool(2);
  std::atomic<int> total = 0;
  pool.parallel_for(
      8, {}, [&](std::size_t) { pool.parallel_for(8, {}, [&](std::size_t) { pool.parallel_for(3, {}, [&](std::size_t) { ++total; }); }); });
  EXPECT_EQ(total, 8 * 8 * 3);
}

TEST(ThreadPool, RunsLoopsOfSeveralThreadsAtOnce) {
  ThreadPool pool(2);
  std::atomic<int> total = 0;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 4; ++i) callers.emplace_back([&] { pool.parallel_for(500, {}, [&](std::size_t) { ++total; }); });
  }
  EXPECT_EQ(total, 2000);
}

TEST(ThreadPool, RethrowsTheFirstErrorAndLeavesTheRest) {
  ThreadPool pool(1);
  int runs = 0;
  EXPECT_THROW(pool.parallel_for(100, {},
                                 [&](std::size_t index) {
                                   ++runs;
                                   if (index == 3) throw std::runtime_error("three");
                                 }),
               std::runtime_error);
  EXPECT_EQ(runs, 4);
  pool.parallel_for(5, {}, [&](std::size_t) { ++runs; });
  EXPECT_EQ(runs, 9);
}

TEST(ThreadPool, StopsWhenAskedTo) {
  ThreadPool pool(2);
  std::stop_source stop;
  std::atomic<int> runs = 0;
  EXPECT_THROW(pool.parallel_for(1000000, stop.get_token(),
                                 [&](std::size_t) {
                                   if (++runs == 10) stop.request_stop();
                                 }),
               Cancelled);
  EXPECT_LT(runs, 20);
}

TEST(MemoryBudget, LetsALargeTaskInAlone) {
  MemoryBudget budget(100);
  std::atomic<bool> entered = false;
  std::jthread large;
  {
    const MemoryBudget::Lease small = budget.acquire(10, {});
    large = std::jthread([&] {
      const MemoryBudget::Lease lease = budget.acquire(1000, {});
      entered = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(entered);
  }
  large.join();
  EXPECT_TRUE(entered);
}

TEST(MemoryBudget, WaitingEndsWithAStopRequest) {
  MemoryBudget budget(100);
  const MemoryBudget::Lease all = budget.acquire(100, {});
  std::stop_source stop;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stop.request_stop();
  });
  EXPECT_THROW(budget.acquire(1, stop.get_token()), Cancelled);
}

}  // namespace
}  // namespace fp8
