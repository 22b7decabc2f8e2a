// Every table of vector kernels that this CPU can run, against the scalar codecs, bit for bit where the result is exact.
#include "cpu/kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "core/half_float.h"
#include "cpu/code_reader.h"
#include "fp8/fp8.h"
#include "support/random.h"

namespace fp8 {
namespace {

std::vector<const Kernels*> tables() {
  std::vector<const Kernels*> found(8);
  found.resize(kernel_tables(found.data(), found.size()));
  return found;
}

class EveryTable : public ::testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& table() const { return *GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Kernels, EveryTable, ::testing::ValuesIn(tables()),
                         [](const auto& table) { return std::string(table.param->instruction_set); });

std::vector<std::uint16_t> all_bits() {
  std::vector<std::uint16_t> bits(0x10000);
  for (unsigned i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  return bits;
}

// All BF16 and F16 values, every tie of both formats with its neighbours, and a million random bit patterns.
std::vector<float> hard_floats() {
  std::vector<float> values;
  for (const std::uint16_t bits : all_bits()) {
    values.push_back(decode_bf16(bits));
    values.push_back(decode_f16(bits));
  }
  for (unsigned code = 0; code < 0x7E; ++code) {
    for (const float middle : {(decode_e4m3(static_cast<std::uint8_t>(code)) + decode_e4m3(static_cast<std::uint8_t>(code + 1))) / 2,
                               (decode_e5m2(static_cast<std::uint8_t>(code)) + decode_e5m2(static_cast<std::uint8_t>(code + 1))) / 2}) {
      for (const float value : {middle, std::nextafter(middle, 0.0F), std::nextafter(middle, 1e30F)}) {
        values.push_back(value);
        values.push_back(-value);
      }
    }
  }
  std::mt19937 generator(7);
  for (int i = 0; i < 1'000'003; ++i) values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(generator())));
  return values;
}

TEST_P(EveryTable, EncodesAsTheScalarCodecsDo) {
  const std::vector<float> values = hard_floats();
  std::vector<std::uint8_t> e4m3(values.size());
  std::vector<std::uint8_t> e5m2(values.size());
  table().encode(values.data(), values.size(), CodeGrid::e4m3, e4m3.data());
  table().encode(values.data(), values.size(), CodeGrid::e5m2, e5m2.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(e4m3[i], encode_e4m3(values[i])) << values[i];
    ASSERT_EQ(e5m2[i], encode_e5m2(values[i])) << values[i];
  }
}

TEST_P(EveryTable, RoundsToTheGridAsTheScalarCodecsDo) {
  std::vector<float> values;
  for (const float value : hard_floats()) {
    if (std::isfinite(value)) values.push_back(value);
  }
  values.resize(values.size() / row_quantum * row_quantum);
  std::vector<float> e4m3(values.size());
  std::vector<float> e5m2(values.size());
  table().round_to_grid(values.data(), values.size(), e4m3_grid, nullptr, e4m3.data());
  table().round_to_grid(values.data(), values.size(), e5m2_grid, nullptr, e5m2.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(e4m3[i]), std::bit_cast<std::uint32_t>(decode_e4m3(encode_e4m3(values[i])))) << values[i];
    ASSERT_EQ(std::bit_cast<std::uint32_t>(e5m2[i]), std::bit_cast<std::uint32_t>(decode_e5m2(encode_e5m2(values[i])))) << values[i];
  }
}

TEST_P(EveryTable, RoundsAndEncodesFourBitFloatsAndWholeNumbersAsTheScalarCodecsDo) {
  std::vector<float> values;
  for (const float value : hard_floats()) {
    if (std::isfinite(value)) values.push_back(value);
  }
  for (int twice = -300; twice <= 300; ++twice) values.push_back(static_cast<float>(twice) / 2);
  for (const float middle : {0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5.0F}) {
    for (const float value : {middle, std::nextafter(middle, 0.0F), std::nextafter(middle, 9.0F)}) {
      values.push_back(value);
      values.push_back(-value);
    }
  }
  values.resize(values.size() / row_quantum * row_quantum);
  std::vector<std::uint8_t> e2m1(values.size());
  std::vector<std::uint8_t> int8(values.size());
  table().encode(values.data(), values.size(), CodeGrid::e2m1, e2m1.data());
  table().encode(values.data(), values.size(), CodeGrid::int8, int8.data());
  std::vector<float> rounded_e2m1(values.size());
  std::vector<float> rounded_int8(values.size());
  table().round_to_grid(values.data(), values.size(), e2m1_grid, nullptr, rounded_e2m1.data());
  table().round_to_grid(values.data(), values.size(), int8_grid, nullptr, rounded_int8.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(e2m1[i], encode_e2m1(values[i])) << values[i];
    ASSERT_EQ(int8[i], encode_int8(values[i])) << values[i];
    ASSERT_EQ(rounded_e2m1[i], decode_e2m1(encode_e2m1(values[i]))) << values[i];
    ASSERT_EQ(rounded_int8[i], decode_int8(encode_int8(values[i]))) << values[i];
  }
}

