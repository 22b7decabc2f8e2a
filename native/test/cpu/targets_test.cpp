// Every grid with every granularity, whole jobs on real files, against plain code in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "cpu/grid.h"
#include "fp8/fp8.h"
#include "fp8/storage.h"
#include "support/job_fixture.h"
#include "support/random.h"

namespace fp8 {
namespace {

using testing::Recorder;
using testing::TemporaryFolder;

struct Target {
  const char* name;
  CodeStorage storage;
};

constexpr CodeStorage with_block(CodeGrid grid, std::uint64_t rows, std::uint64_t columns) {
  CodeStorage storage;
  storage.grid = grid;
  storage.block = ScaleBlock{rows, columns};
  return storage;
}

constexpr CodeStorage whole(CodeGrid grid) {
  CodeStorage storage;
  storage.grid = grid;
  return storage;
}

constexpr std::uint64_t every = 1U << 20;  // more than any test's rows or columns

constexpr CodeStorage mxfp8() {
  CodeStorage storage = with_block(CodeGrid::e4m3, 1, 32);
  storage.scale_form = ScaleForm::e8m0;
  storage.scale_order = ScaleOrder::swizzled;
  return storage;
}

constexpr CodeStorage nvfp4() {
  CodeStorage storage = with_block(CodeGrid::e2m1, 1, 16);
  storage.scale_form = ScaleForm::e4m3;
  storage.scale_order = ScaleOrder::swizzled;
  return storage;
}

const Target targets[] = {
    {"e4m3_row", with_block(CodeGrid::e4m3, 1, every)},
    {"e4m3_block", with_block(CodeGrid::e4m3, 128, 128)},
    {"e4m3_ragged", with_block(CodeGrid::e4m3, 7, 33)},
    {"e4m3_column", with_block(CodeGrid::e4m3, every, 1)},
    {"e5m2_tensor", whole(CodeGrid::e5m2)},
    {"e5m2_row", with_block(CodeGrid::e5m2, 1, every)},
    {"e5m2_block", with_block(CodeGrid::e5m2, 64, 64)},
    {"int8_tensor", whole(CodeGrid::int8)},
    {"int8_row", with_block(CodeGrid::int8, 1, every)},
    {"int8_block", with_block(CodeGrid::int8, 128, 128)},
    {"e2m1_ragged", with_block(CodeGrid::e2m1, 3, 20)},
    {"mxfp8", mxfp8()},
    {"mxfp8_plain",
     [] {
       CodeStorage s = mxfp8();
       s.scale_order = ScaleOrder::plain;
       return s;
     }()},
    {"nvfp4", nvfp4()},
};

float decode(CodeGrid grid, std::uint8_t code) {
  switch (grid) {
    case CodeGrid::e4m3:
      return decode_e4m3(code);
    case CodeGrid::e5m2:
      return decode_e5m2(code);
    case CodeGrid::int8:
      return decode_int8(code);
    case CodeGrid::e2m1:
      return decode_e2m1(code);
  }
  return 0;
}

double largest_of(CodeGrid grid) {
  switch (grid) {
    case CodeGrid::e4m3:
      return 448;
    case CodeGrid::e5m2:
      return 57344;
    case CodeGrid::int8:
      return 127;
    case CodeGrid::e2m1:
      return 6;
  }
  return 0;
}

// The code whose value is nearest, found by trying all of them; among two, the even one. `quotient` is in binary32, as the cast has it.
std::uint8_t nearest_code(CodeGrid grid, float quotient) {
  const unsigned count = grid == CodeGrid::e2m1 ? 8 : 128;
  unsigned best = 0;
  double least = std::numeric_limits<double>::infinity();
  const double magnitude = std::fabs(static_cast<double>(quotient));
  for (unsigned code = 0; code < count; ++code) {
    const double value = static_cast<double>(decode(grid, static_cast<std::uint8_t>(code)));
    if (!std::isfinite(value)) continue;
    const double distance = std::fabs(magnitude - value);
    if (distance < least || (distance == least && code % 2 == 0)) {
      least = distance;
      best = code;
    }
  }
  if (!std::signbit(quotient)) return static_cast<std::uint8_t>(best);
  if (grid == CodeGrid::int8) return static_cast<std::uint8_t>(-static_cast<int>(best));
  return static_cast<std::uint8_t>(best | count);
}

// A matrix read back from the output, element by element, as a loader would.
struct Written {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;  // of each element
  std::vector<float> block_scales;
  float tensor_scale = 1;
  bool padding_is_zero = true;

