// What the sweeps of a tile are given, and what they leave: halves of products, of weights and of the outputs' statistics.
#include <algorithm>

#include "check.h"
#include "coupled_products.h"
#include "source.cuh"
#include "split.cuh"

namespace fp8::cuda {

namespace {

__device__ inline float kept_finite(float value) { return fminf(fmaxf(value, -65504.0F), 65504.0F); }

template <bool two>
__global__ void products_kernel(const float* __restrict__ in, std::int64_t in_leading, std::int64_t count, float factor,
                                __half* __restrict__ high, __half* __restrict__ low, std::int64_t out_leading) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= count) return;
  const std::int64_t line = blockIdx.y;
  const float value = kept_finite(in[line * in_leading + index] * factor);
  if constexpr (two) {
    const Split parts = split(value);
    high[line * out_leading + index] = parts.high;
    low[line * out_leading + index] = parts.low;
  } else {
    high[line * out_leading + index] = __float2half_rn(value);
  }
}

template <SourceDtype dtype>
__global__ void halves_by_rows_kernel(const typename Source<dtype>::Bits* __restrict__ in, std::int64_t columns, float factor,
                                      __half* __restrict__ out, std::int64_t out_leading) {
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (column >= out_leading) return;
  const std::int64_t row = blockIdx.y;
  out[row * out_leading + column] =
      column < columns ? __float2half_rn(Source<dtype>::decode(in[row * columns + column]) * factor) : __half{};
}

__global__ void finish_rows_kernel(const float* __restrict__ square, std::int64_t square_leading, int first, int size, float damping,
                                   float scale, __half* __restrict__ high, __half* __restrict__ low, std::int64_t leading,
                                   float* __restrict__ diagonal) {
  const int column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (column >= leading) return;
  const int row = first + static_cast<int>(blockIdx.y);
  float value = column < size ? square[blockIdx.y * square_leading + column] : 0.0F;
  if (row == column) {
    value += damping;
    diagonal[row] = value;
  }
  const Split parts = split(value * scale);
  high[row * leading + column] = parts.high;
  low[row * leading + column] = parts.low;
}

constexpr int line_threads = 256;
// Of a launch's second dimension.
constexpr std::int64_t most_lines = 65535;

// launch(first, lines, grid) for all lines of `count` elements.
template <typename Launch>
void for_lines(std::int64_t lines, std::int64_t count, Launch launch) {
  for (std::int64_t first = 0; first < lines; first += most_lines) {
    const std::int64_t now = std::min(most_lines, lines - first);
    launch(first, dim3(static_cast<unsigned>((count + line_threads - 1) / line_threads), static_cast<unsigned>(now)));
  }
}

}  // namespace

void store_products(const float* in, std::int64_t in_leading, std::int64_t columns, std::int64_t count, float factor, __half* out,
                    std::int64_t out_leading, cudaStream_t stream) {
  for_lines(columns, count, [&](std::int64_t first, dim3 grid) {
    products_kernel<false><<<grid, line_threads, 0, stream>>>(in + first * in_leading, in_leading, count, factor, out + first * out_leading,
                                                              nullptr, out_leading);
  });
  check_launch("store_products");
}

void split_products(const float* in, std::int64_t in_leading, std::int64_t columns, std::int64_t count, float factor, __half* high,
                    __half* low, std::int64_t out_leading, cudaStream_t stream) {
  for_lines(columns, count, [&](std::int64_t first, dim3 grid) {
    products_kernel<true><<<grid, line_threads, 0, stream>>>(in + first * in_leading, in_leading, count, factor, high + first * out_leading,
                                                             low + first * out_leading, out_leading);
  });
  check_launch("split_products");
}

void halves_by_rows(const void* in, SourceDtype dtype, std::int64_t rows, std::int64_t columns, float factor, __half* out,
                    std::int64_t out_leading, cudaStream_t stream) {
  with_dtype(dtype, [&]<SourceDtype d>() {
    for_lines(rows, out_leading, [&](std::int64_t first, dim3 grid) {
      halves_by_rows_kernel<d><<<grid, line_threads, 0, stream>>>(static_cast<const typename Source<d>::Bits*>(in) + first * columns,
                                                                  columns, factor, out + first * out_leading, out_leading);
    });
  });
  check_launch("halves_by_rows");
}

void finish_output_rows(const float* square, std::int64_t square_leading, int first, int rows, int size, float damping, float scale,
                        __half* high, __half* low, std::int64_t leading, float* diagonal, cudaStream_t stream) {
  for_lines(rows, leading, [&](std::int64_t begin, dim3 grid) {
    finish_rows_kernel<<<grid, line_threads, 0, stream>>>(square + begin * square_leading, square_leading, first + static_cast<int>(begin),
                                                          size, damping, scale, high, low, leading, diagonal);
  });
  check_launch("finish_output_rows");
}

}  // namespace fp8::cuda
