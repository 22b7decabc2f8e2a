// Statistics and differences of tensors, against sums that are written down as their definitions say.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/half_float.h"
#include "fp8/error.h"
#include "fp8/fp8.h"
#include "support/job_fixture.h"
#include "support/random.h"

namespace fp8 {
namespace {

using testing::Recorder;
using testing::TemporaryFolder;

void run(const Job& job, Observer& observer, std::stop_token stop = {}) { make_cpu_backend()->run(job, observer, std::move(stop)); }

template <typename T>
Inspected inspect(const std::vector<T>& elements, ValueDtype dtype, std::uint64_t rows, std::uint64_t columns, double scale = 1,
                  std::uint32_t threads = 2) {
  const TemporaryFolder folder;
  // The range does not begin at the file's start.
  std::vector<T> file(3);
  file.insert(file.end(), elements.begin(), elements.end());
  InspectTask task;
  task.name = "layer.weight";
  task.values = {{0, 3 * sizeof(T), elements.size() * sizeof(T)}, dtype, scale};
  task.rows = rows;
  task.columns = columns;
  Job job;
  job.files = {folder.write("source", file)};
  job.tasks = {task};
  job.device = "cpu";
  job.threads = threads;
  Recorder recorder;
  run(job, recorder);
  return recorder.only<Inspected>();
}

void expect_statistics(const Inspected& found, const std::vector<double>& values, std::uint64_t columns) {
  std::vector<double> finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite), [](double value) { return std::isfinite(value); });
  EXPECT_EQ(found.count, values.size());
  EXPECT_EQ(found.nan_count, static_cast<std::uint64_t>(std::count_if(values.begin(), values.end(), [](double v) { return v != v; })));
  EXPECT_EQ(found.infinity_count, values.size() - finite.size() - found.nan_count);
  EXPECT_EQ(found.zero_count, static_cast<std::uint64_t>(std::count(finite.begin(), finite.end(), 0.0)));
  const double smallest = *std::min_element(finite.begin(), finite.end());
  const double largest = *std::max_element(finite.begin(), finite.end());
  EXPECT_EQ(found.smallest, smallest);
  EXPECT_EQ(found.largest, largest);
  const auto count = static_cast<double>(finite.size());
  const double mean = std::accumulate(finite.begin(), finite.end(), 0.0) / count;
  double squares = 0;
  for (const double value : finite) squares += (value - mean) * (value - mean);
  const double size = std::max(std::fabs(smallest), std::fabs(largest));
  EXPECT_NEAR(found.mean, mean, 1e-12 * size);
  EXPECT_NEAR(found.deviation, std::sqrt(squares / count), 1e-12 * size);

  const double scale = static_cast<double>(e4m3_scale(static_cast<float>(size)));
  EXPECT_EQ(static_cast<double>(found.fp8_scale), scale);
  const auto losses = [&](double divisor) {
    CastLoss loss;
    for (const double value : finite) {
      const double magnitude = std::fabs(value) / divisor;
      const auto code = static_cast<unsigned>(encode_e4m3(static_cast<float>(magnitude)));
      loss.underflow += magnitude > 0 && code == 0;
      loss.subnormal += magnitude > 0 && magnitude < std::ldexp(1.0, -6);
      loss.saturated += magnitude > 448;
    }
    return loss;
  };
  EXPECT_EQ(found.at_scale.underflow, losses(scale).underflow);
  EXPECT_EQ(found.at_scale.subnormal, losses(scale).subnormal);
  EXPECT_EQ(found.at_scale.saturated, 0U);
  EXPECT_EQ(found.unscaled.underflow, losses(1).underflow);
  EXPECT_EQ(found.unscaled.saturated, losses(1).saturated);

  ASSERT_EQ(found.histogram.size(), 128U);
  EXPECT_EQ(std::accumulate(found.histogram.begin(), found.histogram.end(), std::uint64_t{0}), finite.size());
  for (std::size_t bin = 0; bin < 128; bin += 9) {
    const double low = smallest + (largest - smallest) * static_cast<double>(bin) / 128;
    const double high = smallest + (largest - smallest) * static_cast<double>(bin + 1) / 128;
    const auto inside = std::count_if(finite.begin(), finite.end(), [&](double v) { return v >= low && (v < high || bin == 127); });
    // A value on an edge may fall to either side.
    EXPECT_NEAR(static_cast<double>(found.histogram[bin]), static_cast<double>(inside), 2) << bin;
  }

