// Sums in a fixed order.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

namespace fp8::cuda {

// Doubles that one call of inner_products writes for `rows` rows and `columns` columns.
std::int64_t inner_product_parts(std::int64_t rows, std::int64_t columns);

// Σ_ij (high + low)_ij · y_ji over a slice of columns, in parts: high and low are row-major, y has one row per column.
void inner_products(const __half* high, const __half* low, std::int64_t leading, const float* y, std::int64_t y_leading, std::int64_t rows,
                    std::int64_t columns, double* parts, cudaStream_t stream);

// *sum = Σ values, in a fixed order.
void sum_in_order(const double* values, std::int64_t count, double* sum, cudaStream_t stream);

}  // namespace fp8::cuda
