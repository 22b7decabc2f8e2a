// Learned rounding of a block of rows with a DenseHessian: error feedback, then coordinate sweeps.
#pragma once

#include "cpu/dense_hessian.h"
#include "cpu/row_solver.h"

namespace fp8 {

// Leaves the result in state.q and state.e. At most `sweep_limit` sweeps. The Hessian must be factorised.
RowBlockResult solve_rows(const ScaledMatrix& matrix, const DenseHessian& hessian, const Grid& grid, std::uint32_t sweep_limit, Block rows,
                          RowBlockState& state, const std::stop_token& stop);

// tr(E H Eᵀ) of the errors in state.e; overwrites state.gradient.
double objective_of(const DenseHessian& hessian, RowBlockState& state, const std::stop_token& stop);

// state.gradient = factor_before · E_before H_before,J + E_J H_JJ + factor_after · E_after H_after,J for the tile J of columns.
void multiply_tile(const DenseHessian& hessian, Block columns, std::size_t tile_index, float factor_before, float factor_after,
                   RowBlockState& state);

}  // namespace fp8
