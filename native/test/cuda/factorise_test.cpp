#include "cuda/factorise.h"

#include <numeric>

#include "cuda/hessian.h"
#include "device.h"

namespace fp8::cuda {
namespace {

class FactoriseTest : public CudaTest, public ::testing::WithParamInterface<int> {};

TEST_P(FactoriseTest, TheFactorMultipliesBackToTheMatrix) {
  const int size = GetParam();
  const int leading = (size + 127) / 128 * 128;
  // A few strong directions, as weights have them.
  std::vector<float> w = normal_numbers(static_cast<std::size_t>(size / 2 + 1) * size, 5);
  for (int r = 0; r < 3 && r < size / 2; ++r) {
    for (int c = 0; c < size; ++c) w[static_cast<std::size_t>(r) * size + c] = w[static_cast<std::size_t>(r) * size + c] * 5 + 10;
  }
  const std::vector<double> h = gram_hessian(w, size / 2 + 1, size);
  std::vector<float> square(static_cast<std::size_t>(size) * leading, 0.0F);
  double largest = 0;
  for (int i = 0; i < size; ++i) {
    for (int j = 0; j <= i; ++j)
      square[static_cast<std::size_t>(i) * leading + j] = static_cast<float>(h[static_cast<std::size_t>(i) * size + j]);
    largest = std::max(largest, h[static_cast<std::size_t>(i) * size + i]);
  }
  for (const GemmPath path : paths()) {
    const DeviceVector<float> device(square);
    const DeviceVector<__half> transposed(static_cast<std::size_t>(size) * leading);
    const DeviceVector<float> blocks(static_cast<std::size_t>(leading) * factor_block), pivots(static_cast<std::size_t>(leading));
    const DeviceVector<std::byte> scratch(static_cast<std::size_t>(factorise_scratch_bytes(size)));
    factorise(device.get(), leading, size, largest, {transposed.get(), leading, blocks.get(), pivots.get()}, scratch.get(), path, nullptr,
              [] {});
    const auto block_values = blocks.host();
    const auto d = pivots.host();
    const auto off = transposed.host();
    const auto factor = [&](int i, int j) -> double {
      if (i == j) return 1;
      if (i < j) return 0;
      if (i / factor_block == j / factor_block) {
        return static_cast<double>(block_values[static_cast<std::size_t>(j / factor_block) * factor_block * factor_block +
                                                static_cast<std::size_t>(i % factor_block) * factor_block + j % factor_block]);
      }
      return static_cast<double>(__half2float(off[static_cast<std::size_t>(j) * leading + i]));
    };
    // Pivots are FP32; entries of L outside the blocks are stored as halves, so the product is within their rounding.
    double worst = 0;
    for (int i = 0; i < size; ++i) {
      for (int j = 0; j <= i; ++j) {
        double sum = 0;
        for (int k = 0; k <= j; ++k) sum += factor(i, k) * static_cast<double>(d[k]) * factor(j, k);
        const double bound = std::sqrt(h[static_cast<std::size_t>(i) * size + i] * h[static_cast<std::size_t>(j) * size + j]);
        worst = std::max(worst, std::abs(sum - h[static_cast<std::size_t>(i) * size + j]) / bound);
      }
    }
    EXPECT_LT(worst, size > factor_block ? 4e-4 : 2e-6) << "path " << static_cast<int>(path);
    // log det H = Σ log D: to FP32 accuracy whatever L is stored as.
    std::vector<double> l = h;
    double expected = 0, found = 0;
    for (int k = 0; k < size; ++k) {
      const double pivot = l[static_cast<std::size_t>(k) * size + k];
      expected += std::log(pivot);
      found += std::log(static_cast<double>(d[k]));
      EXPECT_NEAR(d[k] / pivot, 1.0, 2e-5) << k;
      for (int i = k + 1; i < size; ++i) {
        const double x = l[static_cast<std::size_t>(i) * size + k] / pivot;
        for (int j = k + 1; j <= i; ++j) l[static_cast<std::size_t>(i) * size + j] -= x * l[static_cast<std::size_t>(j) * size + k];
      }
    }
    EXPECT_NEAR(found, expected, 1e-5 * size);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, FactoriseTest, ::testing::Values(1, 2, 31, 100, 128, 129, 257, 700));

class HessianTest : public CudaTest {};

TEST_F(HessianTest, IsNormalisedDampedMirroredAndSplit) {
  const int size = 75, leading = 128;
  std::vector<float> square(static_cast<std::size_t>(size) * leading);
  const std::vector<float> numbers = normal_numbers(square.size(), 9);
  for (std::size_t i = 0; i < square.size(); ++i) square[i] = numbers[i];
  const DeviceVector<float> device(square), diagonal(size);
  const DeviceVector<__half> high(square.size()), low(square.size());
  const SplitMatrix split{high.get(), low.get(), leading, 64.0F};
  normalise_hessian(device.get(), leading, size, 0.5F, 1.0F, split, diagonal.get(), nullptr);
  const auto h = device.host();
  const auto high_values = high.host();
  const auto low_values = low.host();
  const auto d = diagonal.host();
  for (int i = 0; i < size; ++i) {
    for (int j = 0; j < size; ++j) {
      const int row = std::max(i, j), column = std::min(i, j);
      const float expected = square[static_cast<std::size_t>(row) * leading + column] * 0.5F + (i == j ? 1.0F : 0.0F);
      if (j <= i) {
        EXPECT_FLOAT_EQ(h[static_cast<std::size_t>(i) * leading + j], expected);
      }
      if (i == j) {
        EXPECT_FLOAT_EQ(d[i], expected);
      }
      const std::size_t at = static_cast<std::size_t>(i) * leading + j;
      EXPECT_NEAR((__half2float(high_values[at]) + __half2float(low_values[at])) / 64.0F, expected, 1e-9 + 3e-7 * std::abs(expected));
    }
  }
  EXPECT_EQ(split_scale(1.0), 16384.0F);
  EXPECT_EQ(split_scale(3.0), 4096.0F);
}

}  // namespace
}  // namespace fp8::cuda
