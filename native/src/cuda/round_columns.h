// The sequential heart of both steps of the solver: 128 columns, one after the other, all rows in parallel.
//
// Feedback, for j from the last column of the block to the first:
//   t = w_j + y_j,   q_j = nearest(t),   e_j = q_j − w_j,   y_i −= e_j · L_ji for i < j,   objective += D_j (t − q_j)²
// where y starts as −Σ e_k L_kj over the columns of later blocks.
//
// Sweep, for j from the first column of the block to the last, as the CPU backend has it:
//   q'_j = nearest(q_j − y_j / H_jj),   d = q'_j − q_j,   y_i += d · H_ji for i > j,   objective += d (2 y_j + d H_jj)
// where y starts as (E H)_j with E as it is before the block. A move that does not lower the objective, which only rounding can cause, is
// not made. nearest(x) is the element's scale times the grid value nearest to x ÷ scale.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "code_target.h"
#include "fp8/job.h"

namespace fp8::cuda {

inline constexpr int round_block = 128;

// Pointers are to the block's first column. Column-wise data (w, y, codes) have one row per column of W, `…_leading` apart.
struct RoundBlock {
  SourceDtype dtype = SourceDtype::bf16;
  const void* w = nullptr;
  std::int64_t w_leading = 0;
  float scale = 1;  // w is divided by it
  CodeTarget target = {};
  const float* y = nullptr;
  std::int64_t y_leading = 0;
  std::uint8_t* codes = nullptr;
  std::int64_t codes_leading = 0;
  __half* errors = nullptr;  // E, row-major: the block's 128 columns of each row, zero beyond `columns`
  std::int64_t errors_leading = 0;
  double* row_objective = nullptr;  // one a row, added to
  int rows = 0;
  int columns = 0;
};

// unit: L_ji at unit[j * 128 + i]; pivots: D_j.
void feed_back_block(const RoundBlock& block, const float* unit, const float* pivots, cudaStream_t stream);

// hessian: H · scale, H_ji at hessian[j * leading + i]; diagonal: H_jj. changes: d, rows × 128. Rows whose block is not active stay as they
// are; `active` has one entry for each `rows_per_block` rows, a multiple of 64.
void sweep_block(const RoundBlock& block, const __half* hessian, std::int64_t hessian_leading, float hessian_scale, const float* diagonal,
                 __half* changes, const int* active, std::int64_t rows_per_block, cudaStream_t stream);

}  // namespace fp8::cuda