TEST_P(EveryTable, RoundsToTheGridTimesTheScaleOfEachElement) {
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(40 * row_quantum);
  std::vector<float> scales(values.size());
  for (float& value : values) value = 100 * normal(generator);
  for (float& scale : scales) scale = std::exp2(std::round(3 * normal(generator))) * 1.25F;
  for (const CodeGrid grid : {CodeGrid::e4m3, CodeGrid::e5m2, CodeGrid::int8, CodeGrid::e2m1}) {
    std::vector<float> rounded(values.size());
    std::vector<float> errors(values.size());
    std::vector<std::uint8_t> codes(values.size());
    table().round_to_grid(values.data(), values.size(), grid_of(grid), scales.data(), rounded.data());
    table().nearest_error(values.data(), values.size(), grid_of(grid), scales.data(), errors.data());
    const CodeStatistics statistics = table().finish(values.data(), rounded.data(), values.size(), grid, scales.data(), codes.data());
    EXPECT_EQ(statistics.changed, 0U);
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint8_t code = 0;
      const float quotient = values[i] / scales[i];
      table().encode(&quotient, 1, grid, &code);
      ASSERT_EQ(codes[i], code);
      ASSERT_EQ(rounded[i], decode_code(grid, code) * scales[i]);
      ASSERT_EQ(errors[i], rounded[i] - values[i]);
    }
  }
}

TEST_P(EveryTable, DecodesAndDividesEvery16BitValue) {
  const std::vector<std::uint16_t> bits = all_bits();
  for (const SourceDtype dtype : {SourceDtype::bf16, SourceDtype::f16}) {
    for (const float scale : {1.0F, 0.0123F}) {
      std::vector<float> decoded(bits.size());
      const auto* source = reinterpret_cast<const std::byte*>(bits.data());
      table().decode_scaled(source, dtype, bits.size(), scale, decoded.data());
      for (std::size_t i = 0; i < bits.size(); ++i) {
        const float expected = decode_source(source, i, dtype) / scale;
        if (std::isnan(expected)) continue;  // finite tensors are all that is ever decoded
        ASSERT_EQ(std::bit_cast<std::uint32_t>(decoded[i]), std::bit_cast<std::uint32_t>(expected)) << i;
      }
    }
  }
}

TEST_P(EveryTable, QuantizesOddCountsAtOddAddresses) {
  const std::vector<float> weights = testing::correlated_weights(7, 61, 3);
  for (const std::size_t count : {std::size_t{1}, std::size_t{15}, std::size_t{17}, weights.size()}) {
    std::vector<std::byte> shifted(count * 4 + 1);
    std::memcpy(shifted.data() + 1, weights.data(), count * 4);
    std::vector<std::uint8_t> codes(count + 1, 0xAA);
    const float scale = 0.00037F;
    const RoundingError error = table().quantize(shifted.data() + 1, SourceDtype::f32, count, scale, CodeGrid::e4m3, codes.data());
    double squared_error = 0;
    double squared_value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(codes[i], encode_e4m3(weights[i] / scale));
      const double value = static_cast<double>(weights[i] / scale);
      squared_error += std::pow(static_cast<double>(decode_e4m3(codes[i])) - value, 2);
      squared_value += value * value;
    }
    EXPECT_EQ(codes[count], 0xAA);
    EXPECT_NEAR(error.squared_error, squared_error, 1e-5 * squared_error);
    EXPECT_NEAR(error.squared_value, squared_value, 1e-5 * squared_value);
  }
}

TEST_P(EveryTable, ScanFindsTheLargestFiniteValueAndCountsTheRest) {
  std::vector<float> values(1000, 0.5F);
  values[3] = -7.25F;
  values[500] = std::numeric_limits<float>::infinity();
  values[998] = std::numeric_limits<float>::quiet_NaN();
  values[999] = -std::numeric_limits<float>::infinity();
  const auto scan_all = [&](const auto& source, SourceDtype dtype) {
    return table().scan(reinterpret_cast<const std::byte*>(source.data()), dtype, source.size());
  };
  EXPECT_EQ(scan_all(values, SourceDtype::f32).largest_magnitude, 7.25F);
  EXPECT_EQ(scan_all(values, SourceDtype::f32).non_finite, 3U);
  EXPECT_EQ(scan_all(testing::to_bf16(values), SourceDtype::bf16).largest_magnitude, 7.25F);
  EXPECT_EQ(scan_all(testing::to_bf16(values), SourceDtype::bf16).non_finite, 3U);
  std::vector<std::uint16_t> half(1001, 0x3800);
  half[77] = 0xC740;  // -7.25
  half[1000] = 0x7C00;
  EXPECT_EQ(scan_all(half, SourceDtype::f16).largest_magnitude, 7.25F);
  EXPECT_EQ(scan_all(half, SourceDtype::f16).non_finite, 1U);
}

TEST(Kernels, ThisMachineRunsMoreThanTheBaseline) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) {
    EXPECT_GE(tables().size(), 2U);
  }
#endif
  EXPECT_EQ(&kernels(), tables().back());
}

}  // namespace
}  // namespace fp8
