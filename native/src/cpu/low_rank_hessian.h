// LowRankHessian: H = τI + BᵀB with B k × N, for the solver's cheap path: it never forms an N × N matrix and costs 2·M·N·k a pass.
//
// B = factor · basis. Columns of B belong to the columns of a ScaledMatrix, which error feedback takes from the last to the first. With S_j
// = τI + Σ over l ≤ j of b_l b_lᵀ (k × k), the best continuous answer of column j to the errors r = Σ e_i b_i already made is −c_jᵀ r, c_j
// = S_j⁻¹ b_j, and the weight of column j in the objective is D_j = τ(1 + b_jᵀ S_{j−1}⁻¹ b_j).
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/buffer.h"
#include "cpu/context.h"
#include "cpu/scaled_matrix.h"

namespace fp8 {

struct LowRankHessian {
  static constexpr std::size_t tile = 128;

  std::size_t size = 0;  // N
  std::size_t rank = 0;  // k
  float tau = 1;
  float factor = 1;
  const float* basis = nullptr;  // k × N, column-major: column j at basis + j * basis_stride
  std::size_t basis_stride = 0;
  Buffer<float> owned_basis;  // where `basis` is not the matrix itself

  // Filled by prepare_feedback.
  Buffer<float> feedback_columns;  // c_j, k × N, stride `rank`
  Buffer<float> feedback_tiles;    // per tile of columns: u[j * count + i] = b_iᵀ c_j for i > j, as FeedbackBlock wants it
  Buffer<float> feedback_weights;  // D_j
  // Filled by prepare_sweeps: per tile of columns, H inside the tile.
  Buffer<float> diagonal_tiles;

  const float* column(std::size_t index) const { return basis + index * basis_stride; }
};

// H = WᵀW normalised to mean diagonal 1, plus damping · I, exactly: B is the matrix itself. `matrix` must outlive the result.
LowRankHessian make_exact_low_rank_hessian(const ScaledMatrix& matrix, float damping);

// Throws Error{internal} when rounding errors win, which damping rules out. Takes one unit of progress.
void prepare_feedback(LowRankHessian& hessian, Context& context);
void prepare_sweeps(LowRankHessian& hessian, Context& context);

// What the prepared Hessian holds, without the basis.
std::uint64_t low_rank_hessian_bytes(std::size_t size, std::size_t rank);

}  // namespace fp8
