// Transfers between files and device memory, in chunks through pinned buffers, on threads of their own: while one chunk is read from the
// disk, another crosses PCIe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/file_range.h"
#include "resources.h"
#include "work_queue.h"

namespace fp8::cuda {

inline constexpr std::size_t transfer_chunk_bytes = std::size_t{4} << 20;

// Called with the exception that a transfer ended in. Must request the stop of the token that the threads were given.
using FailureHandler = std::function<void(std::exception_ptr)>;

// Counts what is still to be done.
class Countdown {
 public:
  explicit Countdown(std::size_t count) : left_(count) {}
  // True for the call that takes the last.
  bool count_down() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--left_ > 0) return false;
    changed_.notify_all();
    return true;
  }
  // False after a stop request.
  bool wait(const std::stop_token& stop) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait(lock, stop, [&] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::size_t left_;
};

// Files → device.
class Uploader {
 public:
  Uploader(int ordinal, std::size_t threads, std::stop_token stop, FailureHandler on_failure);
  ~Uploader();

  // Reads `bytes` from `offset` to `destination`. When the countdown is over, work enqueued on `stream` sees the data.
  void upload(const File& file, std::uint64_t offset, std::uint64_t bytes, void* destination, cudaStream_t stream,
              const std::string& tensor, const std::shared_ptr<Countdown>& done);
  static std::size_t chunks(std::uint64_t bytes) {
    return static_cast<std::size_t>((bytes + transfer_chunk_bytes - 1) / transfer_chunk_bytes);
  }

 private:
  struct Chunk {
    const File* file;
    std::uint64_t offset;
    std::size_t bytes;
    std::byte* destination;
    cudaStream_t stream;
    const std::string* tensor;
    std::shared_ptr<Countdown> done;
  };
  void work(int ordinal);

  const std::stop_token stop_;
  const FailureHandler on_failure_;
  WorkQueue<Chunk> queue_;
  std::vector<std::jthread> threads_;
};

// Device → file, and whatever else writes.
class Downloader {
 public:
  Downloader(int ordinal, std::size_t threads, std::stop_token stop, FailureHandler on_failure);
  ~Downloader();

  // Writes `bytes` of device memory, complete by now, at `offset`. `written` is called after each chunk, on any thread.
  void download(const void* source, std::uint64_t bytes, const File& file, std::uint64_t offset, const std::string& tensor,
                const std::function<void()>& written);
  // Runs on one of the threads.
  void run(std::function<void()> job) { queue_.push({.job = std::move(job)}); }
  // Returns when everything is done, or stopped.
  void finish();

 private:
  struct Item {
    const std::byte* source = nullptr;
    std::size_t bytes = 0;
    const File* file = nullptr;
    std::uint64_t offset = 0;
    const std::string* tensor = nullptr;
    std::function<void()> job;  // after the transfer, where there is one
  };
  void work(int ordinal);

  const std::stop_token stop_;
  const FailureHandler on_failure_;
  WorkQueue<Item> queue_;
  std::vector<std::jthread> threads_;
};

}  // namespace fp8::cuda