  std::vector<double> energies(columns);
  for (std::size_t i = 0; i < values.size(); ++i) energies[i % columns] += std::isfinite(values[i]) ? values[i] * values[i] : 0;
  std::sort(energies.begin(), energies.end(), std::greater<>());
  const double sum = std::accumulate(energies.begin(), energies.end(), 0.0);
  ASSERT_EQ(found.column_energies.size(), std::min<std::size_t>(128, columns));
  EXPECT_NEAR(found.column_energies.front(), energies.front() / (sum / static_cast<double>(columns)), 1e-9);
  EXPECT_NEAR(found.column_energies.back(), energies.back() / (sum / static_cast<double>(columns)), 1e-9);
  double half = 0;
  std::size_t needed = 0;
  while (half < sum / 2) half += energies[needed++];
  EXPECT_NEAR(found.half_energy_share, static_cast<double>(needed) / static_cast<double>(columns), 1.01 / static_cast<double>(columns));
}

TEST(Inspect, ASourceTensorIsDescribedAsItsDefinitionsSay) {
  std::vector<float> weights = testing::correlated_weights(700, 301, 4);
  weights[5] = 0;
  weights[77] = -0.0F;
  weights[1000] = std::numeric_limits<float>::quiet_NaN();
  weights[2000] = std::numeric_limits<float>::infinity();
  weights[3000] = -std::numeric_limits<float>::infinity();
  weights[4000] = 1e-6F;
  weights[5000] = 600;
  expect_statistics(inspect(weights, ValueDtype::f32, 700, 301), {weights.begin(), weights.end()}, 301);
  const std::vector<std::uint16_t> halves = testing::to_bf16(weights);
  std::vector<double> values;
  for (const std::uint16_t bits : halves) values.push_back(static_cast<double>(decode_bf16(bits)));
  expect_statistics(inspect(halves, ValueDtype::bf16, 700, 301), values, 301);
}

TEST(Inspect, CodesAreSeenTimesTheirScale) {
  std::vector<std::uint8_t> codes;
  for (unsigned i = 0; i < 999 * 64; ++i) codes.push_back(static_cast<std::uint8_t>(i * 37 % 251));
  for (const auto& [dtype, decode] : {std::pair(ValueDtype::f8_e4m3, &decode_e4m3), std::pair(ValueDtype::f8_e5m2, &decode_e5m2)}) {
    std::vector<double> values;
    for (const std::uint8_t code : codes) values.push_back(static_cast<double>(decode(code)) * 0.0625);
    expect_statistics(inspect(codes, dtype, 999, 64, 0.0625), values, 64);
  }
}

template <typename T>
void expect_whole_numbers(ValueDtype dtype, const std::vector<T>& elements) {
  expect_statistics(inspect(elements, dtype, elements.size() / 2, 2), {elements.begin(), elements.end()}, 2);
}

TEST(Inspect, EveryOtherDtypeIsReadAsTheNumbersItHolds) {
  expect_whole_numbers<std::int8_t>(ValueDtype::i8, {-128, 127, 0, 3});
  expect_whole_numbers<std::uint8_t>(ValueDtype::u8, {0, 255, 7, 3});
  expect_whole_numbers<std::uint8_t>(ValueDtype::boolean, {0, 1, 1, 1});
  expect_whole_numbers<std::int16_t>(ValueDtype::i16, {-32768, 32767, 0, 3});
  expect_whole_numbers<std::uint16_t>(ValueDtype::u16, {0, 65535, 5, 3});
  expect_whole_numbers<std::int32_t>(ValueDtype::i32, {-2147483647, 2147483647, 0, 3});
  expect_whole_numbers<std::uint32_t>(ValueDtype::u32, {0, 4294967295U, 5, 3});
  expect_whole_numbers<std::int64_t>(ValueDtype::i64, {-1099511627776, 1099511627776, 0, 3});
  expect_whole_numbers<std::uint64_t>(ValueDtype::u64, {0, 1099511627776, 5, 3});
  expect_whole_numbers<double>(ValueDtype::f64, {-1.5, 1e-3, 0, 3.25});
  const std::vector<std::uint16_t> halves = {0x3C00, 0xC000, 0x0001, 0x7BFF};
  expect_statistics(inspect(halves, ValueDtype::f16, 2, 2), {1, -2, std::ldexp(1.0, -24), 65504}, 2);
}

