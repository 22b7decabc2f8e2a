// W by columns as F16 operands of the Gram product, where the source's own dtype cannot be one.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "fp8/job.h"

namespace fp8::cuda {

// out[i] = f16(decode(in[i]) · factor); factor is a power of two that puts the largest magnitude at or below 2⁸, so that sums stay finite.
void to_halves(const void* in, SourceDtype dtype, std::int64_t count, float factor, __half* out, cudaStream_t stream);

}  // namespace fp8::cuda
