// The formats of codes, E4M3 (finite-only, "fn"), E5M2, E2M1 and symmetric INT8, and of scales: exact scalar encode and decode. Every
// other codec is tested against this one. Source: OCP 8-bit Floating Point Specification (OFP8), revision 1.0, and Microscaling Formats
// (MX) Specification, version 1.0; Micikevicius et al., arXiv:2209.05433.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define FP8_HOST_DEVICE __host__ __device__
#else
#define FP8_HOST_DEVICE
#endif

namespace fp8 {

inline constexpr float e4m3_max = 448.0F;
inline constexpr float e5m2_max = 57344.0F;
inline constexpr float e2m1_max = 6.0F;
// Symmetric: −128 is never written.
inline constexpr float int8_max = 127.0F;

namespace detail {

// Rounds a float to `mantissa_bits` with the exponent bias `bias`, to nearest, ties to even; |x| above `max_value` saturates, NaN becomes
// `nan_code`. Codes without the sign bit.
FP8_HOST_DEVICE constexpr std::uint8_t encode_magnitude(std::uint32_t bits, int mantissa_bits, int bias, std::uint8_t max_code,
                                                        std::uint8_t nan_code) {
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return nan_code;
  const int exponent = static_cast<int>(magnitude >> 23) - 127;
  const int smallest_normal = 1 - bias;
  // Bits of the 24-bit significand that fall below the target's last place.
  int dropped = 23 - mantissa_bits;
  std::uint32_t significand = (magnitude & 0x7FFFFFU) | (magnitude >> 23 != 0 ? 0x800000U : 0U);
  if (exponent < smallest_normal) dropped += smallest_normal - exponent;
  if (dropped > 24) return 0;
  const std::uint32_t half = 1U << (dropped - 1);
  const std::uint32_t odd = (significand >> dropped) & 1U;
  std::uint32_t code = (significand + half - 1 + odd) >> dropped;
  // A carry out of the significand moves into the exponent field by itself.
  if (exponent >= smallest_normal) code += static_cast<std::uint32_t>(exponent - smallest_normal) << mantissa_bits;
  return code > max_code ? max_code : static_cast<std::uint8_t>(code);
}

FP8_HOST_DEVICE constexpr float decode_magnitude(std::uint8_t code, int mantissa_bits, int bias) {
  const int exponent = code >> mantissa_bits;
  const int mantissa = code & ((1 << mantissa_bits) - 1);
  const int significand = exponent == 0 ? mantissa : mantissa | (1 << mantissa_bits);
  const int power = (exponent == 0 ? 1 : exponent) - bias - mantissa_bits;
  return static_cast<float>(significand) * std::bit_cast<float>(static_cast<std::uint32_t>(power + 127) << 23);
}

}  // namespace detail

// Round to nearest, ties to even; infinities and values beyond ±448 saturate to ±448; NaN gives 0x7F or 0xFF.
FP8_HOST_DEVICE constexpr std::uint8_t encode_e4m3(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint8_t>((bits >> 24) & 0x80U) | detail::encode_magnitude(bits, 3, 7, 0x7E, 0x7F);
}

FP8_HOST_DEVICE constexpr float decode_e4m3(std::uint8_t code) {
  if ((code & 0x7FU) == 0x7FU) return std::bit_cast<float>(0x7FC00000U | (code & 0x80U) << 24);
  const float magnitude = detail::decode_magnitude(code & 0x7FU, 3, 7);
  return (code & 0x80U) != 0 ? -magnitude : magnitude;
}

// Round to nearest, ties to even; infinities and values beyond ±57344 saturate to ±57344; NaN gives 0x7F or 0xFF.
FP8_HOST_DEVICE constexpr std::uint8_t encode_e5m2(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint8_t>((bits >> 24) & 0x80U) | detail::encode_magnitude(bits, 2, 15, 0x7B, 0x7F);
}

FP8_HOST_DEVICE constexpr float decode_e5m2(std::uint8_t code) {
  const std::uint8_t magnitude_code = code & 0x7FU;
  const std::uint32_t sign = (code & 0x80U) << 24;
  if (magnitude_code > 0x7CU) return std::bit_cast<float>(0x7FC00000U | sign);
  if (magnitude_code == 0x7CU) return std::bit_cast<float>(0x7F800000U | sign);
  const float magnitude = detail::decode_magnitude(magnitude_code, 2, 15);
  return (code & 0x80U) != 0 ? -magnitude : magnitude;
}

// Round to nearest, ties to even; what is beyond ±6 saturates. Four bits: the sign, two of exponent, one of mantissa. x must not be NaN.
FP8_HOST_DEVICE constexpr std::uint8_t encode_e2m1(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint8_t>((bits >> 28) & 0x8U) | detail::encode_magnitude(bits, 1, 1, 0x7, 0x7);
}

FP8_HOST_DEVICE constexpr float decode_e2m1(std::uint8_t code) {
  const float magnitude = detail::decode_magnitude(code & 0x7U, 1, 1);
  return (code & 0x8U) != 0 ? -magnitude : magnitude;
}

// Round to nearest, ties to even; what is beyond ±127 saturates. x must not be NaN.
FP8_HOST_DEVICE constexpr std::uint8_t encode_int8(float value) {
  const float clamped = value > int8_max ? int8_max : value < -int8_max ? -int8_max : value;
  // Adding this leaves whole numbers.
  const float rounded = clamped + 0x1.8p23F - 0x1.8p23F;
  return static_cast<std::uint8_t>(static_cast<std::int8_t>(rounded));
}

FP8_HOST_DEVICE constexpr float decode_int8(std::uint8_t code) { return static_cast<float>(static_cast<std::int8_t>(code)); }

// A power of two from its biased exponent; 255 is NaN and never written.
FP8_HOST_DEVICE constexpr float decode_e8m0(std::uint8_t code) {
  // 2⁻¹²⁷ is a subnormal float.
  return std::bit_cast<float>(code == 0 ? 0x400000U : code == 255 ? 0x7FC00000U : static_cast<std::uint32_t>(code) << 23);
}

// The biased exponent of the smallest power of two that is not below amax / largest; of 1 for amax = 0. amax must be finite.
FP8_HOST_DEVICE inline std::uint8_t e8m0_scale(float amax, float largest) {
  if (amax == 0.0F) return 127;
  int exponent = 0;
  int exponent_of_largest = 0;
  const double fraction = std::frexp(static_cast<double>(amax), &exponent);
  const double fraction_of_largest = std::frexp(static_cast<double>(largest), &exponent_of_largest);
  const int biased = exponent - exponent_of_largest + (fraction > fraction_of_largest ? 1 : 0) + 127;
  return static_cast<std::uint8_t>(biased < 0 ? 0 : biased > 254 ? 254 : biased);
}

// The smallest value that BF16 represents exactly and that is not below amax / largest; 1 for amax = 0. The quotient is taken in double.
// Loaders may round the stored scale to BF16: this one survives. Where `largest` of it would be beyond the largest BF16 value, and so
// infinite to some loader, it is the largest scale with which it is not: then the few largest weights saturate. amax must be finite.
FP8_HOST_DEVICE inline float scale_of(float amax, float largest) {
  if (amax == 0.0F) return 1.0F;
  const double exact = static_cast<double>(amax) / static_cast<double>(largest);
  auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(exact)) & 0xFFFF0000U;
  while (static_cast<double>(std::bit_cast<float>(bits)) < exact) bits += 0x10000U;
  while (static_cast<double>(std::bit_cast<float>(bits)) * static_cast<double>(largest) > 0x1.FEp127) bits -= 0x10000U;
  return std::bit_cast<float>(bits);
}

FP8_HOST_DEVICE inline float e4m3_scale(float amax) { return scale_of(amax, e4m3_max); }

}  // namespace fp8
