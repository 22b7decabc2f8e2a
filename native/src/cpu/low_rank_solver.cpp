#include "cpu/low_rank_solver.h"

#include <cstring>

#include "core/stop.h"
#include "cpu/blas.h"

namespace fp8 {

namespace {

constexpr std::size_t tile = LowRankHessian::tile;
static_assert(tile <= block_columns);

// projection += errors of the given columns times their part of Bᵀ (rows × k).
void project(const LowRankHessian& hessian, Block columns, const float* errors, std::size_t rows, Buffer<float>& projection) {
  blas::gemm(blas::Op::plain, blas::Op::transposed, rows, hessian.rank, columns.size(), hessian.factor, errors, rows,
             hessian.column(columns.begin), hessian.basis_stride, 1.0F, projection.data(), rows);
}

void clear(Buffer<float>& values) { std::memset(values.data(), 0, values.size() * sizeof(float)); }

double feed_back(const ScaledMatrix& matrix, const LowRankHessian& hessian, const Grid& grid, Block rows, RowBlockState& state,
                 Buffer<float>& projection, const std::stop_token& stop) {
  float ones[tile];
  for (float& one : ones) one = 1.0F;
  clear(projection);
  double objective = 0;
  for (std::size_t index = block_count(hessian.size, tile); index-- > 0;) {
    throw_if_stopped(stop);
    const Block columns = block_at(index, tile, hessian.size);
    float* errors = state.e.data() + columns.begin * state.stride;
    blas::gemm(blas::Op::plain, blas::Op::plain, rows.size(), columns.size(), hessian.rank, 1.0F, projection.data(), rows.size(),
               hessian.feedback_columns.data() + columns.begin * hessian.rank, hessian.rank, 0.0F, state.gradient.data(), state.stride);
    const ColumnScales scales(matrix, columns, rows.begin);
    objective += kernels().feedback({.rows = rows.size(),
                                     .columns = columns.size(),
                                     .stride = state.stride,
                                     .w_stride = matrix.stride,
                                     .w = matrix.column(columns.begin) + rows.begin,
                                     .q = state.q.data() + columns.begin * state.stride,
                                     .e = errors,
                                     .correction = state.gradient.data(),
                                     .correction_factor = ones,
                                     .u = hessian.feedback_tiles.data() + index * tile * tile,
                                     .d = hessian.feedback_weights.data() + columns.begin,
                                     .scales = scales.get()},
                                    grid);
    project(hessian, columns, errors, rows.size(), projection);
  }
  return objective;
}

SweepGain sweep_once(const ScaledMatrix& matrix, const LowRankHessian& hessian, const Grid& grid, Block rows, RowBlockState& state,
                     Buffer<float>& projection, const std::stop_token& stop) {
  SweepGain total;
  for (std::size_t index = block_count(hessian.size, tile); index-- > 0;) {
    throw_if_stopped(stop);
    const Block columns = block_at(index, tile, hessian.size);
    float* errors = state.e.data() + columns.begin * state.stride;
    std::memcpy(state.gradient.data(), errors, columns.size() * state.stride * sizeof(float));
    blas::gemm(blas::Op::plain, blas::Op::plain, rows.size(), columns.size(), hessian.rank, hessian.factor, projection.data(), rows.size(),
               hessian.column(columns.begin), hessian.basis_stride, hessian.tau, state.gradient.data(), state.stride);
    const ColumnScales scales(matrix, columns, rows.begin);
    const SweepGain gain = kernels().sweep({.rows = rows.size(),
                                            .columns = columns.size(),
                                            .stride = state.stride,
                                            .w_stride = matrix.stride,
                                            .w = matrix.column(columns.begin) + rows.begin,
                                            .q = state.q.data() + columns.begin * state.stride,
                                            .e = errors,
                                            .gradient = state.gradient.data(),
                                            .h = hessian.diagonal_tiles.data() + index * tile * tile,
                                            .delta = state.delta.data(),
                                            .scales = scales.get()},
                                           grid);
    if (gain.changed != 0) project(hessian, columns, state.delta.data(), rows.size(), projection);
    total.objective += gain.objective;
    total.changed += gain.changed;
  }
  return total;
}

}  // namespace

double objective_of(const LowRankHessian& hessian, const RowBlockState& state, const std::stop_token& stop) {
  // The projection is taken in parts of the rank, so that it needs little memory and stops soon.
  constexpr std::size_t rank_tile = 256;
  Buffer<float> part(state.stride * rank_tile);
  double objective = static_cast<double>(hessian.tau) * kernels().sum_of_squares(state.e.data(), hessian.size * state.stride);
  for (std::size_t index = 0; index < block_count(hessian.rank, rank_tile); ++index) {
    throw_if_stopped(stop);
    const Block ranks = block_at(index, rank_tile, hessian.rank);
    blas::gemm(blas::Op::plain, blas::Op::transposed, state.stride, ranks.size(), hessian.size, hessian.factor, state.e.data(),
               state.stride, hessian.basis + ranks.begin, hessian.basis_stride, 0.0F, part.data(), state.stride);
    objective += kernels().sum_of_squares(part.data(), ranks.size() * state.stride);
  }
  return objective;
}

RowBlockResult solve_rows(const ScaledMatrix& matrix, const LowRankHessian& hessian, const Grid& grid, std::uint32_t sweep_limit,
                          Block rows, RowBlockState& state, const std::stop_token& stop) {
  RowBlockResult result;
  for (std::size_t c = 0; c < matrix.columns; ++c) {
    kernels().nearest_error(matrix.column(c) + rows.begin, rows.size(), grid, matrix.nearest_scales_of(c, rows.begin),
                            state.e.data() + c * state.stride);
  }
  result.objective_nearest = objective_of(hessian, state, stop);
  Buffer<float> projection(state.stride * hessian.rank);
  result.objective = feed_back(matrix, hessian, grid, rows, state, projection, stop);
  while (result.sweeps < sweep_limit) {
    const SweepGain gain = sweep_once(matrix, hessian, grid, rows, state, projection, stop);
    const double before = result.objective;
    result.objective -= gain.objective;
    ++result.sweeps;
    if (gain.changed == 0 || gain.objective < smallest_gain * before) break;
  }
  return result;
}

}  // namespace fp8
