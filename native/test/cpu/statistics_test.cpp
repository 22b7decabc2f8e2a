// Statistics from files and of both sides, through the backend, against plain sums in double.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

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
