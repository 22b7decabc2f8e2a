// H_ij = g_ij · factor + damping · [i = j]; tiles of 32 × 32 of the lower triangle, mirrored through shared memory.
#include <cmath>

#include "check.h"
#include "hessian.h"
#include "split.cuh"

namespace fp8::cuda {

namespace {

constexpr int tile = 32;
constexpr int lines = 8;

template <bool write_square, bool write_low>
__global__ void hessian_kernel(float* __restrict__ square, std::int64_t leading, int size, float factor, float damping,
                               SplitMatrix split_matrix, float* __restrict__ diagonal) {
  if (blockIdx.x > blockIdx.y) return;
  __shared__ float values[tile][tile + 1];
  const int first_row = static_cast<int>(blockIdx.y) * tile;
  const int first_column = static_cast<int>(blockIdx.x) * tile;
  const int x = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int y = static_cast<int>(threadIdx.y); y < tile; y += lines) {
    const int row = first_row + y;
    const int column = first_column + x;
    float value = 0;
    if (row < size && column <= row) {
      value = square[row * leading + column] * factor + (row == column ? damping : 0.0F);
      if constexpr (write_square) square[row * leading + column] = value;
      if (row == column) diagonal[row] = value;
    }
    values[y][x] = value;
  }
  __syncthreads();
  const auto store = [&](int row, int column, float value) {
    const Split parts = split(value * split_matrix.scale);
    split_matrix.high[row * split_matrix.leading + column] = parts.high;
    if constexpr (write_low) split_matrix.low[row * split_matrix.leading + column] = parts.low;
  };
#pragma unroll
  for (int y = static_cast<int>(threadIdx.y); y < tile; y += lines) {
    const bool on_diagonal = blockIdx.x == blockIdx.y;
    if (first_row + y < size && first_column + x < size) {
      store(first_row + y, first_column + x, on_diagonal && x > y ? values[x][y] : values[y][x]);
    }
    if (!on_diagonal && first_column + y < size && first_row + x < size) store(first_column + y, first_row + x, values[x][y]);
  }
}

dim3 grid_of(int size) {
  const auto tiles = static_cast<unsigned>((size + tile - 1) / tile);
  return {tiles, tiles};
}

}  // namespace

float split_scale(double largest) { return largest > 0 ? static_cast<float>(std::exp2(14 - std::ceil(std::log2(largest)))) : 1.0F; }

void normalise_hessian(float* square, std::int64_t leading, int size, float factor, float damping, const SplitMatrix& split,
                       float* diagonal, cudaStream_t stream) {
  hessian_kernel<true, true><<<grid_of(size), dim3(tile, lines), 0, stream>>>(square, leading, size, factor, damping, split, diagonal);
  check_launch("normalise_hessian");
}

void split_symmetric(const float* square, std::int64_t leading, int size, const SplitMatrix& split, float* diagonal, cudaStream_t stream) {
  hessian_kernel<false, false>
      <<<grid_of(size), dim3(tile, lines), 0, stream>>>(const_cast<float*>(square), leading, size, 1.0F, 0.0F, split, diagonal);
  check_launch("split_symmetric");
}

}  // namespace fp8::cuda
