#include "cpu/coupled_sweeps.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/stop.h"
#include "cpu/blas.h"
#include "cpu/code_writer.h"
#include "cpu/dense_solver.h"

namespace fp8 {

namespace {

// Part of the definition of the result, since the order of the changes follows them.
constexpr std::size_t tile_rows = 128;
constexpr std::size_t tile_columns = DenseHessian::tile;
constexpr std::size_t update_columns = 512;
// Columns of Γ that one thread computes.
constexpr std::size_t gradient_columns = 32;

// All values at once, since rows depend on each other: q and Y = E H, column-major.
struct Solution {
  Solution(const ScaledMatrix& matrix)
      : rows(matrix.rows),
        stride(matrix.padded_rows),
        columns(matrix.columns),
        q(matrix.padded_rows * matrix.columns),
        y(matrix.padded_rows * matrix.columns) {}

  std::size_t rows;
  std::size_t stride;
  std::size_t columns;
  Buffer<float> q;
  Buffer<float> y;
};

// Y of a block of rows, from the errors in state.e.
void store_products(const DenseHessian& hessian, Block rows, RowBlockState& state, Solution& solution, const std::stop_token& stop) {
  for (std::size_t index = 0; index < block_count(hessian.size, DenseHessian::tile); ++index) {
    throw_if_stopped(stop);
    const Block columns = block_at(index, DenseHessian::tile, hessian.size);
    multiply_tile(hessian, columns, index, 1.0F, 1.0F, state);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      std::memcpy(solution.y.data() + (columns.begin + c) * solution.stride + rows.begin, state.gradient.data() + c * state.stride,
                  rows.size() * sizeof(float));
    }
  }
}

// Σ E ∘ (G Y), E = error(column) − w.
template <typename ErrorOf>
double objective(const ScaledMatrix& matrix, const OutputSquare& outputs, const Solution& solution, Context& context,
                 const ErrorOf& error_of) {
  const std::size_t blocks = block_count(solution.columns, gradient_columns);
  std::vector<double> parts(blocks);
  context.pool.parallel_for(blocks, context.stop, [&](std::size_t index) {
    const Block columns = block_at(index, gradient_columns, solution.columns);
    Buffer<float> gradient(solution.stride * gradient_columns);
    Buffer<float> errors(solution.stride);
    blas::gemm(blas::Op::plain, blas::Op::plain, solution.stride, columns.size(), outputs.size, 1.0F, outputs.values.data(), outputs.stride,
               solution.y.data() + columns.begin * solution.stride, solution.stride, 0.0F, gradient.data(), solution.stride);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      error_of(columns.begin + c, errors.data());
      parts[index] += kernels().dot(errors.data(), gradient.data() + c * solution.stride, solution.stride);
    }
  });

  double total = 0;
  for (const double part : parts) total += part;
  return total;
}

// One tile: rows [0, count) of `g`, columns of `h`, both with their own stride.
struct Tile {
  std::size_t rows;
  std::size_t columns;
  const float* g;  // G of these rows, column-major
  std::size_t g_stride;
  const float* h;  // H of these columns, contiguous
  float* q;
  std::size_t q_stride;
  float* gradient;  // Γ, column-major, stride tile_rows
  float* delta;     // out: the changes of q, the same
  const Grid& grid;
  const float* const* scales;  // as the kernels take them
};

// Goes through the elements of a tile one after the other, each seeing the changes made before it.
SweepGain sweep_tile(const Tile& tile) {
  SweepGain total;
  alignas(64) float target[row_quantum];
  alignas(64) float rounded[row_quantum];
  alignas(64) float moved[tile_rows];
  for (std::size_t j = tile.columns; j-- > 0;) {
    float* q = tile.q + j * tile.q_stride;
    float* gradient = tile.gradient + j * tile_rows;
    float* delta = tile.delta + j * tile_rows;
    const float h = tile.h[j * tile.columns + j];
    std::memset(delta, 0, tile_rows * sizeof(float));
    std::memset(moved, 0, sizeof moved);
    std::uint64_t changed = 0;
    for (std::size_t begin = 0; begin < tile.rows; begin += row_quantum) {
      const std::size_t end = std::min(begin + row_quantum, tile.rows);
      std::size_t next = begin;
      while (next < end) {
        std::memset(target, 0, sizeof target);
        for (std::size_t r = next; r < end; ++r) target[r - begin] = q[r] - gradient[r] / (tile.g[r * tile.g_stride + r] * h);
        kernels().round_to_grid(target, row_quantum, tile.grid, tile.scales == nullptr ? nullptr : tile.scales[j] + begin, rounded);
        std::size_t r = next;
        while (r < end && rounded[r - begin] == q[r]) ++r;
        next = r + 1;
        if (r == end) break;
        const float step = rounded[r - begin] - q[r];
        const double gain =
            -static_cast<double>(step) *
            (2.0 * static_cast<double>(gradient[r]) + static_cast<double>(step) * static_cast<double>(tile.g[r * tile.g_stride + r] * h));
        if (gain <= 0) continue;
        q[r] = rounded[r - begin];
        delta[r] = step;
        total.objective += gain;
        ++changed;
        const float* g = tile.g + r * tile.g_stride;
        for (std::size_t i = 0; i < tile.rows; ++i) {
          const float change = g[i] * step;
          moved[i] += change;
          gradient[i] += change * h;
        }
      }
    }
    total.changed += changed;
    if (changed == 0) continue;
    for (std::size_t k = 0; k < j; ++k) {
      float* later = tile.gradient + k * tile_rows;
      const float factor = tile.h[j * tile.columns + k];
      for (std::size_t i = 0; i < tile.rows; ++i) later[i] += moved[i] * factor;
    }
  }
  return total;
}

