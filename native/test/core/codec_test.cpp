// The scalar codecs of fp8.h, which are the truth for every other codec, against their definition.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/half_float.h"
#include "fp8/fp8.h"

namespace fp8 {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// The value of a code from the format's definition, without the code under test.
double value_of(unsigned code, int mantissa_bits, int bias) {
  const int exponent = static_cast<int>((code & 0x7FU) >> mantissa_bits);
  const int mantissa = static_cast<int>(code & ((1U << mantissa_bits) - 1U));
  const double steps = std::ldexp(1.0, -mantissa_bits) * mantissa;
  const double magnitude = exponent == 0 ? std::ldexp(steps, 1 - bias) : std::ldexp(1 + steps, exponent - bias);
  return (code & 0x80U) != 0 ? -magnitude : magnitude;
}

// Nearest by search over all finite codes; a tie goes to the even code.
std::uint8_t nearest_by_search(double value, int mantissa_bits, int bias, unsigned largest_code) {
  const double magnitude = std::min(std::fabs(value), value_of(largest_code, mantissa_bits, bias));
  unsigned best = 0;
  double best_distance = magnitude;
  for (unsigned code = 1; code <= largest_code; ++code) {
    const double distance = std::fabs(value_of(code, mantissa_bits, bias) - magnitude);
    if (distance < best_distance || (distance == best_distance && code % 2 == 0)) {
      best = code;
      best_distance = distance;
    }
  }
  return static_cast<std::uint8_t>(best | (std::signbit(value) ? 0x80U : 0U));
}

TEST(Decode, EveryCodeHasItsDefinedValue) {
  for (unsigned code = 0; code < 256; ++code) {
    if ((code & 0x7FU) == 0x7FU) {
      EXPECT_TRUE(std::isnan(decode_e4m3(static_cast<std::uint8_t>(code))));
    } else {
      EXPECT_EQ(decode_e4m3(static_cast<std::uint8_t>(code)), value_of(code, 3, 7)) << code;
    }
    if ((code & 0x7FU) < 0x7CU) {
      EXPECT_EQ(decode_e5m2(static_cast<std::uint8_t>(code)), value_of(code, 2, 15)) << code;
    }
  }
  EXPECT_EQ(decode_e5m2(0x7C), infinity);
  EXPECT_EQ(decode_e5m2(0xFC), -infinity);
  EXPECT_TRUE(std::isnan(decode_e5m2(0x7D)));
}

TEST(Encode, EveryBf16AndF16ValueGoesToTheNearestCode) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    for (const float value : {decode_bf16(static_cast<std::uint16_t>(bits)), decode_f16(static_cast<std::uint16_t>(bits))}) {
      if (std::isnan(value)) {
        EXPECT_EQ(encode_e4m3(value) & 0x7F, 0x7F);
        EXPECT_EQ(encode_e5m2(value) & 0x7F, 0x7F);
        continue;
      }
      ASSERT_EQ(encode_e4m3(value), nearest_by_search(value, 3, 7, 0x7E)) << value;
      ASSERT_EQ(encode_e5m2(value), nearest_by_search(value, 2, 15, 0x7B)) << value;
    }
  }
}

TEST(Encode, TiesAndTheirNeighboursGoTheRightWay) {
  for (unsigned code = 0; code < 0x7E; ++code) {
    const float middle = static_cast<float>((value_of(code, 3, 7) + value_of(code + 1, 3, 7)) / 2);
    EXPECT_EQ(encode_e4m3(middle), code % 2 == 0 ? code : code + 1);
    EXPECT_EQ(encode_e4m3(std::nextafter(middle, 0.0F)), code);
    EXPECT_EQ(encode_e4m3(std::nextafter(middle, infinity)), code + 1);
    EXPECT_EQ(encode_e4m3(-middle), (code % 2 == 0 ? code : code + 1) | 0x80U);
  }
  EXPECT_EQ(encode_e4m3(infinity), 0x7E);
  EXPECT_EQ(encode_e4m3(-1e30F), 0xFE);
}

TEST(Scale, IsTheSmallestBf16ValueNotBelowTheExactQuotient) {
  for (const float amax : {448.0F, 1.0F, 0.3F, 1e-38F, 1e-44F, 3.37e38F, 0.0123F, 7.0F, 447.99F}) {
    const float scale = e4m3_scale(amax);
    const auto bits = std::bit_cast<std::uint32_t>(scale);
    EXPECT_EQ(bits & 0xFFFFU, 0U) << amax;
    EXPECT_GE(static_cast<double>(scale) * 448, static_cast<double>(amax));
    const float below = std::bit_cast<float>(bits - 0x10000U);
    EXPECT_LT(static_cast<double>(below) * 448, static_cast<double>(amax)) << amax;
  }
  EXPECT_EQ(e4m3_scale(0), 1.0F);
  EXPECT_EQ(e4m3_scale(448), 1.0F);
}

TEST(Scale, LeavesEveryDequantizedValueFinite) {
  constexpr double largest_bf16 = 0x1.FEp127;
  for (const float amax : {3.37e38F, 3.38e38F, 3.3895e38F, 3.4e38F, std::numeric_limits<float>::max()}) {
    const float scale = e4m3_scale(amax);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(scale) & 0xFFFFU, 0U) << amax;
    EXPECT_LE(static_cast<double>(scale) * 448, largest_bf16) << amax;
    EXPECT_GE(static_cast<double>(scale) * 448, static_cast<double>(amax) * 0.99) << amax;
  }
}

TEST(HalfFloat, F16CoversZeroSubnormalNormalAndInfinity) {
  EXPECT_EQ(decode_f16(0x3C00), 1.0F);
  EXPECT_EQ(decode_f16(0xC000), -2.0F);
  EXPECT_EQ(decode_f16(0x0001), 0x1p-24F);
  EXPECT_EQ(decode_f16(0x83FF), -1023 * 0x1p-24F);
  EXPECT_EQ(decode_f16(0x7BFF), 65504.0F);
  EXPECT_EQ(decode_f16(0xFC00), -infinity);
  EXPECT_TRUE(std::isnan(decode_f16(0x7E00)));
  EXPECT_TRUE(std::signbit(decode_f16(0x8000)));
}

}  // namespace
}  // namespace fp8
