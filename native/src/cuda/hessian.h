// H of the objective tr(E H Eᵀ), from the product of W's columns:  H = WᵀW / mean(diag WᵀW) + damping · I, columns in rounding order.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

namespace fp8::cuda {

// H · scale as the sum of two halves (see split.cuh), both triangles, row-major. The scale is a power of two that puts the largest entry
// near 2¹⁴, so that small ones keep their bits.
struct SplitMatrix {
  __half* high = nullptr;
  __half* low = nullptr;
  std::int64_t leading = 0;
  float scale = 1;
};

// The power of two for a matrix whose largest entry is `largest`.
float split_scale(double largest);

// square: N × N, of which the lower triangle holds WᵀW (in any unit); on return the lower triangle of H. factor is 1 / mean diagonal.
// diagonal: H_jj. `split` receives H whole.
void normalise_hessian(float* square, std::int64_t leading, int size, float factor, float damping, const SplitMatrix& split,
                       float* diagonal, cudaStream_t stream);

// The lower triangle of `square` as split.high alone, both triangles; for a matrix that only steers.
void split_symmetric(const float* square, std::int64_t leading, int size, const SplitMatrix& split, float* diagonal, cudaStream_t stream);

}  // namespace fp8::cuda
