// Both sides: sweeps for tr(G E H Eᵀ), whose rows are coupled by G, after the one-sided steps. As on the CPU, 128 rows at a time go through
// all columns, and each element sees what was changed before it; nearly so inside a tile (see coupled_columns.cu). One matrix keeps little
// of a GPU busy: several are in flight.
//
// Y = E H is kept for all rows. For 128 rows, Γ = G Y is one product; what a tile changes reaches the tiles after it through
// Γ += (G d) H, and Y of the rows by another product at the end.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>
#include <string>

#include "bump.h"
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
  double sweep_once(Solver& solver, const SplitMatrix& hessian, const float* diagonal);
  void sweep_rows(Solver& solver, const SplitMatrix& hessian, const float* diagonal, int first, int rows);

  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t row_leading_;
  std::int64_t square_rows_;
  SplitMatrix g_;
  float* g_diagonal_;
  float* square_;     // square_rows_ rows of G while it is formed, or an outer block of G Y
  __half* products_;  // Yᵀ · products_scale_: columns × row_leading_
  __half* low_;       // what FP16 loses of an outer block of it
  float* gamma_;      // columns × coupled_tile
  __half* moved_;     // coupled_tile²
  float* scratch_;    // coupled_tile²
  double* changes_;   // of the objective, by 128 rows
  TermBuffers terms_;

  double damping_ = 0;
  float products_scale_ = 1;
  Execution execution_;
};

}  // namespace fp8::cuda