  double value(CodeGrid grid, std::size_t index) const {
    return static_cast<double>(decode(grid, codes[index])) * static_cast<double>(scales[index]);
  }
};

struct Problem {
  std::size_t rows;
  std::size_t columns;
  std::vector<float> weights;
  CodeStorage storage;

  std::uint64_t code_size() const { return code_bytes(storage, rows, columns); }
  std::uint64_t scale_size() const { return scale_bytes(storage, rows, columns); }

  Job job(const TemporaryFolder& folder, Rounding rounding) const {
    Job result = testing::one_matrix(folder.write("source", weights), folder.reserve("output", code_size() + scale_size() + 4),
                                     SourceDtype::f32, rows, columns, rounding);
    auto& task = std::get<QuantizeTask>(result.tasks[0]);
    task.storage = storage;
    task.scale_offsets = {code_size()};
    if (storage.scale_form == ScaleForm::e4m3) task.tensor_scale_offsets = {code_size() + scale_size()};
    return result;
  }

  Written read(const std::string& path) const {
    const std::vector<std::uint8_t> bytes = testing::read_file(path);
    Written out;
    if (storage.scale_form == ScaleForm::e4m3) std::memcpy(&out.tensor_scale, bytes.data() + code_size() + scale_size(), 4);
    const ScaleShape shape = scale_shape(storage, rows, columns);
    const std::uint64_t row_bytes = code_row_bytes(storage, columns);
    std::vector<char> is_used(static_cast<std::size_t>(scale_size()), 0);
    const auto scale_of_block = [&](std::uint64_t row, std::uint64_t column) {
      const std::uint64_t size = byte_size(storage.scale_form);
      const auto place = static_cast<std::size_t>(scale_place(storage, shape, row, column) * size);
      std::fill_n(is_used.begin() + static_cast<std::ptrdiff_t>(place), size, char{1});
      const std::uint8_t* at = bytes.data() + code_size() + place;
      if (storage.scale_form == ScaleForm::e8m0) return static_cast<float>(std::ldexp(1.0, *at - 127));
      if (storage.scale_form == ScaleForm::e4m3) return decode_e4m3(*at) * out.tensor_scale;
      float scale;
      std::memcpy(&scale, at, 4);
      return scale;
    };
    for (std::uint64_t r = 0; r < shape.rows; ++r) {
      for (std::uint64_t c = 0; c < shape.columns; ++c) out.block_scales.push_back(scale_of_block(r, c));
    }
    for (std::size_t r = 0; r < stored_rows(storage, rows); ++r) {
      for (std::size_t c = 0; c < stored_columns(storage, columns); ++c) {
        std::uint8_t code = bytes[r * row_bytes + (storage.grid == CodeGrid::e2m1 ? c / 2 : c)];
        if (storage.grid == CodeGrid::e2m1) code = c % 2 == 0 ? code >> 4 : code & 0xF;
        if (r >= rows || c >= columns) {
          out.padding_is_zero = out.padding_is_zero && code == 0;
        } else {
          out.codes.push_back(code);
          out.scales.push_back(out.block_scales[static_cast<std::size_t>(r / shape.block_rows * shape.columns + c / shape.block_columns)]);
        }
      }
    }
    for (std::size_t i = 0; i < is_used.size(); ++i) {
      if (is_used[i] == 0) out.padding_is_zero = out.padding_is_zero && bytes[code_size() + i] == 0;
    }
    return out;
  }

