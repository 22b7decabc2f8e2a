#include "cpu/tpec.h"

#include <algorithm>
#include <limits>

#include "core/stop.h"
#include "cpu/blas.h"
#include "cpu/block_results.h"
#include "cpu/parallel_product.h"
#include "cpu/principal_subspace.h"

namespace fp8 {

namespace {

constexpr double first_rate = 4;
constexpr double converged = 1e-8;
constexpr std::uint32_t patience = 40;
constexpr std::size_t rank_tile = 256;

// The left singular vectors that belong to V: W·Vᵀ with its columns made orthonormal. k × M, column r (one output row) at r * k.
Buffer<float> left_vectors(const ScaledMatrix& matrix, const PrincipalSubspace& right, Context& context) {
  const std::size_t rank = right.rank;
  Buffer<float> left(rank * matrix.rows);
  parallel_product(blas::Op::plain, blas::Op::transposed, rank, matrix.rows, matrix.columns, 1.0F, right.vectors.data(), rank,
                   matrix.values.data(), matrix.stride, 0.0F, left.data(), rank, context);
  orthonormalise_rows(rank, matrix.rows, left, context);
  return left;
}

// P⁰ (k × k, column-major) = Uᵀ E⁰ V with E⁰ the errors of nearest rounding, in units of the scale.
Buffer<float> first_projection(const ScaledMatrix& matrix, const Buffer<float>& left, const PrincipalSubspace& right, Context& context) {
  const std::size_t rank = right.rank;
  // E⁰ V, padded rows × k.
  Buffer<float> projected(matrix.padded_rows * rank);
  context.pool.parallel_for(block_count(matrix.padded_rows, solver_block_rows(matrix.rows)), context.stop, [&](std::size_t index) {
    const Block rows = solver_block(matrix, index);
    Buffer<float> errors(rows.size() * matrix.columns);
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      kernels().nearest_error(matrix.column(c) + rows.begin, rows.size(), matrix.grid, nullptr, errors.data() + c * rows.size());
    }
    for (std::size_t part = 0; part < block_count(rank, rank_tile); ++part) {
      throw_if_stopped(context.stop);
      const Block ranks = block_at(part, rank_tile, rank);
      blas::gemm(blas::Op::plain, blas::Op::transposed, rows.size(), ranks.size(), matrix.columns, 1.0F, errors.data(), rows.size(),
                 right.vectors.data() + ranks.begin, rank, 0.0F, projected.data() + ranks.begin * matrix.padded_rows + rows.begin,
                 matrix.padded_rows);
    }
  });
  Buffer<float> projection(rank * rank);
  parallel_product(blas::Op::plain, blas::Op::plain, rank, rank, matrix.rows, 1.0F, left.data(), rank, projected.data(), matrix.padded_rows,
                   0.0F, projection.data(), rank, context);
  return projection;
}

}  // namespace

TpecPath follow_tpec(double scale, double squared_projection, std::uint32_t step_limit) {
  TpecPath best;
  double share = 1;  // what is left of P⁰
  double distance = 0;
  double rate = first_rate;
  double best_loss = std::numeric_limits<double>::infinity();
  std::uint32_t worse = 0;
  // ‖P‖² is measured in the weights' own units, as the scripts do.
  const double unit = scale * scale * squared_projection;
  for (std::uint32_t step = 0;; ++step) {
    const double loss = share * share * unit;
    best.steps = step;
    if (loss < best_loss) {
      best_loss = loss;
      best.distance = distance;
      worse = 0;
      if (step > 0) rate = std::min(first_rate, rate * 2);
    } else {
      ++worse;
      rate /= 2;
    }
    if (step == step_limit || loss < converged || worse >= patience) return best;
    // U P Vᵀ moves W_q, which is in units of the scale, by a P that is in units of the weights.
    distance += rate * scale * share;
    share *= 1 - scale * rate;
  }
}

RoundedMatrix round_tpec(const ScaledMatrix& matrix, const ExactHessian& exact, const TpecOptions& options, double progress_end,
                         Context& context) {
  const double start = context.progress.fraction();
  const std::size_t rank = std::min<std::size_t>({std::max<std::size_t>(options.top_k, 1), matrix.rows, matrix.columns});
  context.progress.begin_phase(start + (progress_end - start) * 0.5, 1);
  const PrincipalSubspace right = find_principal_subspace(exact, matrix.columns, rank, options.seed, context);
  const Buffer<float> left = left_vectors(matrix, right, context);
  const Buffer<float> projection = first_projection(matrix, left, right, context);
  const double squared = kernels().sum_of_squares(projection.data(), projection.size());
  const TpecPath path = follow_tpec(static_cast<double>(options.scale), squared, options.step_limit);

  context.progress.begin_phase(progress_end, 1);
  RoundedMatrix result = solve_blocks(matrix, context, [&](Block rows, RowBlockState& state) {
    RowBlockResult solved;
    const std::size_t real_rows = std::min(rows.end, matrix.rows) - rows.begin;
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      kernels().nearest_error(matrix.column(c) + rows.begin, rows.size(), matrix.grid, nullptr, state.e.data() + c * state.stride);
      kernels().round_to_grid(matrix.column(c) + rows.begin, rows.size(), matrix.grid, nullptr, state.q.data() + c * state.stride);
    }
    solved.objective_nearest = exact.objective_of(state, context.stop);
    // q ← round(q − a·U P⁰ Vᵀ).
    Buffer<float> turned(real_rows * rank);
    blas::gemm(blas::Op::transposed, blas::Op::plain, real_rows, rank, rank, 1.0F, left.data() + rows.begin * rank, rank, projection.data(),
               rank, 0.0F, turned.data(), real_rows);
    blas::gemm(blas::Op::plain, blas::Op::plain, real_rows, matrix.columns, rank, static_cast<float>(-path.distance), turned.data(),
               real_rows, right.vectors.data(), rank, 1.0F, state.q.data(), state.stride);
    kernels().round_to_grid(state.q.data(), state.q.size(), matrix.grid, nullptr, state.q.data());
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      const float* w = matrix.column(c) + rows.begin;
      for (std::size_t r = 0; r < rows.size(); ++r) state.e[c * state.stride + r] = state.q[c * state.stride + r] - w[r];
    }
    solved.objective = exact.objective_of(state, context.stop);
    return solved;
  });
  result.sweeps = path.steps;
  return result;
}

std::uint64_t tpec_bytes(std::uint64_t rows, std::uint64_t columns, std::uint32_t top_k) {
  const std::uint64_t rank = std::min<std::uint64_t>(std::max(top_k, 1U), std::min(rows, columns)) + 16;
  return (3 * (rows + columns) * rank + 3 * rank * rank) * sizeof(float) + rows * columns;
}

}  // namespace fp8
