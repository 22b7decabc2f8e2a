// Products and statistics as the halves that coupled sweeps and tensor cores read.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "fp8/job.h"

namespace fp8::cuda {

// out[c][i] = f16(in[c][i] · factor), kept finite, for `count` values of each of `columns` rows.
void store_products(const float* in, std::int64_t in_leading, std::int64_t columns, std::int64_t count, float factor, __half* out,
                    std::int64_t out_leading, cudaStream_t stream);

// The same as the sum of two halves (see split.cuh).
void split_products(const float* in, std::int64_t in_leading, std::int64_t columns, std::int64_t count, float factor, __half* high,
                    __half* low, std::int64_t out_leading, cudaStream_t stream);

// in: rows × columns of the source's dtype; out[i][j] = f16(in[i][j] · factor), zero from `columns` to out_leading.
void halves_by_rows(const void* in, SourceDtype dtype, std::int64_t rows, std::int64_t columns, float factor, __half* out,
                    std::int64_t out_leading, cudaStream_t stream);

// Rows [first, first + rows) of a symmetric matrix of `size` columns, plus damping on its diagonal, as halves times `scale`; zero from
// `size` to `leading`. diagonal: of all rows.
void finish_output_rows(const float* square, std::int64_t square_leading, int first, int rows, int size, float damping, float scale,
                        __half* high, __half* low, std::int64_t leading, float* diagonal, cudaStream_t stream);

}  // namespace fp8::cuda
