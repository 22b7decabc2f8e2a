// Statistics from files and of both sides, through the backend, against plain sums in double.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <utility>
#include <vector>

#include "cpu/exact_hessian.h"
#include "cpu/quantize_task.h"
#include "fp8/error.h"
#include "fp8/fp8.h"
#include "support/job_fixture.h"
#include "support/random.h"

namespace fp8 {
namespace {

constexpr std::size_t rows = 150;
constexpr std::size_t columns = 210;
constexpr std::size_t samples = 700;

class StatisticsOfBothSides : public ::testing::Test {
 protected:
  StatisticsOfBothSides()
      : weights_(testing::correlated_weights(rows, columns, 5)), inputs_(testing::correlated_weights(samples, columns, 7)) {
    source_ = folder_.write("source", weights_);
    inputs_file_ = folder_.write("inputs", inputs_);
    std::vector<float> moment(columns * columns);
    const std::vector<double> square = square_of(inputs_, samples, columns);
    for (std::size_t i = 0; i < moment.size(); ++i) moment[i] = static_cast<float>(square[i] / static_cast<double>(samples));
    moment_file_ = folder_.write("moment", moment);
  }

  // XᵀX.
  static std::vector<double> square_of(const std::vector<float>& x, std::size_t count, std::size_t size) {
    std::vector<double> square(size * size, 0.0);
    for (std::size_t s = 0; s < count; ++s) {
      for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t j = 0; j < size; ++j) {
          square[i * size + j] += static_cast<double>(x[s * size + i]) * static_cast<double>(x[s * size + j]);
        }
      }
    }
    return square;
  }

  static void normalise(std::vector<double>& square, std::size_t size, double damping) {
    double mean = 0;
    for (std::size_t i = 0; i < size; ++i) mean += square[i * size + i] / static_cast<double>(size);
    for (double& value : square) value /= mean;
    for (std::size_t i = 0; i < size; ++i) square[i * size + i] += damping;
  }

  Statistics inputs_by(StatisticsTerm::Kind kind) const {
    const bool as_samples = kind == StatisticsTerm::Kind::samples;
    const std::uint64_t count = as_samples ? samples * columns : columns * columns;
    return {{{kind, 1, {{as_samples ? 1U : 2U, 0, count * 4}, ValueDtype::f32, 1}}}, 0.05};
  }

  struct Outcome {
    Quantized result;
    std::vector<std::uint8_t> written;
  };

  Outcome round(const Statistics& inputs, const std::optional<Statistics>& outputs, std::uint32_t threads) {
    Job job =
        testing::one_matrix(source_, folder_.reserve("output", rows * columns + 4), SourceDtype::f32, rows, columns, Rounding::learned);
    job.files = {source_, inputs_file_, moment_file_};
    job.threads = threads;
    auto& task = std::get<QuantizeTask>(job.tasks[0]);
    task.inputs = inputs;
    task.outputs = outputs;
    testing::Recorder recorder;
    (void)make_cpu_backend()->run(job, recorder, {});
    return {recorder.only<Quantized>(), testing::read_file(*job.output)};
  }

  // tr(G E H Eᵀ) of written codes, or of nearest rounding.
  double objective(const std::vector<double>& g, const std::vector<double>& h, float scale, const std::vector<std::uint8_t>* codes) const {
    std::vector<double> e(rows * columns);
    for (std::size_t i = 0; i < e.size(); ++i) {
      const float w = weights_[i] / scale;
      e[i] = static_cast<double>(decode_e4m3(codes == nullptr ? encode_e4m3(w) : (*codes)[i])) - static_cast<double>(w);
    }
    std::vector<double> eh(rows * columns, 0.0);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = 0; i < columns; ++i) {
        for (std::size_t j = 0; j < columns; ++j) eh[r * columns + j] += e[r * columns + i] * h[i * columns + j];
      }
    }
    double total = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t q = 0; q < rows; ++q) {
        double dot = 0;
        for (std::size_t j = 0; j < columns; ++j) dot += e[r * columns + j] * eh[q * columns + j];
        total += g[r * rows + q] * dot;
      }
    }
    return total * static_cast<double>(scale) * static_cast<double>(scale);
  }

  std::vector<double> input_square() const {
    std::vector<double> h = square_of(inputs_, samples, columns);
    normalise(h, columns, 0.05);
    return h;
  }

  std::vector<double> output_gram() const {
    std::vector<double> g(rows * rows, 0.0);
    for (std::size_t a = 0; a < rows; ++a) {
      for (std::size_t b = 0; b < rows; ++b) {
        for (std::size_t c = 0; c < columns; ++c) {
          g[a * rows + b] += static_cast<double>(weights_[a * columns + c]) * static_cast<double>(weights_[b * columns + c]);
        }
      }
    }
    normalise(g, rows, 2);
    return g;
  }

  const std::vector<float> weights_;
  const std::vector<float> inputs_;
  const testing::TemporaryFolder folder_;
  std::string source_;
  std::string inputs_file_;
  std::string moment_file_;
  const Statistics gram_outputs_{{StatisticsTerm{}}, 2};
};