// Y of these rows += Δ H for the changes Δ of a tile of columns.
void add_changes(const DenseHessian& hessian, std::size_t tile_index, const Buffer<float>& delta, Block rows, Solution& solution,
                 Context& context) {
  const Block columns = block_at(tile_index, tile_columns, hessian.size);
  const auto add = [&](blas::Op op, const float* h, std::size_t h_stride, Block to) {
    blas::gemm(blas::Op::plain, op, rows.size(), to.size(), columns.size(), 1.0F, delta.data(), tile_rows, h, h_stride, 1.0F,
               solution.y.data() + to.begin * solution.stride + rows.begin, solution.stride);
  };
  const std::size_t before = block_count(columns.begin, update_columns);
  const std::size_t after = block_count(hessian.size - columns.end, update_columns);
  context.pool.parallel_for(before + after + 1, context.stop, [&](std::size_t index) {
    if (index < before) {
      const Block to = block_at(index, update_columns, columns.begin);
      add(blas::Op::plain, hessian.above(to.begin, columns.begin), hessian.stride, to);
    } else if (index < before + after) {
      const Block part = block_at(index - before, update_columns, hessian.size - columns.end);
      const Block to{columns.end + part.begin, columns.end + part.end};
      add(blas::Op::transposed, hessian.above(columns.begin, to.begin), hessian.stride, to);
    } else {
      add(blas::Op::plain, hessian.diagonal_tile(tile_index), columns.size(), columns);
    }
  });
}

SweepGain sweep_once(const ScaledMatrix& matrix, const DenseHessian& hessian, const OutputSquare& outputs, Solution& solution,
                     Context& context) {
  SweepGain total;
  Buffer<float> gradient(tile_rows * tile_columns);
  Buffer<float> delta(tile_rows * tile_columns);
  std::memset(gradient.data(), 0, gradient.size() * sizeof(float));
  for (std::size_t row_tile = 0; row_tile < block_count(solution.rows, tile_rows); ++row_tile) {
    const Block rows = block_at(row_tile, tile_rows, solution.rows);
    for (std::size_t index = block_count(hessian.size, tile_columns); index-- > 0;) {
      throw_if_stopped(context.stop);
      const Block columns = block_at(index, tile_columns, hessian.size);
      context.pool.parallel_for(block_count(columns.size(), gradient_columns), context.stop, [&](std::size_t part) {
        const Block to = block_at(part, gradient_columns, columns.size());
        blas::gemm(blas::Op::transposed, blas::Op::plain, rows.size(), to.size(), outputs.size, 1.0F, outputs.column(rows.begin),
                   outputs.stride, solution.y.data() + (columns.begin + to.begin) * solution.stride, solution.stride, 0.0F,
                   gradient.data() + to.begin * tile_rows, tile_rows);
      });
      const ColumnScales scales(matrix, columns, rows.begin);
      const SweepGain gain = sweep_tile({.rows = rows.size(),
                                         .columns = columns.size(),
                                         .g = outputs.column(rows.begin) + rows.begin,
                                         .g_stride = outputs.stride,
                                         .h = hessian.diagonal_tile(index),
                                         .q = solution.q.data() + columns.begin * solution.stride + rows.begin,
                                         .q_stride = solution.stride,
                                         .gradient = gradient.data(),
                                         .delta = delta.data(),
                                         .grid = matrix.grid,
                                         .scales = scales.get()});
      if (gain.changed != 0) add_changes(hessian, index, delta, rows, solution, context);
      total.objective += gain.objective;
      total.changed += gain.changed;
    }
    context.progress.advance(static_cast<double>(rows.size()) / static_cast<double>(solution.rows));
  }
  return total;
}

