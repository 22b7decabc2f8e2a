// Both sides: sweeps for tr(G E H Eᵀ), whose rows are coupled by G, after the one-sided steps. Each sweep takes every tile of 128 rows and
// 128 columns once, all those of a step at once (see coupled_columns.h). Y = E H is kept for all rows: Γ = G Y of a step's tiles is a
// product, and so is what their moves change of Y.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>
#include <string>

#include "bump.h"
#include "coupled_columns.h"
#include "hessian.h"
#include "learned_rounding.h"
#include "solver.h"
#include "term_stream.h"

namespace fp8::cuda {

class CoupledSweeps {
 public:
  // Takes its buffers from `bump`.
  CoupledSweeps(Bump& bump, const Statistics& outputs, std::int64_t rows, std::int64_t columns);

  // Forms G. `solver` has not begun with anything that matters.
  void begin(const SourceMatrix& source, const MatrixSummary& summary, const Statistics& outputs, Solver& solver,
             const Execution& execution, const std::string& tensor);

  // All rows must be at hand in the solver. bound: tr(E H Eᵀ) of the errors, or more; largest: of H's diagonal.
  double objective_of_nearest(Solver& solver, const SplitMatrix& hessian, double bound, double largest);
  double objective_of_codes(Solver& solver, const SplitMatrix& hessian, double bound, double largest);

  // After objective_of_codes, whose result is `objective`. Returns how many sweeps were made.
  std::uint32_t sweep(Solver& solver, const SplitMatrix& hessian, const float* diagonal, double objective, double largest,
                      std::uint32_t limit);

  double damping() const { return damping_; }

 private:
  void form(TermStream& terms, const Statistics& outputs, const __half* weights, std::int64_t weights_leading, double gram_alpha);
  double objective(Solver& solver, const SplitMatrix& hessian, double bound, double largest);
  // Enqueues a sweep.
  void sweep_once(const Solver& solver, const SplitMatrix& hessian, const float* diagonal);
  // Y of the errors at hand, in FP16.
  void form_products(const Solver& solver, const SplitMatrix& hessian);

  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t row_leading_;
  std::int64_t square_rows_;
  SplitMatrix g_;
  float* g_diagonal_;
  float* square_;     // square_rows_ rows of G while it is formed, or an outer block of G Y
  __half* products_;  // Yᵀ · products_scale_: columns × row_leading_
  __half* low_;       // what FP16 loses of an outer block of it
  CoupledBuffers tiles_;
  double* change_;  // of the objective, by a sweep
  TermBuffers terms_;

  double damping_ = 0;
  float products_scale_ = 1;
  Execution execution_;
};

}  // namespace fp8::cuda
