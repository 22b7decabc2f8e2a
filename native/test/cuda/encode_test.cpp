#include "cuda/encode.h"

#include "device.h"
#include "fp8/fp8.h"

namespace fp8::cuda {
namespace {

class EncodeTest : public CudaTest {};

struct Encoded {
  std::vector<std::uint8_t> codes;
  CodeSums sums;
};

template <typename T>
Encoded encode(const std::vector<T>& source, SourceDtype dtype, float scale) {
  const auto count = static_cast<std::int64_t>(source.size());
  const DeviceVector<T> device(source);
  const DeviceVector<std::uint8_t> codes(source.size());
  const DeviceVector<double> scratch(static_cast<std::size_t>(encode_scratch(count)));
  const DeviceVector<CodeSums> sums(1);
  encode_nearest({device.get(), dtype, 1, count, scale}, codes.get(), scratch.get(), sums.get(), nullptr);
  return {codes.host(), sums.host().front()};
}

TEST_F(EncodeTest, EveryFiniteSixteenBitValueGetsTheScalarCodecsCode) {
  for (const float scale : {1.0F, 0.0078125F, 3.4e-3F, 117.0F}) {
    std::vector<std::uint16_t> bf16, f16;
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
      if (std::isfinite(from_bf16(static_cast<std::uint16_t>(bits)))) bf16.push_back(static_cast<std::uint16_t>(bits));
      if ((bits & 0x7C00U) != 0x7C00U) f16.push_back(static_cast<std::uint16_t>(bits));
    }
    const Encoded from_b = encode(bf16, SourceDtype::bf16, scale);
    for (std::size_t i = 0; i < bf16.size(); ++i) ASSERT_EQ(from_b.codes[i], encode_e4m3(from_bf16(bf16[i]) / scale)) << bf16[i];
    const Encoded from_h = encode(f16, SourceDtype::f16, scale);
    for (std::size_t i = 0; i < f16.size(); ++i) {
      ASSERT_EQ(from_h.codes[i], encode_e4m3(__half2float(std::bit_cast<__half>(f16[i])) / scale)) << f16[i];
    }
  }
}

TEST_F(EncodeTest, FloatsNearEveryTieGetTheScalarCodecsCode) {
  std::vector<float> values;
  for (int code = 0; code < 126; ++code) {
    const float middle = (decode_e4m3(static_cast<std::uint8_t>(code)) + decode_e4m3(static_cast<std::uint8_t>(code + 1))) / 2;
    for (const float value : {middle, std::nextafter(middle, 0.0F), std::nextafter(middle, 1e9F)}) {
      values.push_back(value);
      values.push_back(-value);
    }
  }
  for (const float value : {0.0F, -0.0F, 448.0F, 463.9F, 464.0F, 1e30F, -1e30F, 1e-40F}) values.push_back(value);
  const Encoded result = encode(values, SourceDtype::f32, 1.0F);
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(result.codes[i], encode_e4m3(values[i])) << values[i];
}

TEST_F(EncodeTest, SumsAreThoseOfTheScalarCodec) {
  const std::vector<float> values = normal_numbers(100'003, 11);
  const float scale = 0.01F;
  const Encoded result = encode(values, SourceDtype::f32, scale);
  double error = 0, squares = 0;
  for (const float value : values) {
    const double quotient = static_cast<double>(value / scale);
    const double miss = static_cast<double>(decode_e4m3(encode_e4m3(value / scale))) - quotient;
    error += miss * miss;
    squares += quotient * quotient;
  }
  EXPECT_NEAR(result.sums.squared_error, error, 1e-6 * error);
  EXPECT_NEAR(result.sums.squared_value, squares, 1e-6 * squares);
}

TEST_F(EncodeTest, GivenCodesAreComparedWithNearestAndZerosTakeTheSignOfTheValue) {
  const std::vector<float> values = {1.0F, -1.0F, -1e-9F, 2.0F};
  const DeviceVector<float> device(values);
  const DeviceVector<std::uint8_t> codes(std::vector<std::uint8_t>{encode_e4m3(1.0F), encode_e4m3(-1.125F), 0x00, encode_e4m3(2.0F)});
  const DeviceVector<double> scratch(static_cast<std::size_t>(encode_scratch(4)));
  const DeviceVector<CodeSums> sums(1);
  finish_codes({device.get(), SourceDtype::f32, 1, 4, 1.0F}, codes.get(), scratch.get(), sums.get(), nullptr);
  EXPECT_EQ(codes.host(), (std::vector<std::uint8_t>{encode_e4m3(1.0F), encode_e4m3(-1.125F), 0x80, encode_e4m3(2.0F)}));
  EXPECT_EQ(sums.host().front().changed, 1U);
  EXPECT_FLOAT_EQ(static_cast<float>(sums.host().front().squared_error), 0.015625F);
}

}  // namespace
}  // namespace fp8::cuda
