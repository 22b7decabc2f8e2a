#include "coupled_sweeps.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "check.h"
#include "coupled_columns.h"
#include "coupled_products.h"
#include "gemm.h"
#include "resources.h"

namespace fp8::cuda {

namespace {

// As on the CPU: a sweep that lowers the objective by less than this share of it is the last.
constexpr double smallest_gain = 5e-3;
constexpr std::int64_t square_bytes = std::int64_t{64} << 20;

// Rows of G that are formed at a time, and room for G times an outer block of Yᵀ.
std::int64_t rows_at_once(std::int64_t rows, std::int64_t leading) {
  const std::int64_t fitting = std::max<std::int64_t>(coupled_tile, square_bytes / 4 / leading / coupled_tile * coupled_tile);
  return std::min(fitting, round_up(rows, coupled_tile));
}

// The power of two that brings what is at most `largest` below 2¹⁵.
float scale_below_overflow(double largest) {
  return largest > 0 ? static_cast<float>(std::exp2(15 - std::ceil(std::log2(largest)))) : 1.0F;
}

}  // namespace

CoupledSweeps::CoupledSweeps(Bump& bump, const Statistics& outputs, std::int64_t rows, std::int64_t columns)
    : rows_(rows),
      columns_(columns),
      row_leading_(round_up(rows, 64)),
      square_rows_(rows_at_once(rows, row_leading_)),
      g_{bump.take<__half>(rows * row_leading_), bump.take<__half>(rows * row_leading_), row_leading_, 1.0F},
      g_diagonal_(bump.take<float>(rows)),
      square_(bump.take<float>(std::max(square_rows_, std::min<std::int64_t>(outer_block, columns)) * row_leading_)),
      products_(bump.take<__half>(columns * row_leading_)),
      low_(bump.take<__half>(std::min<std::int64_t>(outer_block, columns) * row_leading_)),
      tiles_(bump, rows, columns),
      change_(bump.take<double>(1)),
      terms_(bump, outputs, rows) {}

void CoupledSweeps::begin(const SourceMatrix& source, const MatrixSummary& summary, const Statistics& outputs, Solver& solver,
                          const Execution& execution, const std::string& tensor) {
  execution_ = execution;
  damping_ = outputs.damping;
  TermStream terms(outputs, rows_, terms_, execution_, tensor);
  terms.read_diagonals(nullptr, summary.sum_of_squares);
  const float amax = std::bit_cast<float>(summary.amax_bits);
  const double lift = std::exp2(8 - std::ceil(std::log2(static_cast<double>(amax))));
  const bool has_gram = std::any_of(outputs.terms.begin(), outputs.terms.end(),
                                    [](const StatisticsTerm& term) { return term.kind == StatisticsTerm::Kind::gram; });
  if (has_gram) {
    halves_by_rows(source.data, source.dtype, rows_, columns_, static_cast<float>(lift), solver.errors(), solver.errors_leading(),
                   execution_.stream);
  }
  form(terms, outputs, solver.errors(), solver.errors_leading(), 1 / (lift * lift));
}

// A few rows of G at a time: the whole of it never exists in FP32.
void CoupledSweeps::form(TermStream& terms, const Statistics& outputs, const __half* weights, std::int64_t weights_leading,
                         double gram_alpha) {
  // Of mean diagonal 1 and positive definite, no entry can be larger.
  g_.scale = split_scale(static_cast<double>(rows_) + damping_);
  const cudaStream_t stream = execution_.stream;
  for (std::int64_t first = 0; first < rows_; first += square_rows_) {
    execution_.tick(0.05);
    const SquareWindow window{square_, row_leading_, static_cast<int>(first), static_cast<int>(std::min(square_rows_, rows_ - first)),
                              false};
    check(cudaMemsetAsync(square_, 0, static_cast<std::size_t>(window.rows * row_leading_) * sizeof(float), stream), "cudaMemsetAsync");
    for (std::size_t i = 0; i < outputs.terms.size(); ++i) {
      if (outputs.terms[i].kind != StatisticsTerm::Kind::gram) {
        terms.add(i, nullptr, window);
        continue;
      }
      gemm({.rows = window.rows,
            .columns = static_cast<int>(rows_),
            .depth = static_cast<int>(columns_),
            .a = {weights + first * weights_leading, weights_leading},
            .b = {weights, weights_leading},
            .c = square_,
            .c_leading = row_leading_,
            .alpha = static_cast<float>(terms.factor(i) * gram_alpha),
            .beta = 1.0F},
           execution_.path, stream);
    }
    finish_output_rows(square_, row_leading_, window.first, window.rows, static_cast<int>(rows_), static_cast<float>(damping_), g_.scale,
                       g_.high, g_.low, row_leading_, g_diagonal_, stream);
  }
}

double CoupledSweeps::objective_of_nearest(Solver& solver, const SplitMatrix& hessian, double bound, double largest) {
  solver.split_nearest();
  return objective(solver, hessian, bound, largest);
}

double CoupledSweeps::objective_of_codes(Solver& solver, const SplitMatrix& hessian, double bound, double largest) {
  solver.split_codes();
  return objective(solver, hessian, bound, largest);
}

// Σ E ∘ (G E H), a block of columns at a time, every product with both halves of both operands but low · low. Leaves Y for the sweeps.
double CoupledSweeps::objective(Solver& solver, const SplitMatrix& hessian, double bound, double largest) {
  // |Y_ij|² ≤ (e_i H e_iᵀ) H_jj.
  products_scale_ = scale_below_overflow(std::sqrt(bound * largest));
  const cudaStream_t stream = execution_.stream;
  const auto rows = static_cast<int>(rows_);
  solver.start_inner_products();
  for (std::int64_t begin = 0; begin < columns_; begin += outer_block) {
    execution_.tick(0);
    const auto width = static_cast<int>(std::min<std::int64_t>(outer_block, columns_ - begin));
    solver.multiply_errors(hessian, static_cast<int>(begin), width);
    __half* high = products_ + begin * row_leading_;
    split_products(solver.products(), row_leading_, width, rows_, products_scale_, high, low_, row_leading_, stream);
    float beta = 0;
    const auto add = [&](const __half* y, const __half* g) {
      gemm({.rows = width,
            .columns = rows,
            .depth = rows,
            .a = {y, row_leading_},
            .b = {g, row_leading_},
            .c = square_,
            .c_leading = row_leading_,
            .alpha = 1.0F / (products_scale_ * g_.scale),
            .beta = beta},
           execution_.path, stream);
      beta = 1;
    };
    add(high, g_.high);
    add(high, g_.low);
    add(low_, g_.high);
    solver.add_inner_products(square_, static_cast<int>(begin), width);
  }
  return solver.read_inner_products();
}

std::uint32_t CoupledSweeps::sweep(Solver& solver, const SplitMatrix& hessian, const float* diagonal, double objective, double largest,
                                   std::uint32_t limit) {
  // G is at least damping · I, and the objective only falls: this holds for the errors of every sweep.
  const double bound = 1.01 * objective / damping_;
  products_scale_ = scale_below_overflow(std::sqrt(bound * largest));
  const cudaStream_t stream = execution_.stream;
  // A sweep is hundreds of short kernels; with several matrices in flight they would wait for their launches. The first loads the kernels,
  // which is better not done while a graph is recorded.
  std::optional<Graph> graph;
  std::uint32_t sweeps = 0;
  while (sweeps < limit) {
    execution_.tick(0.9 - 0.5 / (1 + sweeps));
    if (sweeps == 0) {
      sweep_once(solver, hessian, diagonal);
    } else {
      if (!graph) graph.emplace(stream, [&] { sweep_once(solver, hessian, diagonal); });
      graph->launch(stream);
    }
    check(cudaMemcpyAsync(execution_.mailbox, change_, sizeof(double), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream), "learned rounding");
    const double gain = -*static_cast<const double*>(execution_.mailbox);
    ++sweeps;
    const double before = objective;
    objective -= gain;
    if (!(gain >= smallest_gain * before)) break;
  }
  return sweeps;
}

void CoupledSweeps::form_products(const Solver& solver, const SplitMatrix& hessian) {
  for (std::int64_t begin = 0; begin < columns_; begin += outer_block) {
    const auto width = static_cast<int>(std::min<std::int64_t>(outer_block, columns_ - begin));
    gemm({.rows = width,
          .columns = static_cast<int>(rows_),
          .depth = static_cast<int>(columns_),
          .a = {hessian.high + begin * hessian.leading, hessian.leading},
          .b = {solver.errors(), solver.errors_leading()},
          .c = square_,
          .c_leading = row_leading_,
          .alpha = 1.0F / hessian.scale},
         execution_.path, execution_.stream);
    store_products(square_, row_leading_, width, rows_, products_scale_, products_ + begin * row_leading_, row_leading_, execution_.stream);
  }
}

void CoupledSweeps::sweep_once(const Solver& solver, const SplitMatrix& hessian, const float* diagonal) {
  const ColumnMatrix& w = solver.matrix();
  const CoupledMatrix matrix{.dtype = w.dtype,
                             .w = w.data,
                             .w_leading = w.leading,
                             .scale = w.scale,
                             .target = w.target,
                             .codes = solver.mutable_codes(),
                             .codes_leading = solver.columns_leading(),
                             .errors = solver.errors(),
                             .errors_leading = solver.errors_leading(),
                             .products = products_,
                             .products_leading = row_leading_,
                             .products_scale = products_scale_,
                             .g = g_.high,
                             .g_leading = row_leading_,
                             .g_scale = g_.scale,
                             .g_diagonal = g_diagonal_,
                             .h = hessian.high,
                             .h_leading = hessian.leading,
                             .h_scale = hessian.scale,
                             .h_diagonal = diagonal,
                             .objective = change_,
                             .rows = static_cast<int>(rows_),
                             .columns = static_cast<int>(columns_)};
  // Anew for each sweep: every change of Y rounds it.
  form_products(solver, hessian);
  check(cudaMemsetAsync(change_, 0, sizeof(double), execution_.stream), "cudaMemsetAsync");
  const int steps = CoupledSchedule(rows_, columns_).steps();
  for (int step = 0; step < steps; ++step) sweep_coupled_step(matrix, tiles_, step, execution_.stream);
}

}  // namespace fp8::cuda
