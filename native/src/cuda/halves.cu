// out = f16(w · 2ᵏ): exact for F16 and BF16 sources down to 2⁻²² of the largest magnitude, else within 2⁻¹² of the value.
#include "check.h"
#include "halves.h"
#include "source.cuh"

namespace fp8::cuda {

namespace {

template <SourceDtype dtype>
__global__ void to_halves_kernel(const typename Source<dtype>::Bits* __restrict__ in, std::int64_t count, float factor,
                                 __half* __restrict__ out) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    out[i] = __float2half_rn(Source<dtype>::decode(in[i]) * factor);
  }
}

}  // namespace

void to_halves(const void* in, SourceDtype dtype, std::int64_t count, float factor, __half* out, cudaStream_t stream) {
  with_dtype(dtype, [&]<SourceDtype d>() {
    to_halves_kernel<d><<<2048, 256, 0, stream>>>(static_cast<const typename Source<d>::Bits*>(in), count, factor, out);
  });
  check_launch("to_halves");
}

}  // namespace fp8::cuda
