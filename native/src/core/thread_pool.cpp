#include "core/thread_pool.h"

#include <algorithm>
#include <exception>

#include "fp8/error.h"

namespace fp8 {

namespace {
thread_local const ThreadPool* current_pool = nullptr;
}

struct ThreadPool::Loop {
  std::size_t count;
  const std::stop_token& stop;
  const std::function<void(std::size_t)>& body;
  std::size_t next = 0;
  std::size_t running = 0;
  std::exception_ptr failure = nullptr;
  std::condition_variable ended = {};
};

ThreadPool::ThreadPool(std::size_t threads) {
  for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i) threads_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  work_arrived_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::parallel_for(std::size_t count, const std::stop_token& stop, const std::function<void(std::size_t)>& body) {
  if (count == 0) return;
  Loop loop{count, stop, body};
  std::unique_lock<std::mutex> lock(mutex_);
  loops_.push_back(&loop);
  if (count == 1) {
    work_arrived_.notify_one();
  } else {
    work_arrived_.notify_all();
  }
  if (current_pool == this) {
    while (run_one(lock, loop)) {
    }
  }
  loop.ended.wait(lock, [&] { return loop.next == loop.count && loop.running == 0; });
  if (loop.failure) std::rethrow_exception(loop.failure);
}

// Takes the next block of the loop and runs it without the lock. False when none is left.
bool ThreadPool::run_one(std::unique_lock<std::mutex>& lock, Loop& loop) {
  if (loop.next == loop.count) return false;
  const std::size_t index = loop.next++;
  ++loop.running;
  if (loop.next == loop.count) loops_.remove(&loop);
  lock.unlock();
  std::exception_ptr failure;
  try {
    if (loop.stop.stop_requested()) throw Cancelled{};
    loop.body(index);
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  --loop.running;
  if (failure) {
    if (!loop.failure) loop.failure = failure;
    if (loop.next != loop.count) {
      loop.next = loop.count;
      loops_.remove(&loop);
    }
  }
  if (loop.next == loop.count && loop.running == 0) loop.ended.notify_all();
  return true;
}

void ThreadPool::work() {
  current_pool = this;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    work_arrived_.wait(lock, [&] { return closing_ || !loops_.empty(); });
    if (loops_.empty()) return;
    run_one(lock, *loops_.front());
  }
}

}  // namespace fp8