CodeStatistics store(const ScaledMatrix& matrix, const Solution& solution, std::uint8_t* codes, Context& context) {
  const std::size_t blocks = block_count(matrix.padded_rows, solver_block_rows(matrix.rows));
  std::vector<CodeStatistics> parts(blocks);
  context.pool.parallel_for(blocks, context.stop, [&](std::size_t index) {
    const Block rows = solver_block(matrix, index);
    RowBlockState state(rows.size(), matrix.columns);
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      std::memcpy(state.q.data() + c * state.stride, solution.q.data() + c * solution.stride + rows.begin, rows.size() * sizeof(float));
    }
    parts[index] = store_rows(matrix, rows, state, codes);
  });
  CodeStatistics total;
  for (const CodeStatistics& part : parts) {
    total.squared_error += part.squared_error;
    total.squared_value += part.squared_value;
    total.changed += part.changed;
  }
  return total;
}

}  // namespace

RoundedMatrix round_both_sides(const ScaledMatrix& matrix, DenseHessian& hessian, const OutputSquare& outputs, std::uint32_t sweep_limit,
                               double progress_end, Context& context) {
  const double start = context.progress.fraction();
  const auto phase = [&](double share, double units) { context.progress.begin_phase(start + (progress_end - start) * share, units); };
  const std::size_t blocks = block_count(matrix.padded_rows, solver_block_rows(matrix.rows));
  Solution solution(matrix);
  RoundedMatrix result;

  phase(0.15, static_cast<double>(blocks));
  context.pool.parallel_for(blocks, context.stop, [&](std::size_t index) {
    const Block rows = solver_block(matrix, index);
    RowBlockState state(rows.size(), matrix.columns);
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      kernels().nearest_error(matrix.column(c) + rows.begin, rows.size(), matrix.grid, matrix.nearest_scales_of(c, rows.begin),
                              state.e.data() + c * state.stride);
    }
    store_products(hessian, rows, state, solution, context.stop);
    context.progress.advance();
  });
  result.objective_nearest = objective(matrix, outputs, solution, context, [&](std::size_t column, float* errors) {
    kernels().nearest_error(matrix.column(column), matrix.padded_rows, matrix.grid, matrix.nearest_scales_of(column, 0), errors);
  });

  phase(0.2, 1);
  factorise(hessian, context);
  phase(0.5, static_cast<double>(blocks));
  std::vector<std::uint32_t> sweeps(blocks);
  context.pool.parallel_for(blocks, context.stop, [&](std::size_t index) {
    const Block rows = solver_block(matrix, index);
    RowBlockState state(rows.size(), matrix.columns);
    sweeps[index] = solve_rows(matrix, hessian, matrix.grid, sweep_limit, rows, state, context.stop).sweeps;
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      std::memcpy(solution.q.data() + c * solution.stride + rows.begin, state.q.data() + c * state.stride, rows.size() * sizeof(float));
    }
    store_products(hessian, rows, state, solution, context.stop);
    context.progress.advance();
  });
  const double before = objective(matrix, outputs, solution, context, [&](std::size_t column, float* errors) {
    const float* q = solution.q.data() + column * solution.stride;
    const float* w = matrix.column(column);
    for (std::size_t r = 0; r < solution.stride; ++r) errors[r] = q[r] - w[r];
  });
  result.objective = before;

  // Most of the gain comes with the first three.
  phase(1.0, 3);
  std::uint32_t coupled = 0;
  while (coupled < sweep_limit) {
    const SweepGain gain = sweep_once(matrix, hessian, outputs, solution, context);
    ++coupled;
    const double objective_before = result.objective;
    result.objective -= gain.objective;
    if (gain.changed == 0 || !(gain.objective >= smallest_coupled_gain * objective_before)) break;
  }
  result.sweeps = std::min(*std::max_element(sweeps.begin(), sweeps.end()) + coupled, sweep_limit);
  result.codes = Buffer<std::uint8_t>(matrix.rows * matrix.columns);
  result.statistics = store(matrix, solution, result.codes.data(), context);
  keep_nearest_if_not_better(matrix, result, context);
  return result;
}

std::uint64_t both_sides_bytes(std::uint64_t rows, std::uint64_t columns, std::size_t threads) {
  const std::uint64_t at_once = std::min<std::uint64_t>(threads, block_count(rows, solver_block_rows(rows)));
  return dense_hessian_bytes(columns) + 2 * round_up(rows, row_quantum) * columns * sizeof(float) + rows * columns +
         at_once * row_block_state_bytes(rows, columns) + at_once * round_up(rows, row_quantum) * gradient_columns * sizeof(float);
}

}  // namespace fp8
