#include "host_rows.h"

#include <algorithm>
#include <utility>

namespace fp8::cuda {

namespace {

constexpr std::int64_t piece_values = std::int64_t{4} << 20;
// Rows that one thread makes at a time have about this many values.
constexpr std::int64_t block_values = std::int64_t{1} << 16;

}  // namespace

HostRows::HostRows(ThreadPool& pool, cudaStream_t stream, std::stop_token stop, std::int64_t widest)
    : pool_(pool), stream_(stream), stop_(std::move(stop)), capacity_(std::max(piece_values, widest)) {}

HostRows::~HostRows() {
  for (const std::unique_ptr<Piece>& piece : pieces_) {
    if (piece) (void)cudaEventSynchronize(piece->copied.get());
  }
}

void HostRows::upload(std::int64_t rows, std::int64_t width, float* to, std::int64_t leading,
                      const std::function<void(std::int64_t row, std::span<float> values)>& fill) {
  const std::int64_t rows_of_piece = std::max<std::int64_t>(1, capacity_ / width);
  const std::int64_t rows_of_block = std::max<std::int64_t>(1, block_values / width);
  for (std::int64_t first = 0; first < rows; first += rows_of_piece) {
    const std::int64_t count = std::min(rows_of_piece, rows - first);
    std::unique_ptr<Piece>& piece = pieces_[turn_];
    turn_ ^= 1;
    // Pinning takes time: what is small needs one buffer at most.
    if (!piece) piece = std::make_unique<Piece>(static_cast<std::size_t>(capacity_) * sizeof(float));
    check(cudaEventSynchronize(piece->copied.get()), "copying to the GPU");
    auto* values = reinterpret_cast<float*>(piece->buffer.data());
    pool_.parallel_for(static_cast<std::size_t>((count + rows_of_block - 1) / rows_of_block), stop_, [&](std::size_t block) {
      const std::int64_t begin = static_cast<std::int64_t>(block) * rows_of_block;
      const std::int64_t end = std::min(count, begin + rows_of_block);
      for (std::int64_t row = begin; row < end; ++row) fill(first + row, {values + row * width, static_cast<std::size_t>(width)});
    });
    const auto row_bytes = static_cast<std::size_t>(width) * sizeof(float);
    check(cudaMemcpy2DAsync(to + first * leading, static_cast<std::size_t>(leading) * sizeof(float), values, row_bytes, row_bytes,
                            static_cast<std::size_t>(count), cudaMemcpyHostToDevice, stream_),
          "copying to the GPU");
    check(cudaEventRecord(piece->copied.get(), stream_), "cudaEventRecord");
  }
}

}  // namespace fp8::cuda
