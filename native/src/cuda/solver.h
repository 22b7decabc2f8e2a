// Solver: error feedback, sweeps and objective of one block of rows, from kernels and matrix products. Two levels: within 1024 columns each
// 128 are updated as soon as the 128 before them are done, beyond that by one product for all 1024.
#pragma once

#include <cstdint>

#include "bump.h"
#include "errors.h"
#include "factorise.h"
#include "gemm.h"
#include "hessian.h"
#include "learned_rounding.h"
#include "sweep_stop.h"

namespace fp8::cuda {

// What steers the rounding: H for the sweeps and its factor for the feedback.
struct Steering {
  SplitMatrix hessian;  // high alone is used
  const float* diagonal = nullptr;
  Factor factor;
};

class Solver {
 public:
  // Takes its buffers from `bump`, for up to `rows` of the matrix's `matrix_rows` rows at a time.
  Solver(Bump& bump, std::int64_t rows, std::int64_t matrix_rows, std::int64_t columns, SourceDtype dtype);

  // Nothing below may be called before this: the rows to work on, `w.data` filled by the caller.
  void begin(const ColumnMatrix& w, const Execution& execution);

  // tr(E H Eᵀ) of the codes at hand, or of nearest rounding, to FP32 accuracy.
  double objective_of_codes(const SplitMatrix& hessian);
  double objective_of_nearest(const SplitMatrix& hessian);
  void feed_back(const Steering& steering);
  // After feed_back. Returns how many blocks of rows want another sweep.
  int sweep(const Steering& steering);

  void* columns_buffer() const { return w_columns_; }
  std::int64_t columns_leading() const { return row_leading_; }
  const std::uint8_t* codes() const { return codes_; }

 private:
  double objective(const SplitMatrix& hessian);
  double read_sum(std::int64_t count, const double* values);
  void multiply(const __half* a, std::int64_t a_leading, int a_rows, const __half* b, std::int64_t b_leading, int depth, float* y,
                float alpha, float beta);

  std::int64_t columns_;
  std::int64_t row_leading_;     // of column-wise data
  std::int64_t column_leading_;  // of row-wise data
  void* w_columns_;
  std::uint8_t* codes_;
  __half* high_;
  __half* low_;
  float* y_;
  __half* changes_;
  double* row_objective_;
  double* parts_;
  double* sum_;
  StopState stop_;

  ColumnMatrix w_;
  Execution execution_;
};

}  // namespace fp8::cuda
