// RowSolver's common terms: rows of a weight matrix are independent, so each fixed block of rows is solved on one thread from start to end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stop_token>

#include "core/grid.h"
#include "cpu/buffer.h"
#include "cpu/context.h"
#include "cpu/kernels.h"
#include "cpu/scaled_matrix.h"

namespace fp8 {

// Rows of one block: a function of the matrix alone, because sums follow the blocks.
constexpr std::size_t solver_block_rows(std::size_t rows) { return rows >= 2048 ? 256 : rows >= 512 ? 128 : 64; }

// A sweep that lowers a block's objective by less than this share of it is the last.
inline constexpr double smallest_gain = 1e-3;
// The same of a whole matrix whose rows are coupled; such a sweep costs more.
inline constexpr double smallest_coupled_gain = 5e-3;

// What a block of rows needs while it is solved. Columns are contiguous over the rows: column j of q is at q[j * stride].
struct RowBlockState {
  RowBlockState(std::size_t row_count, std::size_t columns)
      : stride(row_count),
        q(row_count * columns),
        e(row_count * columns),
        gradient(row_count * block_columns),
        delta(row_count * block_columns) {}

  std::size_t stride;  // the block's rows, padded
  Buffer<float> q;     // grid values
  Buffer<float> e;     // q − w
  Buffer<float> gradient;
  Buffer<float> delta;
};

constexpr std::uint64_t row_block_state_bytes(std::size_t rows, std::size_t columns) {
  const std::uint64_t stride = std::min(solver_block_rows(rows), round_up(rows, row_quantum));
  return stride * (2 * static_cast<std::uint64_t>(columns) + 2 * block_columns) * sizeof(float);
}

struct RowBlockResult {
  double objective = 0;
  double objective_nearest = 0;
  std::uint32_t sweeps = 0;
};

// The padded rows of block `index`.
inline Block solver_block(const ScaledMatrix& matrix, std::size_t index) {
  return block_at(index, solver_block_rows(matrix.rows), matrix.padded_rows);
}

}  // namespace fp8
