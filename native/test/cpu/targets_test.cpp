// Every grid with every granularity, whole jobs on real files, against plain code in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/grid.h"
#include "fp8/fp8.h"
#include "fp8/storage.h"
#include "support/job_fixture.h"
#include "support/target_problem.h"

namespace fp8 {
namespace {

using testing::largest_of;
using testing::make_problem;
using testing::nearest_code;
using testing::Problem;
using testing::Recorder;
using testing::Target;
using testing::TemporaryFolder;
using testing::Written;

class Targets : public ::testing::TestWithParam<Target> {
 protected:
  static void run(const Job& job, Observer& observer) { make_cpu_backend()->run(job, observer, {}); }
  const TemporaryFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(All, Targets, ::testing::ValuesIn(testing::targets),
                         [](const auto& target) { return std::string(target.param.name); });

TEST_P(Targets, NearestIsTheCastBitForBitAndItsScalesThoseOfTheLargestMagnitudes) {
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{37, 211}, {130, 300}, {1, 1}}) {
    const Problem problem = make_problem(GetParam().storage, rows, columns);
    const Job job = problem.job(folder_, Rounding::nearest);
    Recorder recorder;
    run(job, recorder);
    const Written written = problem.read(*job.output);
    ASSERT_EQ(written.codes.size(), problem.weights.size());
    EXPECT_TRUE(written.padding_is_zero);
    for (std::size_t i = 0; i < written.codes.size(); ++i) {
      ASSERT_EQ(written.codes[i], nearest_code(problem.storage.grid, problem.weights[i] / written.scales[i])) << i;
    }
    const std::vector<double> largest = problem.largest_of_blocks();
    const double grid_largest = largest_of(problem.storage.grid);
    for (std::size_t b = 0; b < largest.size(); ++b) {
      const double scale = static_cast<double>(written.block_scales[b]);
      const double exact = largest[b] / grid_largest;
      if (largest[b] == 0) {
        EXPECT_EQ(scale, static_cast<double>(written.tensor_scale));
      } else if (problem.storage.scale_form == ScaleForm::e8m0) {
        EXPECT_GE(scale, exact);
        EXPECT_LT(scale, 2 * exact);
      } else if (problem.storage.scale_form == ScaleForm::e4m3) {
        EXPECT_EQ(scale,
                  static_cast<double>(decode_e4m3(encode_e4m3(static_cast<float>(exact) / written.tensor_scale)) * written.tensor_scale));
      } else {
        EXPECT_GE(scale, exact);
        EXPECT_LE(scale, exact * (1 + 1.0 / 128));
        EXPECT_EQ(std::bit_cast<std::uint32_t>(written.block_scales[b]) & 0xFFFFU, 0U);
      }
    }
    const auto event = recorder.only<Quantized>();
    double error = 0;
    double norm = 0;
    for (const double value : problem.errors_of(written)) error += value * value;
    for (const float value : problem.weights) norm += static_cast<double>(value) * static_cast<double>(value);
    EXPECT_NEAR(event.relative_error, norm == 0 ? 0 : std::sqrt(error / norm), 1e-5);
    EXPECT_NEAR(event.squared_source, norm, 1e-5 * norm);
  }
}

TEST_P(Targets, LearnedRoundingReportsTheTrueObjectiveAndNeverLosesToNearest) {
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{70, 133}, {24, 160}, {1, 33}}) {
    for (const bool both : {false, true}) {
      const Problem problem = make_problem(GetParam().storage, rows, columns);
      Job job = problem.job(folder_, Rounding::nearest);
      Recorder nearest_recorder;
      run(job, nearest_recorder);
      const double nearest = problem.objective(problem.errors_of(problem.read(*job.output)), both);
      job = problem.job(folder_, Rounding::learned);
      if (both) std::get<QuantizeTask>(job.tasks[0]).outputs = Statistics{{StatisticsTerm{}}, 1};
      Recorder recorder;
      run(job, recorder);
      const Written written = problem.read(*job.output);
      EXPECT_TRUE(written.padding_is_zero);
      const double learned = problem.objective(problem.errors_of(written), both);
      const auto event = recorder.only<Quantized>();
      EXPECT_NEAR(*event.objective_nearest, nearest, 2e-4 * nearest) << rows << ' ' << both;
      EXPECT_NEAR(*event.objective, learned, 2e-4 * nearest) << rows << ' ' << both;
      EXPECT_LE(learned, nearest * (1 + 1e-6));
      if (rows > 1) {
        EXPECT_LT(learned, 0.9 * nearest) << rows << ' ' << both;
      }
    }
  }
}

