// H = L D Lᵀ with L unit lower triangular, blocked and right-looking: 128 columns at a time are factorised in FP32, what is right of
// them is updated on tensor cores with operands split into two halves each, which keeps 22 bits (FP32 keeps 24).
//
// Error feedback goes from the last column to the first, so this is the H = U D Uᵀ of that order.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>

#include "gemm.h"

namespace fp8::cuda {

inline constexpr int factor_block = 128;

struct Factor {
  // transposed[j][i] = L_ij for i in a later block than j: what feedback multiplies with. size × leading.
  __half* transposed = nullptr;
  std::int64_t leading = 0;
  // Block b: blocks[b][i][j] = L_ij inside the block for i > j, else 0; factor_block² floats each.
  float* blocks = nullptr;
  // D_j.
  float* pivots = nullptr;
};

// Bytes of `scratch`.
std::int64_t factorise_scratch_bytes(int size);

// square: N × N, lower triangle, destroyed. largest: an upper bound of its diagonal. `between_blocks` is called before each block, to look
// for cancellation.
void factorise(float* square, std::int64_t leading, int size, double largest, const Factor& factor, void* scratch, GemmPath path,
               cudaStream_t stream, const std::function<void()>& between_blocks);

}  // namespace fp8::cuda
