// tr(E H Eᵀ) = Σ_ij e_ij y_ji with y = H Eᵀ; tiles of 64 × 64, one part each.
#include "check.h"
#include "objective.h"
#include "reduce.cuh"

namespace fp8::cuda {

namespace {

constexpr int tile = 64;
constexpr int threads = 256;
constexpr int lines = threads / tile;

__global__ void inner_products_kernel(const __half* __restrict__ high, const __half* __restrict__ low, std::int64_t leading,
                                      const float* __restrict__ y, std::int64_t y_leading, std::int64_t rows, std::int64_t columns,
                                      double* __restrict__ parts) {
  __shared__ float values[tile][tile + 1];
  __shared__ double scratch[threads / 32];
  const int x = static_cast<int>(threadIdx.x) % tile;
  const int line = static_cast<int>(threadIdx.x) / tile;
  const std::int64_t first_column = static_cast<std::int64_t>(blockIdx.x) * tile;
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.y) * tile;
#pragma unroll 4
  for (int i = line; i < tile; i += lines) {
    const std::int64_t row = first_row + i;
    const std::int64_t column = first_column + x;
    const bool inside = row < rows && column < columns;
    values[i][x] = inside ? __half2float(high[row * leading + column]) + __half2float(low[row * leading + column]) : 0.0F;
  }
  __syncthreads();
  double sum = 0;
#pragma unroll 4
  for (int i = line; i < tile; i += lines) {
    const std::int64_t column = first_column + i;
    const std::int64_t row = first_row + x;
    if (row < rows && column < columns) sum += static_cast<double>(values[x][i]) * static_cast<double>(y[column * y_leading + row]);
  }
  const double total = block_sum<threads>(sum, scratch);
  if (threadIdx.x == 0) parts[static_cast<std::int64_t>(blockIdx.y) * gridDim.x + blockIdx.x] = total;
}

__global__ void sum_kernel(const double* __restrict__ values, std::int64_t count, double* sum) {
  __shared__ double scratch[32];
  double part = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += 1024) part += values[i];
  const double total = block_sum<1024>(part, scratch);
  if (threadIdx.x == 0) *sum = total;
}

std::int64_t tiles(std::int64_t size) { return (size + tile - 1) / tile; }

}  // namespace

std::int64_t inner_product_parts(std::int64_t rows, std::int64_t columns) { return tiles(rows) * tiles(columns); }

void inner_products(const __half* high, const __half* low, std::int64_t leading, const float* y, std::int64_t y_leading, std::int64_t rows,
                    std::int64_t columns, double* parts, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(tiles(columns)), static_cast<unsigned>(tiles(rows)));
  inner_products_kernel<<<grid, threads, 0, stream>>>(high, low, leading, y, y_leading, rows, columns, parts);
  check_launch("inner_products");
}

void sum_in_order(const double* values, std::int64_t count, double* sum, cudaStream_t stream) {
  sum_kernel<<<1, 1024, 0, stream>>>(values, count, sum);
  check_launch("sum_in_order");
}

}  // namespace fp8::cuda
