#include "cuda/round_columns.h"

#include "device.h"
#include "fp8/fp8.h"

namespace fp8::cuda {
namespace {

class RoundColumnsTest : public CudaTest, public ::testing::WithParamInterface<int> {};

float nearest(float value) { return decode_e4m3(encode_e4m3(value)); }

struct Problem {
  explicit Problem(int width) : columns(width) {
    const std::vector<float> numbers = normal_numbers(static_cast<std::size_t>(columns) * leading, 21, 40.0F);
    const std::vector<float> offsets = normal_numbers(static_cast<std::size_t>(columns) * leading, 22, 0.4F);
    // Multiples of 2⁻⁶ and coefficients of few bits keep every sum exact, so that both sides must agree in every code.
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      w.push_back(std::round(numbers[i] * 64) / 64);
      y.push_back(std::round(offsets[i] * 64) / 64);
    }
    for (int i = 0; i < round_block * round_block; ++i) coefficients.push_back(static_cast<float>((i * 37 % 17) - 8) / 64);
    for (int i = 0; i < round_block; ++i) weights.push_back(1.0F + static_cast<float>(i % 4) / 4);
  }

  static constexpr int rows = 150;
  static constexpr int leading = 192;
  int columns;
  std::vector<float> w, y, coefficients, weights;
};

TEST_P(RoundColumnsTest, FeedbackEqualsItsTwin) {
  const Problem p(GetParam());
  const DeviceVector<float> w(p.w), y(p.y), unit(p.coefficients), pivots(p.weights);
  const DeviceVector<std::uint8_t> codes(p.w.size());
  const DeviceVector<__half> errors(static_cast<std::size_t>(p.rows) * round_block);
  const DeviceVector<double> objective(std::vector<double>(p.rows, 2.0));
  feed_back_block({.dtype = SourceDtype::f32,
                   .w = w.get(),
                   .w_leading = p.leading,
                   .scale = 1.0F,
                   .y = y.get(),
                   .y_leading = p.leading,
                   .codes = codes.get(),
                   .codes_leading = p.leading,
                   .errors = errors.get(),
                   .errors_leading = round_block,
                   .row_objective = objective.get(),
                   .rows = p.rows,
                   .columns = p.columns},
                  unit.get(), pivots.get(), nullptr);
  const auto found_codes = codes.host();
  const auto found_errors = errors.host();
  const auto found_objective = objective.host();
  for (int r = 0; r < p.rows; ++r) {
    std::vector<float> t(p.columns);
    for (int j = 0; j < p.columns; ++j) t[j] = p.y[static_cast<std::size_t>(j) * p.leading + r];
    double sum = 2.0;
    for (int j = p.columns - 1; j >= 0; --j) {
      const std::size_t at = static_cast<std::size_t>(j) * p.leading + r;
      const float target = p.w[at] + t[j];
      const float q = nearest(target);
      const float e = q - p.w[at];
      ASSERT_EQ(decode_e4m3(found_codes[at]), q) << r << ", " << j;
      ASSERT_EQ(__half2float(found_errors[static_cast<std::size_t>(r) * round_block + j]), rounded_to_half(e));
      sum += static_cast<double>(p.weights[j] * (target - q) * (target - q));
      for (int i = 0; i < j; ++i) t[i] -= e * p.coefficients[j * round_block + i];
    }
    ASSERT_NEAR(found_objective[r], sum, 1e-5 * sum);
  }
}

TEST_P(RoundColumnsTest, SweepEqualsItsTwin) {
  const Problem p(GetParam());
  const float scale = 4.0F;
  std::vector<__half> h;
  for (const float value : p.coefficients) h.push_back(__float2half_rn(value * scale));
  std::vector<std::uint8_t> before;
  for (const float value : p.w) before.push_back(encode_e4m3(value));
  // Gradients far from a rounding boundary once divided.
  std::vector<float> gradient;
  for (const float value : p.y) gradient.push_back(value * 8 + 0.0078125F);
  const DeviceVector<float> w(p.w), y(gradient), diagonal(p.weights);
  const DeviceVector<__half> hessian(h);
  const DeviceVector<std::uint8_t> codes(before);
  const DeviceVector<__half> errors(static_cast<std::size_t>(p.rows) * round_block),
      changes(static_cast<std::size_t>(p.rows) * round_block);
  const DeviceVector<double> objective(std::vector<double>(p.rows, 0.0));
  // The second block of rows is done with its sweeps.
  const DeviceVector<int> active(std::vector<int>{1, 0, 1});
  sweep_block({.dtype = SourceDtype::f32,
               .w = w.get(),
               .w_leading = p.leading,
               .scale = 1.0F,
               .y = y.get(),
               .y_leading = p.leading,
               .codes = codes.get(),
               .codes_leading = p.leading,
               .errors = errors.get(),
               .errors_leading = round_block,
               .row_objective = objective.get(),
               .rows = p.rows,
               .columns = p.columns},
              hessian.get(), round_block, scale, diagonal.get(), changes.get(), active.get(), 64, nullptr);
  const auto found_codes = codes.host();
  const auto found_errors = errors.host();
  const auto found_changes = changes.host();
  const auto found_objective = objective.host();
  int differing = 0;
  int moved_codes = 0;
  for (int r = 0; r < p.rows; ++r) {
    if (r / 64 == 1) {
      for (int j = 0; j < p.columns; ++j) {
        const std::size_t at = static_cast<std::size_t>(j) * p.leading + r;
        ASSERT_EQ(found_codes[at], before[at]);
        ASSERT_EQ(__half2float(found_changes[static_cast<std::size_t>(r) * round_block + j]), 0.0F);
      }
      ASSERT_EQ(found_objective[r], 0.0);
      continue;
    }
    std::vector<float> g(p.columns);
    for (int j = 0; j < p.columns; ++j) g[j] = gradient[static_cast<std::size_t>(j) * p.leading + r];
    double sum = 0;
    bool same = true;
    for (int j = 0; j < p.columns && same; ++j) {
      const std::size_t at = static_cast<std::size_t>(j) * p.leading + r;
      const float q = decode_e4m3(before[at]);
      float moved = nearest(q - g[j] / p.weights[j]);
      if ((moved - q) * (2 * g[j] + (moved - q) * p.weights[j]) >= 0) moved = q;
      const float d = moved - q;
      // A quotient that the GPU rounds otherwise may fall on the other side of a tie; the row then goes its own way.
      if (decode_e4m3(found_codes[at]) != moved) {
        same = false;
        break;
      }
      ASSERT_EQ(__half2float(found_errors[static_cast<std::size_t>(r) * round_block + j]), rounded_to_half(moved - p.w[at]));
      ASSERT_EQ(__half2float(found_changes[static_cast<std::size_t>(r) * round_block + j]), rounded_to_half(d));
      sum += static_cast<double>(d * (2 * g[j] + d * p.weights[j]));
      for (int i = j + 1; i < p.columns; ++i) g[i] += d * p.coefficients[j * round_block + i];
    }
    differing += !same;
    if (same) {
      ASSERT_NEAR(found_objective[r], sum, 1e-4 * std::abs(sum) + 1e-3);
    }
    for (int j = 0; j < p.columns; ++j) {
      const std::size_t at = static_cast<std::size_t>(j) * p.leading + r;
      moved_codes += decode_e4m3(found_codes[at]) != decode_e4m3(before[at]);
    }
  }
  EXPECT_LE(differing, p.rows / 20);
  EXPECT_GT(moved_codes, 0);
}

INSTANTIATE_TEST_SUITE_P(Widths, RoundColumnsTest, ::testing::Values(1, 32, 33, 100, 128));

}  // namespace
}  // namespace fp8::cuda
