// What must be known of a matrix before it can be rounded, in one pass over it:
//   amax = max |w|, the count of NaN and Inf, and for each column j the sum of squares Σ_i w_ij² (the diagonal of WᵀW).
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "fp8/job.h"

namespace fp8::cuda {

struct MatrixSummary {
  std::uint32_t amax_bits = 0;  // the bits of a non-negative float compare as it does
  std::uint32_t padding = 0;
  std::uint64_t non_finite = 0;
  double sum_of_squares = 0;
  double largest_column = 0;
};

// Doubles that `partial` must hold.
std::int64_t column_statistics_scratch(std::int64_t rows, std::int64_t columns);

// source: rows × columns, row-major. squares: one double a column. summary: in device memory. Sums have a fixed order.
void column_statistics(const void* source, SourceDtype dtype, std::int64_t rows, std::int64_t columns, double* partial, double* squares,
                       MatrixSummary* summary, cudaStream_t stream);

}  // namespace fp8::cuda
