// TargetScales: the scales of one matrix, from its largest magnitudes to what is written: those of nearest rounding, those that learned
// rounding takes instead, and both as kernels read them.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

#include "block_scales.h"
#include "bump.h"
#include "code_target.h"
#include "core/scale_table.h"
#include "fp8/job.h"
#include "fp8/storage.h"

namespace fp8::cuda {

class TargetScales {
 public:
  // E4M3 with one scale, which is known.
  explicit TargetScales(float scale);
  // Takes its buffers from `bump`.
  TargetScales(Bump& bump, const CodeStorage& storage, std::int64_t rows, std::int64_t columns);

  // The scales of nearest rounding, also for learned rounding until others are chosen. amax: of the whole matrix, whose values are finite.
  void measure(const void* source, SourceDtype dtype, float amax, cudaStream_t stream);
  // Chooses the scales that fit best; see ScaleSearch for the weights of columns.
  void choose(const void* source, SourceDtype dtype, const double* diagonal, double factor, double damping, cudaStream_t stream);
  // For kernels that see columns in rounding order.
  void order_columns(const std::int32_t* position_of_column, cudaStream_t stream);

  // What weights are divided by, and the unit of errors: the scale, or a power of two where the target has scales of its own.
  float unit() const { return unit_; }
  const CodeTarget& target() const { return chosen_target_; }
  const CodeTarget& nearest_target() const { return nearest_target_; }
  bool has_others_than_nearest() const { return chosen_target_.scales != nearest_target_.scales; }
  const ScaleTable& nearest() const { return nearest_; }
  const ScaleTable& chosen() const { return has_others_than_nearest() ? chosen_ : nearest_; }

 private:
  BlockedMatrix blocked(const void* source, SourceDtype dtype) const { return {source, dtype, rows_, columns_, shape_}; }
  CodeTarget send(const ScaleTable& table, float* destination, cudaStream_t stream) const;

  CodeStorage storage_;
  std::int64_t rows_ = 0;
  std::int64_t columns_ = 0;
  ScaleShape shape_;
  bool is_plain_;
  float* values_ = nullptr;  // row-major, one for each block
  std::uint8_t* codes_ = nullptr;
  float* best_values_ = nullptr;
  std::uint8_t* best_codes_ = nullptr;
  float* nearest_scales_ = nullptr;  // as in CodeTarget
  float* chosen_scales_ = nullptr;
  std::int32_t* block_of_column_ = nullptr;
  float unit_ = 1;
  ScaleTable nearest_;
  ScaleTable chosen_;
  CodeTarget nearest_target_;
  CodeTarget chosen_target_;
};

}  // namespace fp8::cuda
