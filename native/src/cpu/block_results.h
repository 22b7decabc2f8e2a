// Runs a solver over all row blocks of a matrix and adds up what the blocks report, in their order.
#pragma once

#include <algorithm>
#include <vector>

#include "cpu/code_writer.h"
#include "cpu/learned_rounding.h"
#include "cpu/row_solver.h"

namespace fp8 {

// `solve(rows, state)` leaves grid values in state.q and returns a RowBlockResult. Takes one unit of progress.
template <typename Solve>
RoundedMatrix solve_blocks(const ScaledMatrix& matrix, Context& context, const Solve& solve) {
  struct Part {
    RowBlockResult solved;
    CodeStatistics statistics;
  };
  RoundedMatrix result;
  result.codes = Buffer<std::uint8_t>(matrix.rows * matrix.columns);
  const std::size_t blocks = block_count(matrix.padded_rows, solver_block_rows(matrix.rows));
  std::vector<Part> parts(blocks);
  context.pool.parallel_for(blocks, context.stop, [&](std::size_t index) {
    const Block rows = solver_block(matrix, index);
    RowBlockState state(rows.size(), matrix.columns);
    parts[index].solved = solve(rows, state);
    parts[index].statistics = store_rows(matrix, rows, state, result.codes.data());
    context.progress.advance(1.0 / static_cast<double>(blocks));
  });
  for (const Part& part : parts) {
    result.objective += part.solved.objective;
    result.objective_nearest += part.solved.objective_nearest;
    result.sweeps = std::max(result.sweeps, part.solved.sweeps);
    result.statistics.squared_error += part.statistics.squared_error;
    result.statistics.squared_value += part.statistics.squared_value;
    result.statistics.changed += part.statistics.changed;
  }
  return result;
}

}  // namespace fp8
