// ThreadPool: runs loops over fixed blocks on a fixed number of threads. What a block computes never depends on how many threads there are
// or on which one runs it, so results are the same for every pool size.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace fp8 {

class ThreadPool {
 public:
  // At least one thread.
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t size() const { return threads_.size(); }

  // Calls body(0) … body(count − 1), each once, on the pool's threads, and returns when all have ended. May be called from any thread, also
  // from inside a body: a pool thread then works on its own loop. The first exception of a body ends the loop and is rethrown here; a stop
  // request ends it with Cancelled.
  void parallel_for(std::size_t count, const std::stop_token& stop, const std::function<void(std::size_t)>& body);

 private:
  struct Loop;

  void work();
  bool run_one(std::unique_lock<std::mutex>& lock, Loop& loop);

  std::mutex mutex_;
  std::condition_variable work_arrived_;
  std::list<Loop*> loops_;  // with blocks that nobody has taken; the oldest first
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace fp8
