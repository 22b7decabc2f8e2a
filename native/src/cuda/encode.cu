// code = nearest of w / s on the grid, ties to even, saturating; Σ (q − w/s)², Σ (w/s)² in a fixed order.
#include <type_traits>

#include "check.h"
#include "code_target.cuh"
#include "encode.h"
#include "reduce.cuh"
#include "source.cuh"

namespace fp8::cuda {

namespace {

constexpr int threads = 256;
constexpr int elements_per_thread = 32;
constexpr int elements_per_block = threads * elements_per_thread;

// Where the elements of one thread are, `threads` apart in the order of memory.
template <typename Codes>
class Walk {
 public:
  __device__ Walk(const Codes&, std::int64_t, std::int64_t) {}
  __device__ static float scale() { return 1.0F; }
  __device__ static void step() {}
};

template <>
class Walk<ScaledCodes> {
 public:
  __device__ Walk(const ScaledCodes& codes, std::int64_t index, std::int64_t columns)
      : codes_(codes),
        columns_(static_cast<int>(columns)),
        row_(static_cast<int>(index / columns)),
        column_(static_cast<int>(index % columns)),
        rows_a_step_(threads / columns_),
        columns_a_step_(threads % columns_) {}
  __device__ float scale() const { return codes_.scale_of_source_column(column_, codes_.block_of_row(row_)); }
  __device__ void step() {
    row_ += rows_a_step_;
    column_ += columns_a_step_;
    if (column_ >= columns_) {
      column_ -= columns_;
      ++row_;
    }
  }

 private:
  const ScaledCodes& codes_;
  int columns_;
  int row_;
  int column_;
  int rows_a_step_;
  int columns_a_step_;
};

// nearest keeps the sign of a zero.
template <typename Codes>
__device__ inline std::uint8_t nearest_code(const Codes& target, float value) {
  return static_cast<std::uint8_t>((target.code_of(target.nearest_of_quotient(value)) & 0x7FU) | (__float_as_uint(value) >> 24 & 0x80U));
}

template <SourceDtype dtype, bool given, typename Codes>
__global__ void codes_kernel(const typename Source<dtype>::Bits* __restrict__ source, std::int64_t count, std::int64_t columns, float unit,
                             const Codes target, std::uint8_t* __restrict__ codes, double* __restrict__ parts, CodeSums* sums) {
  __shared__ double scratch[threads / 32];
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * elements_per_block;
  Walk<Codes> walk(target, first + threadIdx.x, columns);
  float squared_error = 0;
  float squared_value = 0;
  unsigned changed = 0;
#pragma unroll 8
  for (int i = 0; i < elements_per_thread; ++i) {
    const std::int64_t index = first + i * threads + threadIdx.x;
    if (index >= count) break;
    const float scale = walk.scale();
    const float value = Source<dtype>::decode(source[index]) / (unit * scale);
    const std::uint8_t nearest = nearest_code(target, value);
    std::uint8_t code = nearest;
    if constexpr (given) {
      code = codes[index];
      if ((code & 0x7FU) == 0) code = static_cast<std::uint8_t>(__float_as_uint(value) >> 24 & 0x80U);
      changed += code != nearest;
    }
    codes[index] = target.stored(code);
    const float error = (target.value_of(code) - value) * scale;
    squared_error += error * error;
    squared_value += value * scale * (value * scale);
    walk.step();
  }
  const double error_sum = block_sum<threads>(static_cast<double>(squared_error), scratch);
  const double value_sum = block_sum<threads>(static_cast<double>(squared_value), scratch);
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = error_sum;
    parts[gridDim.x + blockIdx.x] = value_sum;
  }
  if constexpr (given) {
    for (int offset = 16; offset > 0; offset /= 2) changed += __shfl_down_sync(0xFFFFFFFFU, changed, offset);
    if (threadIdx.x % 32 == 0 && changed != 0) {
      atomicAdd(reinterpret_cast<unsigned long long*>(&sums->changed), static_cast<unsigned long long>(changed));
    }
  }
}

__global__ void totals_kernel(const double* __restrict__ parts, std::int64_t count, CodeSums* sums) {
  __shared__ double scratch[32];
  double error = 0;
  double value = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += 1024) {
    error += parts[i];
    value += parts[count + i];
  }
  const double error_sum = block_sum<1024>(error, scratch);
  const double value_sum = block_sum<1024>(value, scratch);
  if (threadIdx.x == 0) {
    sums->squared_error = error_sum;
    sums->squared_value = value_sum;
  }
}

std::int64_t blocks_of(std::int64_t count) { return (count + elements_per_block - 1) / elements_per_block; }

template <bool given>
void launch(const EncodeSource& source, std::uint8_t* codes, double* scratch, CodeSums* sums, cudaStream_t stream) {
  check(cudaMemsetAsync(sums, 0, sizeof(CodeSums), stream), "cudaMemsetAsync");
  const std::int64_t count = source.rows * source.columns;
  const std::int64_t blocks = blocks_of(count);
  with_dtype(source.dtype, [&]<SourceDtype d>() {
    with_codes(source.target, [&](const auto& target) {
      using Codes = std::decay_t<decltype(target)>;
      codes_kernel<d, given, Codes><<<static_cast<unsigned>(blocks), threads, 0, stream>>>(
          static_cast<const typename Source<d>::Bits*>(source.data), count, source.columns, source.scale, target, codes, scratch, sums);
    });
  });
  totals_kernel<<<1, 1024, 0, stream>>>(scratch, blocks, sums);
  check_launch("encode");
}

}  // namespace

std::int64_t encode_scratch(std::int64_t count) { return 2 * blocks_of(count); }

void encode_nearest(const EncodeSource& source, std::uint8_t* codes, double* scratch, CodeSums* sums, cudaStream_t stream) {
  launch<false>(source, codes, scratch, sums, stream);
}

void finish_codes(const EncodeSource& source, std::uint8_t* codes, double* scratch, CodeSums* sums, cudaStream_t stream) {
  launch<true>(source, codes, scratch, sums, stream);
}

}  // namespace fp8::cuda
