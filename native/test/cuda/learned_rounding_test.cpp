#include "cuda/learned_rounding.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "device.h"
#include "fp8/fp8.h"

namespace fp8::cuda {
namespace {

float nearest(float value) { return decode_e4m3(encode_e4m3(value)); }

double objective_of(const std::vector<double>& h, const std::vector<float>& w, const std::vector<float>& q, int rows, int columns) {
  double total = 0;
  std::vector<double> e(columns);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c)
      e[c] = static_cast<double>(q[static_cast<std::size_t>(r) * columns + c]) -
             static_cast<double>(w[static_cast<std::size_t>(r) * columns + c]);
    for (int i = 0; i < columns; ++i) {
      double sum = 0;
      for (int j = 0; j < columns; ++j) sum += h[static_cast<std::size_t>(i) * columns + j] * e[j];
      total += e[i] * sum;
    }
  }
  return total;
}

// The definition, one column at a time in double: w in units of the scale.
double twin_objective(const std::vector<float>& w, int rows, int columns, double* of_nearest) {
  const std::vector<double> h = gram_hessian(w, rows, columns);
  std::vector<float> q(w.size());
  std::transform(w.begin(), w.end(), q.begin(), nearest);
  *of_nearest = objective_of(h, w, q, rows, columns);
  std::vector<int> order(columns);
  std::iota(order.begin(), order.end(), 0);
  const auto at = [&](int i, int j) { return h[static_cast<std::size_t>(i) * columns + j]; };
  std::sort(order.begin(), order.end(), [&](int a, int b) { return at(a, a) != at(b, b) ? at(a, a) < at(b, b) : a > b; });
  std::vector<double> l(h.size());
  for (int i = 0; i < columns; ++i) {
    for (int j = 0; j < columns; ++j) l[static_cast<std::size_t>(i) * columns + j] = at(order[i], order[j]);
  }
  for (int k = 0; k < columns; ++k) {
    const double pivot = l[static_cast<std::size_t>(k) * columns + k];
    for (int i = k + 1; i < columns; ++i) {
      const double x = l[static_cast<std::size_t>(i) * columns + k] / pivot;
      for (int j = k + 1; j <= i; ++j) l[static_cast<std::size_t>(i) * columns + j] -= x * l[static_cast<std::size_t>(j) * columns + k];
      l[static_cast<std::size_t>(i) * columns + k] = x;
    }
  }
  std::vector<double> e(columns);
  for (int r = 0; r < rows; ++r) {
    const float* row = w.data() + static_cast<std::size_t>(r) * columns;
    float* out = q.data() + static_cast<std::size_t>(r) * columns;
    for (int k = columns - 1; k >= 0; --k) {
      double target = static_cast<double>(row[order[k]]);
      for (int i = k + 1; i < columns; ++i) target -= e[i] * l[static_cast<std::size_t>(i) * columns + k];
      out[order[k]] = nearest(static_cast<float>(target));
      e[k] = static_cast<double>(out[order[k]]) - static_cast<double>(row[order[k]]);
    }
  }
  double before = objective_of(h, w, q, rows, columns);
  for (int sweep = 0; sweep < 500; ++sweep) {
    for (int r = 0; r < rows; ++r) {
      const float* row = w.data() + static_cast<std::size_t>(r) * columns;
      float* out = q.data() + static_cast<std::size_t>(r) * columns;
      for (int k = columns - 1; k >= 0; --k) {
        const int j = order[k];
        double gradient = 0;
        for (int i = 0; i < columns; ++i) gradient += at(j, i) * (static_cast<double>(out[i]) - static_cast<double>(row[i]));
        out[j] = nearest(static_cast<float>(static_cast<double>(out[j]) - gradient / at(j, j)));
      }
    }
    const double after = objective_of(h, w, q, rows, columns);
    if (before - after < 1e-3 * before) return after;
    before = after;
  }
  return before;
}

struct Rounded {
  std::vector<std::uint8_t> codes;
  LearnedResult result;
  float scale = 1;
};

