// HostRows: rows that threads of the CPU make (decoded, drawn), on their way to the device through two pinned buffers: while one crosses
// PCIe, the other is filled.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>

#include "core/thread_pool.h"
#include "resources.h"

namespace fp8::cuda {

class HostRows {
 public:
  // For rows of up to `widest` values.
  HostRows(ThreadPool& pool, cudaStream_t stream, std::stop_token stop, std::int64_t widest);
  // Waits for what is on its way.
  ~HostRows();
  HostRows(const HostRows&) = delete;
  HostRows& operator=(const HostRows&) = delete;

  // fill(row, values) makes one of `rows` rows of `width` values, on any thread; they go to `to`, `leading` elements apart, for work that
  // is enqueued from now on. Throws what fill throws, or Cancelled.
  void upload(std::int64_t rows, std::int64_t width, float* to, std::int64_t leading,
              const std::function<void(std::int64_t row, std::span<float> values)>& fill);

 private:
  struct Piece {
    explicit Piece(std::size_t bytes) : buffer(bytes) {}
    PinnedBuffer buffer;
    Event copied;
  };

  ThreadPool& pool_;
  cudaStream_t stream_;
  const std::stop_token stop_;
  const std::int64_t capacity_;  // in values
  std::unique_ptr<Piece> pieces_[2];
  int turn_ = 0;
};

}  // namespace fp8::cuda
