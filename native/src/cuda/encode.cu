// code = nearest E4M3 of w / s, ties to even, saturating; Σ (q − w/s)², Σ (w/s)² in a fixed order.
#include "check.h"
#include "encode.h"
#include "grid.cuh"
#include "reduce.cuh"
#include "source.cuh"

namespace fp8::cuda {

namespace {

constexpr int threads = 256;
constexpr int elements_per_thread = 32;
constexpr int elements_per_block = threads * elements_per_thread;

// nearest keeps the sign of a zero.
__device__ inline std::uint8_t nearest_code(float value) {
  return static_cast<std::uint8_t>((code_of_grid_value(round_to_grid(value)) & 0x7FU) | (__float_as_uint(value) >> 24 & 0x80U));
}

template <SourceDtype dtype, bool given>
__global__ void codes_kernel(const typename Source<dtype>::Bits* __restrict__ source, std::int64_t count, float scale,
                             std::uint8_t* __restrict__ codes, double* __restrict__ parts, CodeSums* sums) {
  __shared__ double scratch[threads / 32];
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * elements_per_block;
  float squared_error = 0;
  float squared_value = 0;
  unsigned changed = 0;
#pragma unroll 8
  for (int i = 0; i < elements_per_thread; ++i) {
    const std::int64_t index = first + i * threads + threadIdx.x;
    if (index >= count) break;
    const float value = Source<dtype>::decode(source[index]) / scale;
    const std::uint8_t nearest = nearest_code(value);
    std::uint8_t code = nearest;
    if constexpr (given) {
      code = codes[index];
      if ((code & 0x7FU) == 0) code = static_cast<std::uint8_t>(__float_as_uint(value) >> 24 & 0x80U);
      changed += code != nearest;
    }
    codes[index] = code;
    const float error = grid_value_of_code(code) - value;
    squared_error += error * error;
    squared_value += value * value;
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
void launch(const void* source, SourceDtype dtype, std::int64_t count, float scale, std::uint8_t* codes, double* scratch, CodeSums* sums,
            cudaStream_t stream) {
  check(cudaMemsetAsync(sums, 0, sizeof(CodeSums), stream), "cudaMemsetAsync");
  const std::int64_t blocks = blocks_of(count);
  with_dtype(dtype, [&]<SourceDtype d>() {
    codes_kernel<d, given><<<static_cast<unsigned>(blocks), threads, 0, stream>>>(static_cast<const typename Source<d>::Bits*>(source),
                                                                                  count, scale, codes, scratch, sums);
  });
  totals_kernel<<<1, 1024, 0, stream>>>(scratch, blocks, sums);
  check_launch("encode");
}

}  // namespace

std::int64_t encode_scratch(std::int64_t count) { return 2 * blocks_of(count); }

void encode_nearest(const void* source, SourceDtype dtype, std::int64_t count, float scale, std::uint8_t* codes, double* scratch,
                    CodeSums* sums, cudaStream_t stream) {
  launch<false>(source, dtype, count, scale, codes, scratch, sums, stream);
}

void finish_codes(const void* source, SourceDtype dtype, std::int64_t count, float scale, std::uint8_t* codes, double* scratch,
                  CodeSums* sums, cudaStream_t stream) {
  launch<true>(source, dtype, count, scale, codes, scratch, sums, stream);
}

}  // namespace fp8::cuda