TEST_F(StatisticsOfBothSides, ReportTheTrueObjective) {
  const Outcome outcome = round(inputs_by(StatisticsTerm::Kind::samples), gram_outputs_, 2);
  const std::vector<double> g = output_gram();
  const std::vector<double> h = input_square();
  const double written = objective(g, h, outcome.result.scale, &outcome.written);
  const double nearest = objective(g, h, outcome.result.scale, nullptr);
  EXPECT_NEAR(*outcome.result.objective, written, 1e-3 * written);
  EXPECT_NEAR(*outcome.result.objective_nearest, nearest, 1e-3 * nearest);
  EXPECT_LT(written, nearest);
}

TEST_F(StatisticsOfBothSides, AreBetterByTheirObjectiveThanTheInputsAlone) {
  const Statistics inputs = inputs_by(StatisticsTerm::Kind::samples);
  const std::vector<double> g = output_gram();
  const std::vector<double> h = input_square();
  const Outcome one = round(inputs, std::nullopt, 2);
  const Outcome both = round(inputs, gram_outputs_, 2);
  EXPECT_LT(objective(g, h, both.result.scale, &both.written), 0.98 * objective(g, h, one.result.scale, &one.written));
}

TEST_F(StatisticsOfBothSides, GiveTheSameBytesForAnyNumberOfThreads) {
  const Statistics inputs = inputs_by(StatisticsTerm::Kind::samples);
  const Outcome one = round(inputs, gram_outputs_, 1);
  const Outcome three = round(inputs, gram_outputs_, 3);
  EXPECT_EQ(one.written, three.written);
  EXPECT_EQ(*one.result.objective, *three.result.objective);
}

TEST_F(StatisticsOfBothSides, AreTheSameFromSamplesAndFromTheirSecondMoment) {
  const Outcome by_samples = round(inputs_by(StatisticsTerm::Kind::samples), std::nullopt, 2);
  const Outcome by_moment = round(inputs_by(StatisticsTerm::Kind::second_moment), std::nullopt, 2);
  EXPECT_NEAR(*by_samples.result.objective_nearest, *by_moment.result.objective_nearest, 1e-4 * *by_moment.result.objective_nearest);
  EXPECT_NEAR(*by_samples.result.objective, *by_moment.result.objective, 1e-2 * *by_moment.result.objective);
}

// Wide enough for the vectors themselves to take the place of their second moment.
class StatisticsOfFewSamples : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  static constexpr std::uint64_t few_rows = 30;
  static constexpr std::uint64_t wide = 400;
  static constexpr std::uint64_t few = 90;

  StatisticsOfFewSamples()
      : source_(folder_.write("source", testing::correlated_weights(few_rows, wide, 5))),
        samples_(testing::correlated_weights(few, wide, 7)),
        samples_file_(folder_.write("samples", samples_)) {
    std::vector<float> moment(wide * wide, 0.0F);
    for (std::size_t s = 0; s < few; ++s) {
      for (std::size_t i = 0; i < wide; ++i) {
        for (std::size_t j = 0; j < wide; ++j) moment[i * wide + j] += samples_[s * wide + i] * samples_[s * wide + j] / few;
      }
    }
    moment_file_ = folder_.write("moment", moment);
  }

  Quantized round(const std::vector<StatisticsTerm>& terms) {
    Job job =
        testing::one_matrix(source_, folder_.reserve("output", few_rows * wide + 4), SourceDtype::f32, few_rows, wide, Rounding::learned);
    job.files = {source_, samples_file_, moment_file_};
    auto& task = std::get<QuantizeTask>(job.tasks[0]);
    task.inputs = {terms, 0.1};
    task.top_k = GetParam();
    testing::Recorder recorder;
    (void)make_cpu_backend()->run(job, recorder, {});
    return recorder.only<Quantized>();
  }

  const testing::TemporaryFolder folder_;
  const std::string source_;
  const std::vector<float> samples_;
  const std::string samples_file_;
  std::string moment_file_;
  const StatisticsTerm by_samples_{StatisticsTerm::Kind::samples, 1, {{1, 0, few* wide * 4}, ValueDtype::f32, 1}};
  const StatisticsTerm by_moment_{StatisticsTerm::Kind::second_moment, 1, {{2, 0, wide* wide * 4}, ValueDtype::f32, 1}};
  const StatisticsTerm gram_{StatisticsTerm::Kind::gram, 0.3, {}};
};

