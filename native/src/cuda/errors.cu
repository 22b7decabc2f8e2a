// E_ij = q_ij − w_ij / s, transposed through shared memory.
#include <type_traits>

#include "check.h"
#include "code_target.cuh"
#include "errors.h"
#include "source.cuh"
#include "split.cuh"

namespace fp8::cuda {

namespace {

constexpr int tile = 64;
constexpr int threads = 256;
constexpr int lines = threads / tile;

template <SourceDtype dtype, typename Codes>
__global__ void split_errors_kernel(const typename Source<dtype>::Bits* __restrict__ w, std::int64_t w_leading, std::int64_t rows,
                                    std::int64_t columns, float unit, const Codes target, const std::uint8_t* __restrict__ codes,
                                    std::int64_t codes_leading, __half* __restrict__ high, __half* __restrict__ low, std::int64_t leading) {
  __shared__ float values[tile][tile + 1];
  const int x = static_cast<int>(threadIdx.x) % tile;
  const int y = static_cast<int>(threadIdx.x) / tile;
  const std::int64_t first_column = static_cast<std::int64_t>(blockIdx.x) * tile;
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.y) * tile;
  const int block_row = target.block_of_row(static_cast<int>(first_row) + x);
#pragma unroll 4
  for (int i = y; i < tile; i += lines) {
    const std::int64_t column = first_column + i;
    const std::int64_t row = first_row + x;
    float error = 0;
    if (column < columns && row < rows) {
      const float value = Source<dtype>::decode(w[column * w_leading + row]) / unit;
      const float scale = target.scale_at(static_cast<int>(column), block_row);
      const float grid_value =
          codes == nullptr ? target.nearest_of_quotient(value / scale) : target.value_of(codes[column * codes_leading + row]);
      error = grid_value * scale - value;
    }
    values[i][x] = error;
  }
  __syncthreads();
#pragma unroll 4
  for (int i = y; i < tile; i += lines) {
    const std::int64_t row = first_row + i;
    const std::int64_t column = first_column + x;
    if (row >= rows || column >= columns) continue;
    const Split parts = split(values[x][i]);
    high[row * leading + column] = parts.high;
    low[row * leading + column] = parts.low;
  }
}

}  // namespace

void split_errors(const ColumnMatrix& w, const std::uint8_t* codes, std::int64_t codes_leading, __half* high, __half* low,
                  std::int64_t leading, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((w.columns + tile - 1) / tile), static_cast<unsigned>((w.rows + tile - 1) / tile));
  with_dtype(w.dtype, [&]<SourceDtype dtype>() {
    with_codes(codes == nullptr ? w.nearest : w.target, [&](const auto& target) {
      using Codes = std::decay_t<decltype(target)>;
      split_errors_kernel<dtype, Codes><<<grid, threads, 0, stream>>>(static_cast<const typename Source<dtype>::Bits*>(w.data), w.leading,
                                                                      w.rows, w.columns, w.scale, target, codes, codes_leading, high, low,
                                                                      leading);
    });
  });
  check_launch("split_errors");
}

}  // namespace fp8::cuda
