// E = Q − W in units, row-major with columns in rounding order, as the products need it.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "code_target.h"
#include "fp8/job.h"

namespace fp8::cuda {

// W by columns in rounding order; see transpose.h.
struct ColumnMatrix {
  SourceDtype dtype = SourceDtype::bf16;
  const void* data = nullptr;
  std::int64_t leading = 0;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  float scale = 1;
  CodeTarget target = {};
  CodeTarget nearest = {};  // of nearest rounding, whose scales may be others
};

// high + low = value of the codes − w / scale (see split.cuh); rows × leading each. Without `codes`, of nearest rounding.
void split_errors(const ColumnMatrix& w, const std::uint8_t* codes, std::int64_t codes_leading, __half* high, __half* low,
                  std::int64_t leading, cudaStream_t stream);

}  // namespace fp8::cuda
