#include "solver.h"

#include <algorithm>

#include "check.h"
#include "objective.h"
#include "round_columns.h"

namespace fp8::cuda {

namespace {

// A sweep that lowers the objective of a block of rows by less than this share of it is the block's last.
constexpr double smallest_gain = 1e-3;

struct Span {
  int begin;
  int end;
  int size() const { return end - begin; }
};

// Calls body for the blocks of `whole`, the last first.
template <typename Body>
void for_blocks_backwards(Span whole, int step, Body body) {
  for (int begin = whole.begin + (whole.size() - 1) / step * step; begin >= whole.begin; begin -= step) {
    body(Span{begin, std::min(begin + step, whole.end)});
  }
}

}  // namespace

Solver::Solver(Bump& bump, std::int64_t rows, std::int64_t matrix_rows, std::int64_t columns, SourceDtype dtype)
    : columns_(columns), row_leading_(round_up(rows, 64)), column_leading_(round_up(columns, round_block)) {
  w_columns_ = bump.take<std::byte>(columns * row_leading_ * static_cast<std::int64_t>(byte_size(dtype)));
  codes_ = bump.take<std::uint8_t>(columns * row_leading_);
  high_ = bump.take<__half>(rows * column_leading_);
  low_ = bump.take<__half>(rows * column_leading_);
  y_ = bump.take<float>(std::min<std::int64_t>(outer_block, columns) * row_leading_);
  changes_ = bump.take<__half>(rows * round_block);
  row_objective_ = bump.take<double>(rows);
  const std::int64_t outer_blocks = (columns + outer_block - 1) / outer_block;
  parts_ = bump.take<double>(outer_blocks * inner_product_parts(rows, std::min<std::int64_t>(outer_block, columns)));
  sum_ = bump.take<double>(1);
  const std::int64_t per_block = rows_per_stop(matrix_rows);
  const std::int64_t blocks = (rows + per_block - 1) / per_block;
  stop_ = {bump.take<double>(blocks), bump.take<int>(blocks), bump.take<int>(1), per_block};
}

void Solver::begin(const ColumnMatrix& w, const Execution& execution) {
  w_ = w;
  execution_ = execution;
}

// y[0 … a_rows) = alpha · a · bᵀ + beta · y, one row of y per row of a.
void Solver::multiply(const __half* a, std::int64_t a_leading, int a_rows, const __half* b, std::int64_t b_leading, int depth, float* y,
                      float alpha, float beta) {
  gemm({.rows = a_rows,
        .columns = static_cast<int>(w_.rows),
        .depth = depth,
        .a = {a, a_leading},
        .b = {b, b_leading},
        .c = y,
        .c_leading = row_leading_,
        .alpha = alpha,
        .beta = beta},
       execution_.path, execution_.stream);
}

double Solver::read_sum(std::int64_t count, const double* values) {
  sum_in_order(values, count, sum_, execution_.stream);
  check(cudaMemcpyAsync(execution_.mailbox, sum_, sizeof(double), cudaMemcpyDeviceToHost, execution_.stream), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(execution_.stream), "learned rounding");
  return *static_cast<const double*>(execution_.mailbox);
}

void Solver::split_codes() { split_errors(w_, codes_, row_leading_, high_, low_, column_leading_, execution_.stream); }

void Solver::split_nearest() { split_errors(w_, nullptr, 0, high_, low_, column_leading_, execution_.stream); }

double Solver::objective_of_codes(const SplitMatrix& hessian) {
  split_codes();
  return objective(hessian);
}

double Solver::objective_of_nearest(const SplitMatrix& hessian) {
  split_nearest();
  return objective(hessian);
}

void Solver::multiply_errors(const SplitMatrix& hessian, int begin, int width) {
  float beta = 0;
  const auto product = [&](const __half* h, const __half* e) {
    multiply(h + begin * hessian.leading, hessian.leading, width, e, column_leading_, static_cast<int>(columns_), y_, 1.0F / hessian.scale,
             beta);
    beta = 1;
  };
  product(hessian.high, high_);
  product(hessian.high, low_);
  product(hessian.low, high_);
}

void Solver::add_inner_products(const float* y, int begin, int width) {
  inner_products(high_ + begin, low_ + begin, column_leading_, y, row_leading_, w_.rows, width, parts_end_, execution_.stream);
  parts_end_ += inner_product_parts(w_.rows, width);
}

// H is symmetric: a pair of different blocks counts twice and is multiplied once. (high + low)(high + low) without low · low.
double Solver::objective(const SplitMatrix& hessian) {
  const int columns = static_cast<int>(columns_);
  const float unit = 1.0F / hessian.scale;
  double* parts = parts_;
  for_blocks_backwards({0, columns}, outer_block, [&](Span outer) {
    execution_.tick(0);
    float beta = 0;
    const auto add = [&](Span inner, float weight) {
      if (inner.size() == 0) return;
      const std::int64_t offset = outer.begin * hessian.leading + inner.begin;
      const auto product = [&](const __half* h, const __half* e) {
        multiply(h + offset, hessian.leading, outer.size(), e + inner.begin, column_leading_, inner.size(), y_, weight * unit, beta);
        beta = 1;
      };
      product(hessian.high, high_);
      product(hessian.high, low_);
      product(hessian.low, high_);
    };
    add({outer.end, columns}, 2.0F);
    add(outer, 1.0F);
    inner_products(high_ + outer.begin, low_ + outer.begin, column_leading_, y_, row_leading_, w_.rows, outer.size(), parts,
                   execution_.stream);
    parts += inner_product_parts(w_.rows, outer.size());
  });
  return read_sum(parts - parts_, parts_);
}

void Solver::feed_back(const Steering& steering) {
  const cudaStream_t stream = execution_.stream;
  const Factor& factor = steering.factor;
  const int columns = static_cast<int>(columns_);
  check(cudaMemsetAsync(row_objective_, 0, static_cast<std::size_t>(w_.rows) * sizeof(double), stream), "cudaMemsetAsync");
  for_blocks_backwards({0, columns}, outer_block, [&](Span outer) {
    execution_.tick(0);
    if (outer.end == columns) {
      check(cudaMemsetAsync(y_, 0, static_cast<std::size_t>(outer.size() * row_leading_) * sizeof(float), stream), "cudaMemsetAsync");
    } else {
      multiply(factor.transposed + outer.begin * factor.leading + outer.end, factor.leading, outer.size(), high_ + outer.end,
               column_leading_, columns - outer.end, y_, -1.0F, 0.0F);
    }
    for_blocks_backwards(outer, round_block, [&](Span inner) {
      const auto element = static_cast<std::int64_t>(byte_size(w_.dtype));
      feed_back_block({.dtype = w_.dtype,
                       .w = static_cast<const std::byte*>(w_.data) + inner.begin * w_.leading * element,
                       .w_leading = w_.leading,
                       .scale = w_.scale,
                       .target = w_.target.from(inner.begin),
                       .y = y_ + (inner.begin - outer.begin) * row_leading_,
                       .y_leading = row_leading_,
                       .codes = codes_ + inner.begin * row_leading_,
                       .codes_leading = row_leading_,
                       .errors = high_ + inner.begin,
                       .errors_leading = column_leading_,
                       .row_objective = row_objective_,
                       .rows = static_cast<int>(w_.rows),
                       .columns = inner.size()},
                      factor.blocks + static_cast<std::int64_t>(inner.begin) * factor_block, factor.pivots + inner.begin, stream);
      multiply(factor.transposed + outer.begin * factor.leading + inner.begin, factor.leading, inner.begin - outer.begin,
               high_ + inner.begin, column_leading_, inner.size(), y_, -1.0F, 1.0F);
    });
  });
  start_sweeps(row_objective_, w_.rows, stop_, stream);
}

int Solver::sweep(const Steering& steering) {
  const cudaStream_t stream = execution_.stream;
  const SplitMatrix& h = steering.hessian;
  const int columns = static_cast<int>(columns_);
  const float unit = 1.0F / h.scale;
  check(cudaMemsetAsync(row_objective_, 0, static_cast<std::size_t>(w_.rows) * sizeof(double), stream), "cudaMemsetAsync");
  for_blocks_backwards({0, columns}, outer_block, [&](Span outer) {
    execution_.tick(0);
    multiply(h.high + outer.begin * h.leading, h.leading, outer.size(), high_, column_leading_, columns, y_, unit, 0.0F);
    for_blocks_backwards(outer, round_block, [&](Span inner) {
      const auto element = static_cast<std::int64_t>(byte_size(w_.dtype));
      sweep_block({.dtype = w_.dtype,
                   .w = static_cast<const std::byte*>(w_.data) + inner.begin * w_.leading * element,
                   .w_leading = w_.leading,
                   .scale = w_.scale,
                   .target = w_.target.from(inner.begin),
                   .y = y_ + (inner.begin - outer.begin) * row_leading_,
                   .y_leading = row_leading_,
                   .codes = codes_ + inner.begin * row_leading_,
                   .codes_leading = row_leading_,
                   .errors = high_ + inner.begin,
                   .errors_leading = column_leading_,
                   .row_objective = row_objective_,
                   .rows = static_cast<int>(w_.rows),
                   .columns = inner.size()},
                  h.high + inner.begin * h.leading + inner.begin, h.leading, h.scale, steering.diagonal + inner.begin, changes_,
                  stop_.active, stop_.rows_per_block, stream);
      multiply(h.high + outer.begin * h.leading + inner.begin, h.leading, inner.begin - outer.begin, changes_, round_block, inner.size(),
               y_, unit, 1.0F);
    });
  });
  end_sweep(row_objective_, w_.rows, smallest_gain, stop_, stream);
  check(cudaMemcpyAsync(execution_.mailbox, stop_.active_count, sizeof(int), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "learned rounding");
  return *static_cast<const int*>(execution_.mailbox);
}

}  // namespace fp8::cuda
