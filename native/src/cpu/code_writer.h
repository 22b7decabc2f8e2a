// From the solver's grid values back to the codes of a file: rows in order, columns where the source has them.
#pragma once

#include <cstdint>

#include "cpu/kernels.h"
#include "cpu/row_solver.h"
#include "cpu/scaled_matrix.h"

namespace fp8 {

// Writes the codes of state.q for the rows `rows` into `codes`, the whole matrix row-major, one byte each.
CodeStatistics store_rows(const ScaledMatrix& matrix, Block rows, const RowBlockState& state, std::uint8_t* codes);

// Overwrites `codes` by nearest rounding, with its scales.
CodeStatistics store_nearest(const ScaledMatrix& matrix, std::uint8_t* codes, Context& context);

}  // namespace fp8
