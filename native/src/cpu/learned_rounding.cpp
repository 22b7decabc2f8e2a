#include "cpu/learned_rounding.h"

#include <algorithm>

#include "cpu/block_results.h"
#include "cpu/code_writer.h"
#include "cpu/low_rank_solver.h"
#include "cpu/principal_subspace.h"

namespace fp8 {

namespace {

// With as many components as WᵀW has directions, the approximation is H itself.
bool is_full_rank(std::uint64_t rows, std::uint64_t columns, std::uint32_t top_k) { return top_k == 0 || top_k >= std::min(rows, columns); }

RoundedMatrix solve_full_rank(const ScaledMatrix& matrix, ExactHessian& exact, const LearnedOptions& options, double progress_end,
                              Context& context) {
  const double start = context.progress.fraction();
  const double preparation = static_cast<double>(matrix.columns) / 6;
  const double solving = 4 * static_cast<double>(matrix.rows);
  context.progress.begin_phase(start + (progress_end - start) * preparation / (preparation + solving), 1);
  exact.prepare(context);
  context.progress.begin_phase(progress_end, 1);
  return solve_blocks(matrix, context, [&](Block rows, RowBlockState& state) {
    return exact.solve_rows(matrix, matrix.grid, options.sweep_limit, rows, state, context.stop);
  });
}

// Steered by the top k components, judged by the exact H.
RoundedMatrix solve_top_k(const ScaledMatrix& matrix, const ExactHessian& exact, const LearnedOptions& options, double progress_end,
                          Context& context) {
  const double start = context.progress.fraction();
  context.progress.begin_phase(start + (progress_end - start) * 0.3, 1);
  LowRankHessian steering = make_top_k_hessian(find_principal_subspace(exact, matrix.columns, options.top_k, options.seed, context),
                                               matrix.columns, exact.damping(), context);
  context.progress.begin_phase(start + (progress_end - start) * 0.5, 1);
  prepare_feedback(steering, context);
  prepare_sweeps(steering, context);
  context.progress.begin_phase(progress_end, 1);
  return solve_blocks(matrix, context, [&](Block rows, RowBlockState& state) {
    RowBlockResult result = solve_rows(matrix, steering, matrix.grid, options.sweep_limit, rows, state, context.stop);
    result.objective = exact.objective_of(state, context.stop);
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      kernels().nearest_error(matrix.column(c) + rows.begin, rows.size(), matrix.grid, matrix.nearest_scales_of(c, rows.begin),
                              state.e.data() + c * state.stride);
    }
    result.objective_nearest = exact.objective_of(state, context.stop);
    return result;
  });
}

}  // namespace

void keep_nearest_if_not_better(const ScaledMatrix& matrix, RoundedMatrix& result, Context& context) {
  const bool differs = result.statistics.changed != 0 || !matrix.nearest_scales.is_unit();
  // Written so that NaN fails. A quadratic form below zero comes of a matrix that is none, or of sums that lost all their digits.
  if (differs && result.objective >= 0 && result.objective < result.objective_nearest) return;
  result.kept_nearest = true;
  result.objective = result.objective_nearest;
  if (differs) result.statistics = store_nearest(matrix, result.codes.data(), context);
}

RoundedMatrix round_learned(const ScaledMatrix& matrix, ExactHessian& exact, const LearnedOptions& options, double progress_end,
                            Context& context) {
  RoundedMatrix result = is_full_rank(matrix.rows, matrix.columns, options.top_k)
                             ? solve_full_rank(matrix, exact, options, progress_end, context)
                             : solve_top_k(matrix, exact, options, progress_end, context);
  keep_nearest_if_not_better(matrix, result, context);
  return result;
}

RoundedMatrix round_learned(const ScaledMatrix& matrix, const LearnedOptions& options, double progress_end, Context& context) {
  const double start = context.progress.fraction();
  context.progress.begin_phase(start + (progress_end - start) * 0.1, 1);
  ExactHessian exact(matrix, gram_damping, context);
  return round_learned(matrix, exact, options, progress_end, context);
}

std::uint64_t learned_rounding_bytes(std::uint64_t rank, std::uint64_t rows, std::uint64_t columns, std::uint32_t top_k,
                                     std::size_t threads) {
  const std::uint64_t block_rows = solver_block_rows(rows);
  const std::uint64_t at_once = std::min<std::uint64_t>(threads, block_count(rows, block_rows));
  std::uint64_t bytes = ExactHessian::bytes(rank, rows, columns, at_once) + rows * columns + at_once * row_block_state_bytes(rows, columns);
  if (!is_full_rank(rows, columns, top_k)) {
    bytes += low_rank_hessian_bytes(columns, top_k) + 2 * columns * top_k * sizeof(float) + at_once * block_rows * top_k * sizeof(float);
  }
  return bytes;
}

}  // namespace fp8
