// A float as the sum of two halves: high = f16(x), low = f16(x − high). The sum keeps 22 bits of the significand while |x| ≥ 2⁻¹²;
// below, an absolute error of 2⁻²⁵ stays. Products of such sums (high·high + high·low + low·high) therefore steer as FP32 would.
#pragma once

#include <cuda_fp16.h>

namespace fp8::cuda {

struct Split {
  __half high;
  __half low;
};

__device__ inline Split split(float x) {
  const __half high = __float2half_rn(x);
  return {high, __float2half_rn(x - __half2float(high))};
}

}  // namespace fp8::cuda
