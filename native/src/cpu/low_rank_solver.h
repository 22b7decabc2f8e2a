// Learned rounding of a block of rows with a LowRankHessian: the twin of dense_solver.h.
#pragma once

#include "cpu/low_rank_hessian.h"
#include "cpu/row_solver.h"

namespace fp8 {

// Leaves the result in state.q and state.e. At most `sweep_limit` sweeps. The Hessian must be prepared for feedback and sweeps.
// Objectives are those of this Hessian.
RowBlockResult solve_rows(const ScaledMatrix& matrix, const LowRankHessian& hessian, const Grid& grid, std::uint32_t sweep_limit,
                          Block rows, RowBlockState& state, const std::stop_token& stop);

// tr(E H Eᵀ) of the errors in state.e.
double objective_of(const LowRankHessian& hessian, const RowBlockState& state, const std::stop_token& stop);

}  // namespace fp8