TEST(Inspect, NothingAndNothingFiniteAreDescribedAsSuch) {
  const Inspected empty = inspect(std::vector<float>{}, ValueDtype::f32, 0, 5);
  EXPECT_EQ(empty.count, 0U);
  EXPECT_EQ(empty.deviation, 0);
  const Inspected nans = inspect(std::vector<float>(6, std::numeric_limits<float>::quiet_NaN()), ValueDtype::f32, 2, 3);
  EXPECT_EQ(nans.nan_count, 6U);
  EXPECT_EQ(nans.largest, 0);
  const Inspected same = inspect(std::vector<float>(6, 2.5F), ValueDtype::f32, 2, 3);
  EXPECT_EQ(same.deviation, 0);
  EXPECT_EQ(same.histogram.front(), 6U);
}

TEST(Inspect, NumbersDoNotDependOnTheThreads) {
  const std::vector<float> weights = testing::correlated_weights(1200, 600, 9);
  const Inspected one = inspect(weights, ValueDtype::f32, 1200, 600, 1, 1);
  const Inspected many = inspect(weights, ValueDtype::f32, 1200, 600, 1, 5);
  EXPECT_EQ(one.mean, many.mean);
  EXPECT_EQ(one.deviation, many.deviation);
  EXPECT_EQ(one.column_energies, many.column_energies);
  EXPECT_EQ(one.histogram, many.histogram);
}

TEST(Inspect, AStopRequestEndsIt) {
  const TemporaryFolder folder;
  InspectTask task;
  task.name = "layer.weight";
  task.values = {{0, 0, 4000}, ValueDtype::f32, 1};
  task.rows = 10;
  task.columns = 100;
  Job job;
  job.files = {folder.write("source", std::vector<float>(1000))};
  job.tasks = {task};
  job.device = "cpu";
  std::stop_source stop;
  stop.request_stop();
  Recorder recorder;
  EXPECT_THROW(run(job, recorder, stop.get_token()), Cancelled);
}

TEST(Difference, TensorsOfAnyTwoDtypesAreComparedByTheirValues) {
  const TemporaryFolder folder;
  const std::vector<float> weights = testing::correlated_weights(900, 400, 2);
  std::vector<std::uint8_t> codes;
  const float scale = 0.015625F;
  for (const float weight : weights) codes.push_back(encode_e4m3(weight / scale));
  double error = 0;
  double norm = 0;
  double worst = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double difference = static_cast<double>(decode_e4m3(codes[i])) * static_cast<double>(scale) - static_cast<double>(weights[i]);
    error += difference * difference;
    norm += static_cast<double>(weights[i]) * static_cast<double>(weights[i]);
    worst = std::max(worst, std::fabs(difference));
  }
  DifferenceTask task;
  task.name = "layer.weight";
  task.reference = {{0, 0, weights.size() * 4}, ValueDtype::f32, 1};
  task.other = {{1, 0, weights.size()}, ValueDtype::f8_e4m3, static_cast<double>(scale)};
  Job job;
  job.files = {folder.write("reference", weights), folder.write("other", codes)};
  job.tasks = {task};
  job.device = "cpu";
  Recorder recorder;
  run(job, recorder);
  const auto found = recorder.only<Compared>();
  EXPECT_FALSE(found.equal);
  EXPECT_NEAR(found.squared_error, error, 1e-9 * error);
  EXPECT_NEAR(found.squared_source, norm, 1e-9 * norm);
  EXPECT_EQ(found.max_absolute_error, worst);
  EXPECT_EQ(found.non_finite_count, 0U);
}

TEST(Difference, EqualMeansEveryValueNanIncluded) {
  const TemporaryFolder folder;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto equal = [&](const std::vector<float>& reference, const std::vector<float>& other) {
    DifferenceTask task;
    task.reference = {{0, 0, reference.size() * 4}, ValueDtype::f32, 1};
    task.other = {{1, 0, other.size() * 4}, ValueDtype::f32, 1};
    Job job;
    job.files = {folder.write("reference", reference), folder.write("other", other)};
    job.tasks = {task};
    job.device = "cpu";
    Recorder recorder;
    run(job, recorder);
    return recorder.only<Compared>().equal;
  };
  EXPECT_TRUE(equal({1, nan, 3}, {1, nan, 3}));
  EXPECT_FALSE(equal({1, nan, 3}, {1, 2, 3}));
  EXPECT_FALSE(equal({1, 2, 3}, {1, 2, 4}));
}

}  // namespace
}  // namespace fp8
