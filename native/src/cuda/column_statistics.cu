// amax, non-finite count and column sums of squares; see column_statistics.h. The one atomic sum is of integers.
#include "check.h"
#include "column_statistics.h"
#include "reduce.cuh"
#include "source.cuh"

namespace fp8::cuda {

namespace {

constexpr int threads = 128;
constexpr std::int64_t rows_per_block = 256;

template <SourceDtype dtype>
__global__ void partial_kernel(const typename Source<dtype>::Bits* __restrict__ source, std::int64_t rows, std::int64_t columns,
                               double* __restrict__ partial, MatrixSummary* summary) {
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * rows_per_block;
  const std::int64_t last = min(first + rows_per_block, rows);
  unsigned amax = 0;
  unsigned non_finite = 0;
  if (column < columns) {
    double sum = 0;
#pragma unroll 8
    for (std::int64_t row = first; row < last; ++row) {
      const float value = Source<dtype>::decode(source[row * columns + column]);
      const unsigned magnitude = __float_as_uint(value) & 0x7FFFFFFFU;
      if (magnitude >= 0x7F800000U) {
        ++non_finite;
      } else {
        amax = max(amax, magnitude);
        sum += static_cast<double>(value) * static_cast<double>(value);
      }
    }
    partial[blockIdx.y * columns + column] = sum;
  }
  for (int offset = 16; offset > 0; offset /= 2) amax = max(amax, __shfl_down_sync(0xFFFFFFFFU, amax, offset));
  if (threadIdx.x % 32 == 0 && amax != 0) atomicMax(&summary->amax_bits, amax);
  if (non_finite != 0) atomicAdd(reinterpret_cast<unsigned long long*>(&summary->non_finite), static_cast<unsigned long long>(non_finite));
}

__global__ void columns_kernel(const double* __restrict__ partial, std::int64_t blocks, std::int64_t columns,
                               double* __restrict__ squares) {
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (column >= columns) return;
  double sum = 0;
#pragma unroll 8
  for (std::int64_t block = 0; block < blocks; ++block) sum += partial[block * columns + column];
  squares[column] = sum;
}

__global__ void total_kernel(const double* __restrict__ squares, std::int64_t columns, MatrixSummary* summary) {
  __shared__ double scratch[32];
  __shared__ double largest_of_warp[32];
  double sum = 0;
  double largest = 0;
  for (std::int64_t column = threadIdx.x; column < columns; column += 1024) {
    sum += squares[column];
    largest = fmax(largest, squares[column]);
  }
  const double total = block_sum<1024>(sum, scratch);
  for (int offset = 16; offset > 0; offset /= 2) largest = fmax(largest, __shfl_down_sync(0xFFFFFFFFU, largest, offset));
  if (threadIdx.x % 32 == 0) largest_of_warp[threadIdx.x / 32] = largest;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 0; i < 32; ++i) largest = fmax(largest, largest_of_warp[i]);
    summary->sum_of_squares = total;
    summary->largest_column = largest;
  }
}

std::int64_t row_blocks(std::int64_t rows) { return (rows + rows_per_block - 1) / rows_per_block; }

}  // namespace

std::int64_t column_statistics_scratch(std::int64_t rows, std::int64_t columns) { return row_blocks(rows) * columns; }

void column_statistics(const void* source, SourceDtype dtype, std::int64_t rows, std::int64_t columns, double* partial, double* squares,
                       MatrixSummary* summary, cudaStream_t stream) {
  check(cudaMemsetAsync(summary, 0, sizeof(MatrixSummary), stream), "cudaMemsetAsync");
  const auto column_blocks = static_cast<unsigned>((columns + threads - 1) / threads);
  const dim3 grid(column_blocks, static_cast<unsigned>(row_blocks(rows)));
  with_dtype(dtype, [&]<SourceDtype d>() {
    partial_kernel<d><<<grid, threads, 0, stream>>>(static_cast<const typename Source<d>::Bits*>(source), rows, columns, partial, summary);
  });
  columns_kernel<<<column_blocks, threads, 0, stream>>>(partial, row_blocks(rows), columns, squares);
  total_kernel<<<1, 1024, 0, stream>>>(squares, columns, summary);
  check_launch("column_statistics");
}

}  // namespace fp8::cuda
