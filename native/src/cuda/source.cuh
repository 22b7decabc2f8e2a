// Decoding of the source dtypes. Formula: value = bits read as F32, F16 or BF16, exactly.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

#include "fp8/job.h"

namespace fp8::cuda {

template <SourceDtype dtype>
struct Source;

template <>
struct Source<SourceDtype::f32> {
  using Bits = std::uint32_t;
  __device__ static float decode(Bits bits) { return __uint_as_float(bits); }
};

template <>
struct Source<SourceDtype::f16> {
  using Bits = std::uint16_t;
  __device__ static float decode(Bits bits) { return __half2float(__ushort_as_half(bits)); }
};

template <>
struct Source<SourceDtype::bf16> {
  using Bits = std::uint16_t;
  __device__ static float decode(Bits bits) { return __uint_as_float(static_cast<unsigned>(bits) << 16); }
};

// Calls `body` with the dtype as a compile-time constant: body.template operator()<dtype>().
template <typename Body>
void with_dtype(SourceDtype dtype, Body body) {
  switch (dtype) {
    case SourceDtype::f32:
      return body.template operator()<SourceDtype::f32>();
    case SourceDtype::f16:
      return body.template operator()<SourceDtype::f16>();
    case SourceDtype::bf16:
      return body.template operator()<SourceDtype::bf16>();
  }
}

}  // namespace fp8::cuda
