// WorkQueue: items for a few threads, first in, first out.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace fp8::cuda {

template <typename Item>
class WorkQueue {
 public:
  void push(Item item) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      items_.push_back(std::move(item));
    }
    changed_.notify_one();
  }

  // No more items will come.
  void close() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
  }

  // Nothing when the queue is closed and empty, or after a stop request.
  std::optional<Item> pop(const std::stop_token& stop) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, stop, [&] { return closed_ || !items_.empty(); });
    if (stop.stop_requested() || items_.empty()) return std::nullopt;
    Item item = std::move(items_.front());
    items_.pop_front();
    return item;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Item> items_;
  bool closed_ = false;
};

}  // namespace fp8::cuda
