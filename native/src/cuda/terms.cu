// One thread a value; no two threads add to the same entry.
#include "check.h"
#include "reduce.cuh"
#include "source.cuh"
#include "terms.h"

namespace fp8::cuda {

namespace {

constexpr int threads = 256;

unsigned blocks_of(std::int64_t count) { return static_cast<unsigned>((count + threads - 1) / threads); }

template <SourceDtype dtype>
__global__ void diagonal_kernel(const typename Source<dtype>::Bits* __restrict__ chunk, int first_row, int rows, int size,
                                double* __restrict__ values) {
  const int row = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (row >= rows) return;
  values[first_row + row] = static_cast<double>(Source<dtype>::decode(chunk[static_cast<std::int64_t>(row) * size + first_row + row]));
}

template <SourceDtype dtype>
__global__ void widen_kernel(const typename Source<dtype>::Bits* __restrict__ chunk, int size, double* __restrict__ values) {
  const int index = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (index < size) values[index] = static_cast<double>(Source<dtype>::decode(chunk[index]));
}

__global__ void add_scaled_kernel(const double* __restrict__ in, std::int64_t count, double factor, double beta, double* __restrict__ out) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index < count) out[index] = factor * in[index] + (beta == 0 ? 0.0 : beta * out[index]);
}

__global__ void summarise_kernel(const double* __restrict__ values, std::int64_t count, DiagonalSummary* summary) {
  __shared__ double scratch[32];
  __shared__ double largest_of_warp[32];
  double sum = 0;
  double largest = 0;
  unsigned long long non_finite = 0;
  unsigned long long negative = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += 1024) {
    const double value = values[i];
    if (!isfinite(value)) {
      ++non_finite;
    } else {
      negative += value < 0;
      sum += value;
      largest = fmax(largest, value);
    }
  }
  const double total = block_sum<1024>(sum, scratch);
  if (non_finite != 0) atomicAdd(reinterpret_cast<unsigned long long*>(&summary->non_finite), non_finite);
  if (negative != 0) atomicAdd(reinterpret_cast<unsigned long long*>(&summary->negative), negative);
  for (int offset = 16; offset > 0; offset /= 2) largest = fmax(largest, __shfl_down_sync(0xFFFFFFFFU, largest, offset));
  if (threadIdx.x % 32 == 0) largest_of_warp[threadIdx.x / 32] = largest;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 0; i < 32; ++i) largest = fmax(largest, largest_of_warp[i]);
    summary->sum = total;
    summary->largest = largest;
  }
}

// A block has a row of the chunk.
template <SourceDtype dtype>
__global__ void add_moment_kernel(const typename Source<dtype>::Bits* __restrict__ chunk, int first_row, int size, float factor,
                                  const std::int32_t* __restrict__ position, SquareWindow window) {
  const int row = first_row + static_cast<int>(blockIdx.x);
  const int to_row = position == nullptr ? row : position[row];
  if (to_row < window.first || to_row >= window.first + window.rows) return;
  const auto* values = chunk + static_cast<std::int64_t>(blockIdx.x) * size;
  float* out = window.data + (to_row - window.first) * window.leading;
  for (int column = static_cast<int>(threadIdx.x); column < size; column += threads) {
    const int to_column = position == nullptr ? column : position[column];
    if (!window.lower || to_column <= to_row) out[to_column] += factor * Source<dtype>::decode(values[column]);
  }
}

__global__ void add_diagonal_kernel(const double* __restrict__ values, int size, double factor, const std::int32_t* __restrict__ position,
                                    SquareWindow window) {
  const int index = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  if (index >= size) return;
  const int to = position == nullptr ? index : position[index];
  if (to < window.first || to >= window.first + window.rows) return;
  window.data[(to - window.first) * window.leading + to] += static_cast<float>(factor * values[index]);
}

}  // namespace

void diagonal_of_moment(const TermChunk& chunk, double* values, cudaStream_t stream) {
  with_dtype(chunk.dtype, [&]<SourceDtype d>() {
    diagonal_kernel<d><<<blocks_of(chunk.rows), threads, 0, stream>>>(static_cast<const typename Source<d>::Bits*>(chunk.data),
                                                                      chunk.first_row, chunk.rows, chunk.size, values);
  });
  check_launch("diagonal_of_moment");
}

void widen(const TermChunk& chunk, double* values, cudaStream_t stream) {
  with_dtype(chunk.dtype, [&]<SourceDtype d>() {
    widen_kernel<d>
        <<<blocks_of(chunk.size), threads, 0, stream>>>(static_cast<const typename Source<d>::Bits*>(chunk.data), chunk.size, values);
  });
  check_launch("widen");
}

void add_scaled(const double* in, std::int64_t count, double factor, double beta, double* out, cudaStream_t stream) {
  add_scaled_kernel<<<blocks_of(count), threads, 0, stream>>>(in, count, factor, beta, out);
  check_launch("add_scaled");
}

void summarise_diagonal(const double* values, std::int64_t count, DiagonalSummary* summary, cudaStream_t stream) {
  check(cudaMemsetAsync(summary, 0, sizeof(DiagonalSummary), stream), "cudaMemsetAsync");
  summarise_kernel<<<1, 1024, 0, stream>>>(values, count, summary);
  check_launch("summarise_diagonal");
}

void add_moment(const TermChunk& chunk, float factor, const std::int32_t* position, const SquareWindow& window, cudaStream_t stream) {
  with_dtype(chunk.dtype, [&]<SourceDtype d>() {
    add_moment_kernel<d><<<static_cast<unsigned>(chunk.rows), threads, 0, stream>>>(
        static_cast<const typename Source<d>::Bits*>(chunk.data), chunk.first_row, chunk.size, factor, position, window);
  });
  check_launch("add_moment");
}

void add_diagonal(const double* values, int size, double factor, const std::int32_t* position, const SquareWindow& window,
                  cudaStream_t stream) {
  add_diagonal_kernel<<<blocks_of(size), threads, 0, stream>>>(values, size, factor, position, window);
  check_launch("add_diagonal");
}

}  // namespace fp8::cuda