TEST_P(StatisticsOfFewSamples, AreThoseOfTheirSecondMoment) {
  ASSERT_TRUE(ExactHessian::prefers_low_rank(few + few_rows, wide));
  for (const bool with_gram : {false, true}) {
    const auto terms = [&](const StatisticsTerm& own) {
      return with_gram ? std::vector<StatisticsTerm>{own, gram_} : std::vector<StatisticsTerm>{own};
    };
    const Quantized low_rank = round(terms(by_samples_));
    const Quantized dense = round(terms(by_moment_));
    EXPECT_NEAR(*low_rank.objective_nearest, *dense.objective_nearest, 1e-4 * *dense.objective_nearest);
    EXPECT_NEAR(*low_rank.objective, *dense.objective, 2e-2 * *dense.objective);
    EXPECT_LT(*low_rank.objective, 0.8 * *low_rank.objective_nearest);
  }
}

INSTANTIATE_TEST_SUITE_P(AtEveryRank, StatisticsOfFewSamples, ::testing::Values(0U, 12U));

TEST(StatisticsMemory, OfFewSamplesIsNotThatOfASquare) {
  QuantizeTask task;
  task.rows = 4096;
  task.columns = 65536;
  task.dtype = SourceDtype::bf16;
  task.rounding = Rounding::learned;
  const auto by_samples = [](std::uint64_t count) {
    return Statistics{{{StatisticsTerm::Kind::samples, 1, {{1, 0, count * 65536 * 4}, ValueDtype::f32, 1}}}, 0.3};
  };
  task.inputs = by_samples(30'000);
  const std::uint64_t square = quantize_task_bytes(task, 2);
  task.inputs = by_samples(1024);
  EXPECT_GT(square, std::uint64_t{65536} * 65536 * 4);
  EXPECT_LT(quantize_task_bytes(task, 2), square / 3);
}

TEST(StatisticsMemory, GoesWithoutOutputsWhereTheyDoNotFit) {
  constexpr std::uint64_t side = 900;
  const testing::TemporaryFolder folder;
  const std::string source = folder.write("source", testing::correlated_weights(side, side, 5));
  const auto run = [&](bool both, const char* limit) {
    Job job = testing::one_matrix(source, folder.reserve("output", side * side + 4), SourceDtype::f32, side, side, Rounding::learned);
    job.threads = 1;
    if (both) std::get<QuantizeTask>(job.tasks[0]).outputs = Statistics{{StatisticsTerm{}}, 2};
    if (limit != nullptr) ::setenv("FP8_MEMORY_MIB", limit, 1);
    testing::Recorder recorder;
    try {
      (void)make_cpu_backend()->run(job, recorder, {});
    } catch (...) {
      ::unsetenv("FP8_MEMORY_MIB");
      throw;
    }
    ::unsetenv("FP8_MEMORY_MIB");
    return std::pair(recorder.all<Note>(), testing::read_file(*job.output));
  };
  const auto [unused, by_inputs] = run(false, nullptr);
  const auto [free, by_both] = run(true, nullptr);
  EXPECT_NE(by_both, by_inputs);
  EXPECT_TRUE(free.empty());
  const auto [tight, without] = run(true, "14");
  EXPECT_EQ(without, by_inputs);
  ASSERT_EQ(tight.size(), 1U);
  EXPECT_NE(tight[0].message.find("steered by its inputs alone"), std::string::npos);
  EXPECT_THROW(static_cast<void>(run(true, "2")), Error);
}

TEST_F(StatisticsOfBothSides, AreRefusedWhereTheyHoldNothing) {
  const std::string zeros = folder_.reserve("zeros", columns * 4);
  Job job = testing::one_matrix(source_, folder_.reserve("output", rows * columns + 4), SourceDtype::f32, rows, columns, Rounding::learned);
  job.files = {source_, zeros};
  std::get<QuantizeTask>(job.tasks[0]).inputs = {{{StatisticsTerm::Kind::diagonal, 1, {{1, 0, columns * 4}, ValueDtype::f32, 1}}}, 1};
  testing::Recorder recorder;
  EXPECT_THROW(static_cast<void>(make_cpu_backend()->run(job, recorder, {})), Error);
}

}  // namespace
}  // namespace fp8
