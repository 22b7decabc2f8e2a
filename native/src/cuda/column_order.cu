// position(c) = #{ c' : d(c') < d(c), or d(c') = d(c) and c' > c }
#include "check.h"
#include "column_order.h"

namespace fp8::cuda {

namespace {

constexpr int threads = 256;

__global__ void column_order_kernel(const double* __restrict__ squares, int columns, std::int32_t* __restrict__ position_of_column) {
  // Doubles that are not negative compare as their bits do.
  __shared__ long long other[threads];
  const int column = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  const long long own = column < columns ? __double_as_longlong(squares[column]) : 0;
  int position = 0;
  for (int first = 0; first < columns; first += threads) {
    const int index = first + static_cast<int>(threadIdx.x);
    other[threadIdx.x] = index < columns ? __double_as_longlong(squares[index]) : 0x7FFFFFFFFFFFFFFFLL;
    __syncthreads();
    const int count = min(threads, columns - first);
#pragma unroll 8
    for (int i = 0; i < count; ++i) position += other[i] < own || (other[i] == own && first + i > column);
    __syncthreads();
  }
  if (column < columns) position_of_column[column] = position;
}

}  // namespace

void column_order(const double* squares, std::int64_t columns, std::int32_t* position_of_column, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((columns + threads - 1) / threads);
  column_order_kernel<<<blocks, threads, 0, stream>>>(squares, static_cast<int>(columns), position_of_column);
  check_launch("column_order");
}

}  // namespace fp8::cuda
