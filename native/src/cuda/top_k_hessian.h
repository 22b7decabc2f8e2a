// The statistics of `top_k`: H with only its k leading components told apart.
//
//   H_k = τI + Σ_{i ≤ k} (λ_i − τ) v_i v_iᵀ,   τ = mean of the other eigenvalues
//
// by subspace iteration, all of it matrix products: V ← orthonormal(V H), where orthonormal(·) is the polar factor by Newton–Schulz steps.
// With T = V H Vᵀ the sum is Vᵀ (T − τI) V; no eigenvalue is ever computed. Operands are FP16, which suffices for what only steers: V is
// orthonormal to about 10⁻³, and damping keeps H_k positive definite.
// Source: Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 53 (2011), section 4.5; Björck and Bowie, "An
// iterative algorithm for computing the best estimate of an orthogonal matrix", SIAM J. Numer. Anal. 8 (1971).
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>

#include "bump.h"
#include "gemm.h"
#include "hessian.h"

namespace fp8::cuda {

struct TopKBuffers {
  TopKBuffers(Bump& bump, std::int64_t columns, std::int64_t rank);

  std::int64_t rank_leading;
  std::int64_t column_leading;
  float* vectors;            // rank × columns
  __half* halves;            // the same
  __half* transposed;        // columns × rank
  float* small;              // rank × rank
  __half* small_halves;      // rank × rank
  float* projected;          // columns × rank
  __half* projected_halves;  // columns × rank
  float* scalars;
};

// hessian: H whole, of mean diagonal 1 + damping. square: columns × leading, receives the lower triangle of H_k. rank is below columns.
void top_k_hessian(const SplitMatrix& hessian, int columns, int rank, float damping, std::uint64_t seed, float* square,
                   std::int64_t leading, const TopKBuffers& buffers, GemmPath path, cudaStream_t stream, const std::function<void()>& tick);

}  // namespace fp8::cuda
