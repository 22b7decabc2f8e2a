#include "cpu/dense_solver.h"

#include "core/stop.h"
#include "cpu/blas.h"

namespace fp8 {

namespace {

constexpr std::size_t tile = DenseHessian::tile;
static_assert(tile <= block_columns);

}  // namespace

void multiply_tile(const DenseHessian& hessian, Block columns, std::size_t tile_index, float factor_before, float factor_after,
                   RowBlockState& state) {
  const std::size_t rows = state.stride;
  const std::size_t count = columns.size();
  blas::gemm(blas::Op::plain, blas::Op::plain, rows, count, count, 1.0F, state.e.data() + columns.begin * rows, rows,
             hessian.diagonal_tile(tile_index), count, 0.0F, state.gradient.data(), rows);
  if (factor_before != 0 && columns.begin > 0) {
    blas::gemm(blas::Op::plain, blas::Op::transposed, rows, count, columns.begin, factor_before, state.e.data(), rows,
               hessian.above(0, columns.begin), hessian.stride, 1.0F, state.gradient.data(), rows);
  }
  if (factor_after != 0 && columns.end < hessian.size) {
    blas::gemm(blas::Op::plain, blas::Op::plain, rows, count, hessian.size - columns.end, factor_after, state.e.data() + columns.end * rows,
               rows, hessian.above(columns.begin, columns.end), hessian.stride, 1.0F, state.gradient.data(), rows);
  }
}

namespace {

// Error feedback over all columns, from the last block to the first. Returns the objective: Σ_j D_j ‖target_j − q_j‖².
double feed_back(const ScaledMatrix& matrix, const DenseHessian& hessian, const Grid& grid, Block rows, RowBlockState& state,
                 const std::stop_token& stop) {
  const std::size_t stride = state.stride;
  Buffer<float> u(tile * tile);
  float inverse_root[tile];
  float d[tile];
  double objective = 0;
  for (std::size_t index = block_count(hessian.size, tile); index-- > 0;) {
    throw_if_stopped(stop);
    const Block columns = block_at(index, tile, hessian.size);
    const std::size_t count = columns.size();
    const std::size_t done = hessian.size - columns.end;
    // correction_j = Σ over the columns already done of e_i L_ij; for the last block the product is empty and leaves zero.
    blas::gemm(blas::Op::plain, blas::Op::transposed, rows.size(), count, done, 1.0F, state.e.data() + columns.end * stride, stride,
               hessian.square.data() + columns.end * hessian.stride + columns.begin, hessian.stride, 0.0F, state.gradient.data(), stride);
    for (std::size_t j = 0; j < count; ++j) {
      const float root = *hessian.factor(columns.begin + j, columns.begin + j);
      inverse_root[j] = 1.0F / root;
      d[j] = root * root;
      for (std::size_t i = j + 1; i < count; ++i)
        u[j * count + i] = *hessian.factor(columns.begin + i, columns.begin + j) * inverse_root[j];
    }
    const ColumnScales scales(matrix, columns, rows.begin);
    objective += kernels().feedback({.rows = rows.size(),
                                     .columns = count,
                                     .stride = stride,
                                     .w_stride = matrix.stride,
                                     .w = matrix.column(columns.begin) + rows.begin,
                                     .q = state.q.data() + columns.begin * stride,
                                     .e = state.e.data() + columns.begin * stride,
                                     .correction = state.gradient.data(),
                                     .correction_factor = inverse_root,
                                     .u = u.data(),
                                     .d = d,
                                     .scales = scales.get()},
                                    grid);
  }
  return objective;
}

// One exact coordinate sweep over all columns.
SweepGain sweep_once(const ScaledMatrix& matrix, const DenseHessian& hessian, const Grid& grid, Block rows, RowBlockState& state,
                     const std::stop_token& stop) {
  SweepGain total;
  for (std::size_t index = block_count(hessian.size, tile); index-- > 0;) {
    throw_if_stopped(stop);
    const Block columns = block_at(index, tile, hessian.size);
    multiply_tile(hessian, columns, index, 1.0F, 1.0F, state);
    const ColumnScales scales(matrix, columns, rows.begin);
    const SweepGain gain = kernels().sweep({.rows = rows.size(),
                                            .columns = columns.size(),
                                            .stride = state.stride,
                                            .w_stride = matrix.stride,
                                            .w = matrix.column(columns.begin) + rows.begin,
                                            .q = state.q.data() + columns.begin * state.stride,
                                            .e = state.e.data() + columns.begin * state.stride,
                                            .gradient = state.gradient.data(),
                                            .h = hessian.diagonal_tile(index),
                                            .delta = state.delta.data(),
                                            .scales = scales.get()},
                                           grid);
    total.objective += gain.objective;
    total.changed += gain.changed;
  }
  return total;
}

}  // namespace

double objective_of(const DenseHessian& hessian, RowBlockState& state, const std::stop_token& stop) {
  double objective = 0;
  for (std::size_t index = 0; index < block_count(hessian.size, tile); ++index) {
    throw_if_stopped(stop);
    const Block columns = block_at(index, tile, hessian.size);
    // H is symmetric: every pair of different tiles counts twice.
    multiply_tile(hessian, columns, index, 2.0F, 0.0F, state);
    objective += kernels().dot(state.e.data() + columns.begin * state.stride, state.gradient.data(), columns.size() * state.stride);
  }
  return objective;
}

RowBlockResult solve_rows(const ScaledMatrix& matrix, const DenseHessian& hessian, const Grid& grid, std::uint32_t sweep_limit, Block rows,
                          RowBlockState& state, const std::stop_token& stop) {
  RowBlockResult result;
  for (std::size_t c = 0; c < matrix.columns; ++c) {
    kernels().nearest_error(matrix.column(c) + rows.begin, rows.size(), grid, matrix.nearest_scales_of(c, rows.begin),
                            state.e.data() + c * state.stride);
  }
  result.objective_nearest = objective_of(hessian, state, stop);
  result.objective = feed_back(matrix, hessian, grid, rows, state, stop);
  while (result.sweeps < sweep_limit) {
    const SweepGain gain = sweep_once(matrix, hessian, grid, rows, state, stop);
    const double before = result.objective;
    result.objective -= gain.objective;
    ++result.sweeps;
    if (gain.changed == 0 || gain.objective < smallest_gain * before) break;
  }
  return result;
}

}  // namespace fp8
