// Tiles of 64 × 64 elements through shared memory, so that both sides are read and written along their rows.
#include "check.h"
#include "transpose.h"

namespace fp8::cuda {

namespace {

constexpr int tile = 64;
constexpr int threads = 256;
constexpr int lines = threads / tile;

template <typename T>
__global__ void to_order_kernel(const T* __restrict__ in, std::int64_t rows, std::int64_t columns,
                                const std::int32_t* __restrict__ position_of_column, T* __restrict__ out, std::int64_t out_leading) {
  __shared__ T values[tile][tile + 4 / sizeof(T)];
  const int x = static_cast<int>(threadIdx.x) % tile;
  const int y = static_cast<int>(threadIdx.x) / tile;
  const std::int64_t first_column = static_cast<std::int64_t>(blockIdx.x) * tile;
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.y) * tile;
#pragma unroll
  for (int i = y; i < tile; i += lines) {
    const std::int64_t row = first_row + i;
    const std::int64_t column = first_column + x;
    values[i][x] = row < rows && column < columns ? in[row * columns + column] : T{0};
  }
  __syncthreads();
#pragma unroll
  for (int i = y; i < tile; i += lines) {
    const std::int64_t column = first_column + i;
    const std::int64_t row = first_row + x;
    if (column >= columns || row >= out_leading) continue;
    const std::int64_t position = position_of_column == nullptr ? column : position_of_column[column];
    out[position * out_leading + row] = values[x][i];
  }
}

__global__ void from_order_kernel(const std::uint8_t* __restrict__ in, std::int64_t in_leading, std::int64_t rows, std::int64_t columns,
                                  const std::int32_t* __restrict__ position_of_column, std::uint8_t* __restrict__ out) {
  __shared__ std::uint8_t values[tile][tile + 4];
  const int x = static_cast<int>(threadIdx.x) % tile;
  const int y = static_cast<int>(threadIdx.x) / tile;
  const std::int64_t first_column = static_cast<std::int64_t>(blockIdx.x) * tile;
  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.y) * tile;
#pragma unroll
  for (int i = y; i < tile; i += lines) {
    const std::int64_t column = first_column + i;
    const std::int64_t row = first_row + x;
    values[i][x] = column < columns && row < rows ? in[position_of_column[column] * in_leading + row] : std::uint8_t{0};
  }
  __syncthreads();
#pragma unroll
  for (int i = y; i < tile; i += lines) {
    const std::int64_t row = first_row + i;
    const std::int64_t column = first_column + x;
    if (row < rows && column < columns) out[row * columns + column] = values[x][i];
  }
}

unsigned tiles(std::int64_t size) { return static_cast<unsigned>((size + tile - 1) / tile); }

}  // namespace

void transpose_to_order(const void* in, SourceDtype dtype, std::int64_t rows, std::int64_t columns, const std::int32_t* position_of_column,
                        void* out, std::int64_t out_leading, cudaStream_t stream) {
  const dim3 grid(tiles(columns), tiles(out_leading));
  if (byte_size(dtype) == 4) {
    to_order_kernel<<<grid, threads, 0, stream>>>(static_cast<const std::uint32_t*>(in), rows, columns, position_of_column,
                                                  static_cast<std::uint32_t*>(out), out_leading);
  } else {
    to_order_kernel<<<grid, threads, 0, stream>>>(static_cast<const std::uint16_t*>(in), rows, columns, position_of_column,
                                                  static_cast<std::uint16_t*>(out), out_leading);
  }
  check_launch("transpose_to_order");
}

void transpose_from_order(const std::uint8_t* in, std::int64_t in_leading, std::int64_t rows, std::int64_t columns,
                          const std::int32_t* position_of_column, std::uint8_t* out, cudaStream_t stream) {
  const dim3 grid(tiles(columns), tiles(rows));
  from_order_kernel<<<grid, threads, 0, stream>>>(in, in_leading, rows, columns, position_of_column, out);
  check_launch("transpose_from_order");
}

}  // namespace fp8::cuda