TEST_P(Targets, BytesDoNotDependOnTheThreads) {
  const Problem problem = make_problem(GetParam().storage, 300, 170);
  for (const Rounding rounding : {Rounding::nearest, Rounding::learned}) {
    std::vector<std::uint8_t> first;
    for (const std::uint32_t threads : {1U, 2U, 5U}) {
      Job job = problem.job(folder_, rounding);
      job.threads = threads;
      Recorder recorder;
      run(job, recorder);
      const std::vector<std::uint8_t> bytes = testing::read_file(*job.output);
      if (first.empty()) first = bytes;
      EXPECT_EQ(bytes, first) << threads;
    }
  }
}

TEST_P(Targets, ZerosGetScaleOneAndZeroCodes) {
  for (const Rounding rounding : {Rounding::nearest, Rounding::learned}) {
    Problem problem = make_problem(GetParam().storage, 20, 50);
    std::fill(problem.weights.begin(), problem.weights.end(), 0.0F);
    const Job job = problem.job(folder_, rounding);
    Recorder recorder;
    run(job, recorder);
    const Written written = problem.read(*job.output);
    for (const std::uint8_t code : written.codes) ASSERT_EQ(code, 0);
    for (const float scale : written.scales) ASSERT_EQ(scale, 1.0F);
    EXPECT_EQ(recorder.only<Quantized>().relative_error, 0);
  }
}

TEST_P(Targets, TinyAndHugeMagnitudesStayFiniteAndClose) {
  for (const float size : {1e-42F, 1e-37F, 1e36F}) {
    for (const Rounding rounding : {Rounding::nearest, Rounding::learned}) {
      Problem problem = make_problem(GetParam().storage, 33, 64);
      for (float& value : problem.weights) value *= size;
      const Job job = problem.job(folder_, rounding);
      Recorder recorder;
      run(job, recorder);
      const Written written = problem.read(*job.output);
      double error = 0;
      double norm = 0;
      for (std::size_t i = 0; i < written.codes.size(); ++i) {
        const double value = written.value(problem.storage.grid, i);
        ASSERT_TRUE(std::isfinite(value));
        error += std::pow(value - static_cast<double>(problem.weights[i]), 2);
        norm += std::pow(static_cast<double>(problem.weights[i]), 2);
      }
      // The scales of subnormal weights have few bits or none.
      if (size > 1e-40F) {
        EXPECT_LT(std::sqrt(error / norm), 0.4) << size;
      }
    }
  }
}

TEST_P(Targets, NonFiniteTensorsAreNamedAndNothingIsWritten) {
  for (const Rounding rounding : {Rounding::nearest, Rounding::learned}) {
    Problem problem = make_problem(GetParam().storage, 20, 30);
    problem.weights[5] = std::numeric_limits<float>::quiet_NaN();
    problem.weights[599] = std::numeric_limits<float>::infinity();
    const Job job = problem.job(folder_, rounding);
    Recorder recorder;
    run(job, recorder);
    EXPECT_EQ(recorder.only<NonFinite>().count, 2U);
    for (const std::uint8_t byte : testing::read_file(*job.output)) ASSERT_EQ(byte, 0);
  }
}