Rounded round_on_gpu(const void* data, SourceDtype dtype, int rows, int columns, std::int64_t row_block, GemmPath path, int capability,
                     std::uint32_t top_k = 0) {
  const auto count = static_cast<std::size_t>(rows) * columns;
  const auto* bytes = static_cast<const std::byte*>(data);
  const DeviceVector<std::byte> source(std::vector<std::byte>(bytes, bytes + count * byte_size(dtype)));
  const DeviceVector<double> partial(static_cast<std::size_t>(column_statistics_scratch(rows, columns))), squares(columns);
  const DeviceVector<MatrixSummary> summary(1);
  column_statistics(source.get(), dtype, rows, columns, partial.get(), squares.get(), summary.get(), nullptr);
  const MatrixSummary found = summary.host().front();
  Rounded rounded;
  rounded.scale = e4m3_scale(std::bit_cast<float>(found.amax_bits));
  TargetScales scales(rounded.scale);
  const DeviceVector<std::uint8_t> codes(count);
  const DeviceVector<std::byte> memory(static_cast<std::size_t>(learned_rounding_bytes(dtype, rows, columns, top_k, row_block)));
  void* mailbox = nullptr;
  check(cudaMallocHost(&mailbox, 4096), "cudaMallocHost");
  Execution execution{nullptr, path, capability, mailbox};
  rounded.result = round_learned({source.get(), dtype, rows, columns}, squares.get(), found, scales, {500, top_k, 7, row_block},
                                 codes.get(), memory.get(), execution);
  cudaFreeHost(mailbox);
  rounded.codes = codes.host();
  return rounded;
}

struct Shape {
  int rows;
  int columns;
};

class LearnedRoundingTest : public CudaTest, public ::testing::WithParamInterface<Shape> {};

std::vector<float> weights(int rows, int columns) {
  std::vector<float> w = normal_numbers(static_cast<std::size_t>(rows) * columns, 17, 0.02F);
  // Columns of different size and one strong direction.
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      float& value = w[static_cast<std::size_t>(r) * columns + c];
      value = from_bf16(to_bf16(value * (0.5F + static_cast<float>(c % 7) / 4) + 0.01F * static_cast<float>(r % 3 - 1)));
    }
  }
  return w;
}

