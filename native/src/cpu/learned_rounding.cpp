#include "cpu/learned_rounding.h"

#include <algorithm>
#include <vector>

#include "cpu/code_writer.h"
#include "cpu/dense_solver.h"

namespace fp8 {

namespace {

struct BlockResult {
  RowBlockResult solved;
  CodeStatistics statistics;
};

// Solves every block of rows with `solve(rows, state)` and adds up what they report, in the order of the blocks.
template <typename Solve>
RoundedMatrix solve_all(const ScaledMatrix& matrix, Context& context, const Solve& solve) {
  RoundedMatrix result;
  result.codes = Buffer<std::uint8_t>(matrix.rows * matrix.columns);
  const std::size_t blocks = block_count(matrix.padded_rows, solver_block_rows(matrix.rows));
  std::vector<BlockResult> parts(blocks);
  context.pool.parallel_for(blocks, context.stop, [&](std::size_t index) {
    const Block rows = solver_block(matrix, index);
    RowBlockState state(rows.size(), matrix.columns);
    parts[index].solved = solve(rows, state);
    parts[index].statistics = store_rows(matrix, rows, state, result.codes.data());
    context.progress.advance(1.0 / static_cast<double>(blocks));
  });
  for (const BlockResult& part : parts) {
    result.objective += part.solved.objective;
    result.objective_nearest += part.solved.objective_nearest;
    result.sweeps = std::max(result.sweeps, part.solved.sweeps);
    result.statistics.squared_error += part.statistics.squared_error;
    result.statistics.squared_value += part.statistics.squared_value;
    result.statistics.changed += part.statistics.changed;
  }
  return result;
}

void keep_nearest_if_not_better(const ScaledMatrix& matrix, RoundedMatrix& result, Context& context) {
  if (result.statistics.changed != 0 && result.objective < result.objective_nearest) return;
  result.kept_nearest = true;
  result.objective = result.objective_nearest;
  if (result.statistics.changed != 0) result.statistics = store_nearest(matrix, result.codes.data(), context);
}

}  // namespace

RoundedMatrix round_learned(const ScaledMatrix& matrix, std::uint32_t, std::uint32_t sweep_limit, std::uint64_t, double progress_end,
                            Context& context) {
  const double m = static_cast<double>(matrix.rows);
  const double n = static_cast<double>(matrix.columns);
  const double start = context.progress.fraction();
  const double gram = m / 2;
  const double factor = n / 6;
  const double total = gram + factor + 4 * m;
  context.progress.begin_phase(start + (progress_end - start) * gram / total, 1);
  DenseHessian hessian = make_gram_hessian(matrix, gram_damping, context);
  context.progress.begin_phase(start + (progress_end - start) * (gram + factor) / total, 1);
  factorise(hessian, context);
  context.progress.begin_phase(progress_end, 1);
  RoundedMatrix result = solve_all(matrix, context, [&](Block rows, RowBlockState& state) {
    return solve_rows(matrix, hessian, e4m3_grid, sweep_limit, rows, state, context.stop);
  });
  keep_nearest_if_not_better(matrix, result, context);
  return result;
}

std::uint64_t learned_rounding_bytes(std::uint64_t rows, std::uint64_t columns, std::uint32_t, std::size_t threads) {
  const std::uint64_t blocks = block_count(rows, solver_block_rows(rows));
  return dense_hessian_bytes(columns) + rows * columns + std::min<std::uint64_t>(threads, blocks) * row_block_state_bytes(rows, columns);
}

}  // namespace fp8
