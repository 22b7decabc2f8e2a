// Sums over a block in a fixed order: the same bits on every run.
#pragma once

namespace fp8::cuda {

// Sum over the block, valid in thread 0. `threads` is the block's size, a multiple of 32; `scratch` holds threads / 32 values.
template <int threads>
__device__ inline double block_sum(double value, double* scratch) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_down_sync(0xFFFFFFFFU, value, offset);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  double sum = 0;
  if (threadIdx.x == 0) {
    for (int i = 0; i < threads / 32; ++i) sum += scratch[i];
  }
  __syncthreads();
  return sum;
}

}  // namespace fp8::cuda
