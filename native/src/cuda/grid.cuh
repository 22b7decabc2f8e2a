// The E4M3 grid in FP32 arithmetic, without branches: what the inner loops use. Agrees with fp8/fp8.h on every finite value.
#pragma once

#include <cstdint>

namespace fp8::cuda {

// The grid value nearest to x, ties to even, saturating at ±448. Adding and subtracting 1.5 · 2^(exponent + 20) leaves a significand of
// 4 bits, rounded as the hardware rounds; below 2⁻⁶ the exponent stays, which gives the subnormals' fixed step of 2⁻⁹.
__device__ inline float round_to_grid(float x) {
  const unsigned exponent = max(__float_as_uint(x) & 0x7F800000U, 0x3C800000U);
  const float shift = __uint_as_float(exponent + 0x0A400000U);
  const float rounded = __fsub_rn(__fadd_rn(x, shift), shift);
  return fminf(fmaxf(rounded, -448.0F), 448.0F);
}

// The code of a grid value. +0 for both zeros of `value` except that −0 keeps its sign.
__device__ inline std::uint8_t code_of_grid_value(float value) {
  const unsigned bits = __float_as_uint(value);
  const unsigned magnitude = bits & 0x7FFFFFFFU;
  const unsigned code = magnitude >= 0x3C800000U ? (magnitude >> 20) - 960U : static_cast<unsigned>(__uint_as_float(magnitude) * 512.0F);
  return static_cast<std::uint8_t>(bits >> 24 & 0x80U | code);
}

__device__ inline float grid_value_of_code(std::uint8_t code) {
  const float magnitude = __uint_as_float(static_cast<unsigned>(code & 0x7FU) << 20) * 0x1p120F;
  return __uint_as_float(__float_as_uint(magnitude) | static_cast<unsigned>(code & 0x80U) << 24);
}

}  // namespace fp8::cuda
