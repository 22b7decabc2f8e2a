// Between a file's layout (row-major, columns in their own order) and the solver's (one row per column of W, in rounding order).
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "fp8/job.h"

namespace fp8::cuda {

// out[position_of_column[c]][i] = in[i][c], for elements of 2 or 4 bytes; c itself without positions. in: rows × columns; out: columns ×
// out_leading, zero beyond rows.
void transpose_to_order(const void* in, SourceDtype dtype, std::int64_t rows, std::int64_t columns, const std::int32_t* position_of_column,
                        void* out, std::int64_t out_leading, cudaStream_t stream);

// out[i][c] = in[position_of_column[c]][i], for codes. in: columns × in_leading; out: rows × columns.
void transpose_from_order(const std::uint8_t* in, std::int64_t in_leading, std::int64_t rows, std::int64_t columns,
                          const std::int32_t* position_of_column, std::uint8_t* out, cudaStream_t stream);

}  // namespace fp8::cuda