  // The largest magnitude of each block.
  std::vector<double> largest_of_blocks() const {
    const ScaleShape shape = scale_shape(storage, rows, columns);
    std::vector<double> largest(static_cast<std::size_t>(shape.count()), 0.0);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        double& of_block = largest[static_cast<std::size_t>(r / shape.block_rows * shape.columns + c / shape.block_columns)];
        of_block = std::max(of_block, std::fabs(static_cast<double>(weights[r * columns + c])));
      }
    }
    return largest;
  }

  // tr(G E H Eᵀ) with gram statistics and damping 1; G only where `both`.
  double objective(const std::vector<double>& errors, bool both) const {
    const auto gram = [&](std::size_t size, std::size_t depth, std::size_t step, std::size_t depth_step) {
      std::vector<double> square(size * size, 0.0);
      double trace = 0;
      for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t j = 0; j < size; ++j) {
          for (std::size_t k = 0; k < depth; ++k) {
            square[i * size + j] +=
                static_cast<double>(weights[i * step + k * depth_step]) * static_cast<double>(weights[j * step + k * depth_step]);
          }
        }
        trace += square[i * size + i];
      }
      for (double& value : square) value /= trace / static_cast<double>(size);
      for (std::size_t i = 0; i < size; ++i) square[i * size + i] += 1;
      return square;
    };
    const std::vector<double> h = gram(columns, rows, 1, columns);
    std::vector<double> product(errors.size(), 0.0);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = 0; i < columns; ++i) {
        for (std::size_t j = 0; j < columns; ++j) product[r * columns + i] += errors[r * columns + j] * h[j * columns + i];
      }
    }
    if (!both) return std::inner_product(errors.begin(), errors.end(), product.begin(), 0.0);
    const std::vector<double> g = gram(rows, columns, columns, 1);
    double total = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t s = 0; s < rows; ++s) {
        double dot = 0;
        for (std::size_t i = 0; i < columns; ++i) dot += errors[r * columns + i] * product[s * columns + i];
        total += g[r * rows + s] * dot;
      }
    }
    return total;
  }

  std::vector<double> errors_of(const Written& written) const {
    std::vector<double> errors(weights.size());
    for (std::size_t i = 0; i < errors.size(); ++i) errors[i] = written.value(storage.grid, i) - static_cast<double>(weights[i]);
    return errors;
  }
};

std::size_t padded(std::size_t value, std::size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

Problem make_problem(CodeStorage storage, std::size_t rows, std::size_t columns) {
  std::vector<float> weights = testing::correlated_weights(rows, columns, 11);
  // Rows and columns of quite different sizes, a block of zeros, and a single zero of either sign.
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) weights[r * columns + c] *= static_cast<float>(std::exp2(static_cast<double>(r % 5) - 2));
  }
  if (rows > 1) {
    for (std::size_t c = 0; c < std::min<std::size_t>(columns, 40); ++c) weights[c] = 0;
    weights.back() = -0.0F;
  }
  if (storage.scale_form == ScaleForm::e8m0) {
    storage.stored_rows = padded(rows, 32);
    storage.stored_columns = padded(columns, 32);
  } else if (storage.grid == CodeGrid::e2m1) {
    storage.stored_rows = padded(rows, 16);
    storage.stored_columns = padded(columns, 16);
  }
  return {rows, columns, std::move(weights), storage};
}

class Targets : public ::testing::TestWithParam<Target> {
 protected:
  static void run(const Job& job, Observer& observer) { make_cpu_backend()->run(job, observer, {}); }
  const TemporaryFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(All, Targets, ::testing::ValuesIn(targets), [](const auto& target) { return std::string(target.param.name); });

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
  CodeStorage storage = mxfp8();
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