TEST_P(LearnedRoundingTest, ReachesTheObjectiveOfItsDefinition) {
  const auto [rows, columns] = GetParam();
  const std::vector<float> w = weights(rows, columns);
  std::vector<std::uint16_t> bits, halves;
  for (const float value : w) {
    bits.push_back(to_bf16(value));
    halves.push_back(std::bit_cast<std::uint16_t>(__float2half_rn(value)));
  }
  for (const GemmPath path : paths()) {
    for (const SourceDtype dtype : {SourceDtype::bf16, SourceDtype::f16, SourceDtype::f32}) {
      if (dtype != SourceDtype::bf16 && path == GemmPath::portable) continue;
      SCOPED_TRACE(::testing::Message() << "path " << static_cast<int>(path) << " dtype " << static_cast<int>(dtype));
      const void* data = dtype == SourceDtype::bf16  ? static_cast<const void*>(bits.data())
                         : dtype == SourceDtype::f16 ? static_cast<const void*>(halves.data())
                                                     : static_cast<const void*>(w.data());
      const Rounded rounded = round_on_gpu(data, dtype, rows, columns, rows, path, capability_);
      std::vector<float> scaled(w.size()), q(w.size());
      for (std::size_t i = 0; i < w.size(); ++i) {
        const float value = dtype == SourceDtype::f16 ? rounded_to_half(w[i]) : w[i];
        scaled[i] = value / rounded.scale;
        q[i] = decode_e4m3(rounded.codes[i]);
      }
      double twin_nearest = 0;
      const double twin = std::min(twin_objective(scaled, rows, columns, &twin_nearest), 1e300);
      const std::vector<double> h = gram_hessian(scaled, rows, columns);
      const double actual = objective_of(h, scaled, q, rows, columns);
      EXPECT_NEAR(rounded.result.objective, actual, 2e-5 * actual);
      EXPECT_NEAR(rounded.result.objective_nearest, twin_nearest, 2e-5 * twin_nearest);
      EXPECT_LE(rounded.result.objective, rounded.result.objective_nearest);
      const double tolerance = rows * columns >= 20000 ? 0.005 : 0.03;
      EXPECT_LE(rounded.result.objective, std::min(twin, twin_nearest) * (1 + tolerance));
      EXPECT_EQ(round_on_gpu(data, dtype, rows, columns, rows, path, capability_).codes, rounded.codes) << "another run gave other bytes";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LearnedRoundingTest,
                         ::testing::Values(Shape{1, 1}, Shape{1, 50}, Shape{33, 1}, Shape{64, 96}, Shape{200, 129}, Shape{300, 260},
                                           Shape{90, 1100}));

class LearnedRoundingCasesTest : public CudaTest {};

TEST_F(LearnedRoundingCasesTest, RowBlocksSolveTheSameProblem) {
  const int rows = 700, columns = 200;
  const std::vector<float> w = weights(rows, columns);
  const Rounded whole = round_on_gpu(w.data(), SourceDtype::f32, rows, columns, rows, paths().back(), capability_);
  const Rounded blocks = round_on_gpu(w.data(), SourceDtype::f32, rows, columns, 256, paths().back(), capability_);
  EXPECT_NEAR(blocks.result.objective, whole.result.objective, 0.005 * whole.result.objective);
  EXPECT_NEAR(blocks.result.objective_nearest, whole.result.objective_nearest, 1e-6 * whole.result.objective_nearest);
}

// Ranks from none to all trade the gain of full rank for less work; with as many as the matrix has it is full rank to the bit.
TEST_F(LearnedRoundingCasesTest, MoreComponentsGainMore) {
  const int rows = 400, columns = 300;
  // A falling spectrum, as weights have it.
  const std::vector<float> left = normal_numbers(static_cast<std::size_t>(rows) * 40, 1), right = normal_numbers(40U * columns, 2);
  std::vector<float> w = normal_numbers(static_cast<std::size_t>(rows) * columns, 3, 0.5F);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      for (int k = 0; k < 40; ++k) {
        w[static_cast<std::size_t>(r) * columns + c] +=
            left[static_cast<std::size_t>(r) * 40 + k] * right[static_cast<std::size_t>(k) * columns + c] / static_cast<float>(1 + k);
      }
    }
  }
  const auto ratio = [&](std::uint32_t top_k, GemmPath path) {
    const Rounded rounded = round_on_gpu(w.data(), SourceDtype::f32, rows, columns, rows, path, capability_, top_k);
    EXPECT_EQ(rounded.codes, round_on_gpu(w.data(), SourceDtype::f32, rows, columns, rows, path, capability_, top_k).codes);
    return rounded.result.objective / rounded.result.objective_nearest;
  };
  for (const GemmPath path : paths()) {
    const double full = ratio(0, path), some = ratio(75, path), few = ratio(12, path), one = ratio(1, path);
    RecordProperty("ratios", std::to_string(full) + " " + std::to_string(some) + " " + std::to_string(few) + " " + std::to_string(one));
    std::printf("top_k 0, 75, 12, 1: %.4f %.4f %.4f %.4f\n", full, some, few, one);
    EXPECT_LT(full, some + 1e-6);
    EXPECT_LT(some, few);
    EXPECT_LT(few, one);
    EXPECT_LT(one, 1.0);
    // The noise floor holds little: the 75 components have nearly the whole gain.
    EXPECT_GT(1 - some, 0.8 * (1 - full));
    EXPECT_EQ(ratio(300, path), full);
  }
}

TEST_F(LearnedRoundingCasesTest, WeightsOnTheGridStayAsTheyAre) {
  const int rows = 40, columns = 50;
  std::vector<float> w(static_cast<std::size_t>(rows) * columns);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = decode_e4m3(static_cast<std::uint8_t>(i * 31 % 126)) * 0.5F;
  w[0] = 224.0F;
  const Rounded rounded = round_on_gpu(w.data(), SourceDtype::f32, rows, columns, rows, paths().back(), capability_);
  EXPECT_TRUE(rounded.result.kept_nearest);
  EXPECT_EQ(rounded.result.objective, 0);
  for (std::size_t i = 0; i < w.size(); ++i) ASSERT_EQ(decode_e4m3(rounded.codes[i]) * rounded.scale, w[i]);
}

TEST_F(LearnedRoundingCasesTest, TheSizeOfTheWeightsDoesNotMatter) {
  const int rows = 100, columns = 120;
  const std::vector<float> w = weights(rows, columns);
  const Rounded one = round_on_gpu(w.data(), SourceDtype::f32, rows, columns, rows, paths().back(), capability_);
  for (const float factor : {0x1p-100F, 0x1p100F}) {
    std::vector<float> scaled;
    for (const float value : w) scaled.push_back(value * factor);
    const Rounded other = round_on_gpu(scaled.data(), SourceDtype::f32, rows, columns, rows, paths().back(), capability_);
    EXPECT_NEAR(other.result.objective, one.result.objective, 1e-4 * one.result.objective) << factor;
  }
}

}  // namespace
}  // namespace fp8::cuda
