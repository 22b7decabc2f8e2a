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

// Columns whose products are at hand at once.
inline constexpr int outer_block = 1024;

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

  // What sweeps over both sides need besides; see coupled_sweeps.h.
  const ColumnMatrix& matrix() const { return w_; }
  std::uint8_t* mutable_codes() const { return codes_; }
  // E in FP16, row-major.
  __half* errors() const { return high_; }
  std::int64_t errors_leading() const { return column_leading_; }
  // E of nearest rounding, or of the codes at hand, in two halves.
  void split_nearest();
  void split_codes();
  // products() = (H E^T) of columns [begin, begin + width), to FP32 accuracy: one row for each, columns_leading() apart.
  void multiply_errors(const SplitMatrix& hessian, int begin, int width);
  const float* products() const { return y_; }
  // The sum over blocks of columns of E ∘ y, y as products().
  void start_inner_products() { parts_end_ = parts_; }
  void add_inner_products(const float* y, int begin, int width);
  double read_inner_products() { return read_sum(parts_end_ - parts_, parts_); }
  double read_sum(std::int64_t count, const double* values);

 private:
  double objective(const SplitMatrix& hessian);
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
  double* parts_end_ = nullptr;
  double* sum_;
  StopState stop_;

  ColumnMatrix w_;
  Execution execution_;
};

}  // namespace fp8::cuda