TEST_P(Targets, AreReadBackAsTheyAreStored) {
  const Problem problem = make_problem(GetParam().storage, 133, 210);
  const Job written_by = problem.job(folder_, Rounding::learned);
  Recorder quantized;
  run(written_by, quantized);
  const Written written = problem.read(*written_by.output);
  const std::vector<double> errors = problem.errors_of(written);
  const double step = static_cast<double>(widest_step(grid_of(problem.storage.grid)));

  StoredCodes codes;
  codes.storage = problem.storage;
  codes.rows = problem.rows;
  codes.columns = problem.columns;
  codes.scales = {1, problem.code_size(), problem.scale_size()};
  codes.tensor_scale = static_cast<double>(written.tensor_scale);
  std::vector<float> values(errors.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(written.value(problem.storage.grid, i));

  const std::uint64_t bytes = problem.weights.size() * 4;
  CompareTask compare{1, "layer.weight", {1, 0, problem.code_size()}, {0, 0, bytes}, SourceDtype::f32, problem.rows, problem.columns};
  compare.codes = codes;
  CompareTask with_itself = compare;
  with_itself.id = 2;
  with_itself.source = {2, 0, bytes};
  const TensorValues stored{{1, 0, problem.code_size()}, ValueDtype::u8, 1, codes};
  const TensorValues plain{{2, 0, bytes}, ValueDtype::f32, 1};
  Job job;
  job.files = {written_by.files[0], *written_by.output, folder_.write("values", values)};
  job.tasks = {compare, with_itself, DifferenceTask{3, "layer.weight", plain, stored},
               InspectTask{4, "layer.weight", stored, problem.rows, problem.columns},
               InspectTask{5, "layer.weight", plain, problem.rows, problem.columns}};
  Recorder recorder;
  run(job, recorder);
  double squared = 0;
  double steps = 0;
  double norm = 0;
  for (const float value : values) norm += static_cast<double>(value) * static_cast<double>(value);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    squared += errors[i] * errors[i];
    steps = std::max(steps, std::fabs(errors[i]) / (step / 2 * static_cast<double>(written.scales[i])));
  }
  for (const Compared& found : recorder.all<Compared>()) {
    if (found.id != 1) {
      EXPECT_TRUE(found.equal) << found.id;
      EXPECT_EQ(found.squared_error, 0);
      continue;
    }
    EXPECT_FALSE(found.equal);
    EXPECT_NEAR(found.squared_error, squared, 1e-6 * squared);
    EXPECT_NEAR(found.largest_step_error.value_or(0), steps, 1e-6 * steps);
    EXPECT_NEAR(found.squared_converted.value_or(0), norm, 1e-6 * norm);
  }
  const std::vector<Inspected> inspected = recorder.all<Inspected>();
  ASSERT_EQ(inspected.size(), 2U);
  EXPECT_EQ(inspected[0].largest, inspected[1].largest);
  EXPECT_EQ(inspected[0].mean, inspected[1].mean);
  EXPECT_EQ(inspected[0].histogram, inspected[1].histogram);
}

TEST(Grids, HaveTheirWidestStepBetweenTheirLargestValues) {
  EXPECT_EQ(widest_step(e4m3_grid), decode_e4m3(0x7E) - decode_e4m3(0x7D));
  EXPECT_EQ(widest_step(e5m2_grid), decode_e5m2(0x7B) - decode_e5m2(0x7A));
  EXPECT_EQ(widest_step(e2m1_grid), 2);
  EXPECT_EQ(widest_step(int8_grid), 1);
}

TEST(StoredScales, AreInTilesWhenSwizzled) {
  const CodeStorage storage = testing::mxfp8();
  const ScaleShape shape = scale_shape(storage, 200, 300);  // 200 × 10 scales: 2 × 3 tiles
  EXPECT_EQ(stored_scale_count(storage, shape), 256U * 12U);
  EXPECT_EQ(scale_place(storage, shape, 0, 0), 0U);
  EXPECT_EQ(scale_place(storage, shape, 0, 3), 3U);
  EXPECT_EQ(scale_place(storage, shape, 1, 0), 16U);
  EXPECT_EQ(scale_place(storage, shape, 32, 0), 4U);
  EXPECT_EQ(scale_place(storage, shape, 127, 3), 511U);
  EXPECT_EQ(scale_place(storage, shape, 0, 4), 512U);
  EXPECT_EQ(scale_place(storage, shape, 128, 0), 3U * 512U);
  std::vector<char> is_taken(256 * 12, 0);
  for (std::uint64_t r = 0; r < shape.rows; ++r) {
    for (std::uint64_t c = 0; c < shape.columns; ++c) {
      char& taken = is_taken[static_cast<std::size_t>(scale_place(storage, shape, r, c))];
      EXPECT_EQ(taken, 0);
      taken = 1;
    }
  }
}

}  // namespace
}  // namespace fp8
