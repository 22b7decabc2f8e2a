#include <numeric>

#include "cuda/column_order.h"
#include "cuda/column_statistics.h"
#include "cuda/errors.h"
#include "cuda/objective.h"
#include "cuda/transpose.h"
#include "device.h"
#include "fp8/fp8.h"

namespace fp8::cuda {
namespace {

class ColumnTest : public CudaTest {};

MatrixSummary summary_of(const DeviceVector<MatrixSummary>& summary) { return summary.host().front(); }

TEST_F(ColumnTest, StatisticsFindTheLargestMagnitudeTheBadValuesAndTheSquares) {
  const int rows = 700, columns = 133;
  std::vector<float> w = normal_numbers(static_cast<std::size_t>(rows) * columns, 7);
  w[5] = -9.5F;
  w[1000] = NAN;
  w[2000] = INFINITY;
  w[90000] = -INFINITY;
  const DeviceVector<float> source(w);
  const DeviceVector<double> partial(static_cast<std::size_t>(column_statistics_scratch(rows, columns)));
  const DeviceVector<double> squares(columns);
  const DeviceVector<MatrixSummary> summary(1);
  column_statistics(source.get(), SourceDtype::f32, rows, columns, partial.get(), squares.get(), summary.get(), nullptr);
  std::vector<double> expected(columns, 0.0);
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (std::isfinite(w[i])) expected[i % columns] += static_cast<double>(w[i]) * static_cast<double>(w[i]);
  }
  const std::vector<double> result = squares.host();
  for (int c = 0; c < columns; ++c) EXPECT_NEAR(result[c], expected[c], 1e-9 * expected[c]);
  const MatrixSummary found = summary_of(summary);
  EXPECT_EQ(std::bit_cast<float>(found.amax_bits), 9.5F);
  EXPECT_EQ(found.non_finite, 3U);
  EXPECT_NEAR(found.sum_of_squares, std::accumulate(expected.begin(), expected.end(), 0.0), 1e-6);
  EXPECT_EQ(found.largest_column, *std::max_element(result.begin(), result.end()));
}

TEST_F(ColumnTest, OrderIsByTheDiagonalAndTiesByIndexFromTheEnd) {
  std::vector<double> squares(1000);
  for (std::size_t i = 0; i < squares.size(); ++i) squares[i] = static_cast<double>(i * 7919 % 100);
  const DeviceVector<double> device(squares);
  const DeviceVector<std::int32_t> position(squares.size());
  column_order(device.get(), static_cast<std::int64_t>(squares.size()), position.get(), nullptr);
  std::vector<int> order(squares.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) { return squares[a] != squares[b] ? squares[a] < squares[b] : a > b; });
  const std::vector<std::int32_t> result = position.host();
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(result[order[i]], static_cast<int>(i));
}

TEST_F(ColumnTest, TransposingThereAndBackGivesTheSame) {
  const int rows = 131, columns = 77, leading = 192;
  std::vector<std::int32_t> position(columns);
  for (int c = 0; c < columns; ++c) position[c] = c * 5 % columns;
  const DeviceVector<std::int32_t> device_position(position);
  std::vector<std::uint16_t> w(static_cast<std::size_t>(rows) * columns);
  std::iota(w.begin(), w.end(), std::uint16_t{1});
  const DeviceVector<std::uint16_t> source(w);
  const DeviceVector<std::uint16_t> transposed(static_cast<std::size_t>(columns) * leading);
  transpose_to_order(source.get(), SourceDtype::bf16, rows, columns, device_position.get(), transposed.get(), leading, nullptr);
  const std::vector<std::uint16_t> result = transposed.host();
  for (int c = 0; c < columns; ++c) {
    for (int r = 0; r < leading; ++r) {
      const std::uint16_t expected = r < rows ? w[static_cast<std::size_t>(r) * columns + c] : std::uint16_t{0};
      ASSERT_EQ(result[static_cast<std::size_t>(position[c]) * leading + r], expected);
    }
  }
  std::vector<std::uint8_t> codes(result.size());
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint8_t>(result[i]);
  const DeviceVector<std::uint8_t> device_codes(codes);
  const DeviceVector<std::uint8_t> back(w.size());
  transpose_from_order(device_codes.get(), leading, rows, columns, device_position.get(), back.get(), nullptr);
  const std::vector<std::uint8_t> returned = back.host();
  for (std::size_t i = 0; i < w.size(); ++i) ASSERT_EQ(returned[i], static_cast<std::uint8_t>(w[i]));
}

TEST_F(ColumnTest, ErrorsAndTheirInnerProductAgreeWithTheScalarCodec) {
  const int rows = 90, columns = 70, row_leading = 128, leading = 128;
  const float scale = 0.25F;
  std::vector<float> w(static_cast<std::size_t>(columns) * row_leading);
  const std::vector<float> numbers = normal_numbers(w.size(), 3, 5.0F);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = numbers[i];
  const DeviceVector<float> device(w);
  const DeviceVector<__half> high(static_cast<std::size_t>(rows) * leading), low(static_cast<std::size_t>(rows) * leading);
  const ColumnMatrix matrix{SourceDtype::f32, device.get(), row_leading, rows, columns, scale};
  split_errors(matrix, nullptr, 0, high.get(), low.get(), leading, nullptr);
  const auto high_values = high.host();
  const auto low_values = low.host();
  const DeviceVector<double> parts(static_cast<std::size_t>(inner_product_parts(rows, columns))), sum(1);
  inner_products(high.get(), low.get(), leading, device.get(), row_leading, rows, columns, parts.get(), nullptr);
  sum_in_order(parts.get(), inner_product_parts(rows, columns), sum.get(), nullptr);
  double expected_sum = 0;
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      const float value = w[static_cast<std::size_t>(c) * row_leading + r];
      const float error = decode_e4m3(encode_e4m3(value / scale)) - value / scale;
      const std::size_t at = static_cast<std::size_t>(r) * leading + c;
      ASSERT_NEAR(__half2float(high_values[at]) + __half2float(low_values[at]), error, 1e-6F + 2e-7F * std::abs(error));
      expected_sum += static_cast<double>(error) * static_cast<double>(value);
    }
  }
  EXPECT_NEAR(sum.host().front(), expected_sum, 1e-3);
}

}  // namespace
}  // namespace fp8::cuda
