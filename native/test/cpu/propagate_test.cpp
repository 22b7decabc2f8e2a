// Propagation through the backend, against the same steps in plain loops over double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "core/half_float.h"
#include "fp8/error.h"
#include "fp8/fp8.h"
#include "support/job_fixture.h"
#include "support/random.h"

namespace fp8 {
namespace {

using Step = PropagateStep;
using Kind = PropagateStep::Kind;
using Matrix = std::vector<std::vector<double>>;

constexpr std::uint32_t vocabulary = 50;
constexpr std::uint32_t width = 24;
constexpr std::uint32_t inner = 40;
constexpr std::uint32_t samples = 600;

class Propagate : public ::testing::Test {
 protected:
  TensorValues values(const std::string& name, std::size_t count, float offset = 0) {
    std::vector<float> numbers = testing::correlated_weights(1, count, static_cast<unsigned>(7 + numbers_.size()));
    for (float& number : numbers) number = 20 * number + offset;
    const auto file = static_cast<std::uint32_t>(files_.size());
    files_.push_back(folder_.write(name, numbers));
    numbers_[file] = numbers;
    return {{file, 0, count * 4}, ValueDtype::f32, 1};
  }

  // Adds a step that writes the register, and returns where its values are in the output.
  std::uint64_t store(std::uint32_t a, std::uint64_t size, bool as_samples) {
    Step step;
    step.kind = Kind::store;
    step.a = a;
    step.mean_offset = end_;
    step.offset = end_ + size * 4;
    step.stores_samples = as_samples;
    end_ = step.offset + (as_samples ? samples * size * 2 : size * size * 4);
    steps_.push_back(step);
    return step.mean_offset;
  }

  Step& add(Kind kind, std::uint32_t out, std::uint32_t a, std::uint32_t b = 0) {
    Step step;
    step.kind = kind;
    step.out = out;
    step.a = a;
    step.b = kind == Kind::add || kind == Kind::multiply ? b : a;
    steps_.push_back(step);
    return steps_.back();
  }

  void run(std::uint32_t threads, std::uint64_t seed = 5) {
    PropagateTask task;
    task.name = "propagated";
    task.samples = samples;
    task.seed = seed;
    task.register_count = 4;
    task.steps = steps_;
    Job job;
    job.files = files_;
    job.output = folder_.reserve("output", end_);
    job.tasks = {task};
    job.device = "cpu";
    job.threads = threads;
    testing::Recorder recorder;
    (void)make_cpu_backend()->run(job, recorder, {});
    (void)recorder.only<Copied>();
    output_ = testing::read_file(*job.output);
  }

  float f32_at(std::uint64_t offset, std::size_t index) const {
    float value;
    std::memcpy(&value, output_.data() + offset + 4 * index, 4);
    return value;
  }

  Matrix samples_at(std::uint64_t mean_offset, std::size_t size) const {
    Matrix found(samples, std::vector<double>(size));
    const auto* data = reinterpret_cast<const std::byte*>(output_.data()) + mean_offset + 4 * size;
    for (std::size_t s = 0; s < samples; ++s) {
      for (std::size_t i = 0; i < size; ++i) found[s][i] = static_cast<double>(decode_source(data, s * size + i, SourceDtype::bf16));
    }
    return found;
  }

  const std::vector<float>& numbers(const TensorValues& tensor) const { return numbers_.at(tensor.range.file); }

  const testing::TemporaryFolder folder_;
  std::vector<std::string> files_;
  std::map<std::uint32_t, std::vector<float>> numbers_;
  std::vector<Step> steps_;
  std::uint64_t end_ = 0;
  std::vector<std::uint8_t> output_;
};

TEST_F(Propagate, SendsRowsOfTheTableThroughNormGateAndActivation) {
  const TensorValues table = values("table", vocabulary * width);
  const TensorValues gain = values("gain", width, 1);
  const TensorValues shift = values("shift", width);
  const TensorValues gate = values("gate", inner * width);
  const TensorValues up = values("up", inner * width);
  const TensorValues up_bias = values("up_bias", inner);
  Step& gather = add(Kind::gather, 0, 0);
  gather.weight = table;
  gather.rows = vocabulary;
  const std::uint64_t at_table = store(0, width, true);
  Step& norm = add(Kind::layer_norm, 1, 0);
  norm.weight = gain;
  norm.bias = shift;
  const std::uint64_t at_norm = store(1, width, true);
  Step& gate_step = add(Kind::linear, 2, 1);
  gate_step.weight = gate;
  gate_step.rows = inner;
  add(Kind::activate, 2, 2).activation = Step::Activation::silu;
  Step& up_step = add(Kind::linear, 3, 1);
  up_step.weight = up;
  up_step.bias = up_bias;
  up_step.rows = inner;
  add(Kind::multiply, 2, 2, 3);
  const std::uint64_t at_product = store(2, inner, true);
  const std::uint64_t at_moment = store(2, inner, false);
  run(3);

  const Matrix rows = samples_at(at_table, width);
  const Matrix normed = samples_at(at_norm, width);
  const Matrix product = samples_at(at_product, inner);
  std::map<std::size_t, std::size_t> drawn;
  std::vector<double> mean(inner, 0.0);
  Matrix moment(inner, std::vector<double>(inner, 0.0));
  for (std::size_t s = 0; s < samples; ++s) {
    // Which row of the table it is, told by its first values.
    std::size_t row = vocabulary;
    for (std::size_t r = 0; r < vocabulary; ++r) {
      bool same = true;
      for (std::size_t i = 0; i < width; ++i) {
        same = same && static_cast<double>(decode_bf16(encode_bf16(numbers(table)[r * width + i]))) == rows[s][i];
      }
      if (same) row = r;
    }
    ASSERT_LT(row, vocabulary);
    ++drawn[row];
    std::vector<double> x(width);
    double centre = 0;
    for (std::size_t i = 0; i < width; ++i) centre += static_cast<double>(numbers(table)[row * width + i]) / width;
    double square = 0;
    for (std::size_t i = 0; i < width; ++i) {
      x[i] = static_cast<double>(numbers(table)[row * width + i]) - centre;
      square += x[i] * x[i] / width;
    }
    for (std::size_t i = 0; i < width; ++i) {
      x[i] = x[i] / std::sqrt(square + 1e-6) * static_cast<double>(numbers(gain)[i]) + static_cast<double>(numbers(shift)[i]);
      EXPECT_NEAR(normed[s][i], x[i], 0.004 * std::fabs(x[i]) + 1e-5);
    }
    std::vector<double> y(inner);
    for (std::size_t o = 0; o < inner; ++o) {
      double g = 0;
      double u = static_cast<double>(numbers(up_bias)[o]);
      for (std::size_t i = 0; i < width; ++i) {
        g += static_cast<double>(numbers(gate)[o * width + i]) * x[i];
        u += static_cast<double>(numbers(up)[o * width + i]) * x[i];
      }
      y[o] = g / (1 + std::exp(-g)) * u;
      EXPECT_NEAR(product[s][o], y[o], 0.004 * std::fabs(y[o]) + 1e-4);
      mean[o] += y[o] / samples;
    }
    for (std::size_t a = 0; a < inner; ++a) {
      for (std::size_t b = 0; b < inner; ++b) moment[a][b] += y[a] * y[b] / samples;
    }
  }
  // Every row of the table turns up: 600 draws of 50 leave one out once in 4,000 times, and the seed is fixed.
  EXPECT_EQ(drawn.size(), vocabulary);
  double largest = 0;
  for (std::size_t o = 0; o < inner; ++o) largest = std::max(largest, moment[o][o]);
  for (std::size_t a = 0; a < inner; ++a) {
    EXPECT_NEAR(static_cast<double>(f32_at(at_moment, a)), mean[a], 1e-4 * std::sqrt(largest));
    for (std::size_t b = 0; b < inner; ++b) {
      EXPECT_NEAR(static_cast<double>(f32_at(at_moment + 4 * inner, a * inner + b)), moment[a][b], 1e-4 * largest);
    }
  }
}

TEST_F(Propagate, GivesAttentionAnotherSamplesValuesAndSharesHeads) {
  const TensorValues table = values("table", vocabulary * width);
  Step& gather = add(Kind::gather, 0, 0);
  gather.weight = table;
  gather.rows = vocabulary;
  const std::uint64_t before = store(0, width, true);
  add(Kind::shuffle, 1, 0);
  const std::uint64_t after = store(1, width, true);
  Step& repeat = add(Kind::repeat_heads, 2, 1);
  repeat.rows = width / 3;
  repeat.times = 2;
  const std::uint64_t repeated = store(2, 2 * width, true);
  run(2);
  Matrix from = samples_at(before, width);
  Matrix to = samples_at(after, width);
  EXPECT_NE(from, to);
  const Matrix doubled = samples_at(repeated, 2 * width);
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t i = 0; i < 2 * width; ++i) {
      const std::size_t head = i / (width / 3) / 2;
      EXPECT_EQ(doubled[s][i], to[s][head * (width / 3) + i % (width / 3)]);
    }
  }
  std::sort(from.begin(), from.end());
  std::sort(to.begin(), to.end());
  EXPECT_EQ(from, to);
}

TEST_F(Propagate, RefusesStepsThatDoNotFit) {
  const auto refuses = [&](const char* why) {
    try {
      run(1);
      ADD_FAILURE() << "accepted: " << why;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::internal);
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
      EXPECT_EQ(error.tensor(), "propagated");
    }
    steps_.resize(1);
  };
  add(Kind::noise, 0, 0).rows = width;
  add(Kind::add, 1, 0, 2);
  refuses("reads values that no step has made");
  add(Kind::shuffle, 9, 0);
  refuses("writes a register that there is not");
  Step& linear = add(Kind::linear, 1, 0);
  linear.weight = values("matrix", inner * width);
  linear.rows = inner + 1;
  refuses("has a matrix of another shape");
  add(Kind::rms_norm, 1, 0).weight = values("gain", width + 1);
  refuses("has a vector of another size");
  Step& slice = add(Kind::slice, 1, 0);
  slice.rows = width / 2;
  slice.part = 2;
  refuses("takes a part that is not there");
  add(Kind::repeat_heads, 1, 0).rows = 7;
  refuses("has heads of another size");
  add(Kind::noise, 1, 0).rows = width + 1;
  add(Kind::multiply, 1, 0, 1);
  refuses("joins values of different widths");
}

TEST_F(Propagate, GivesTheSameBytesForAnyNumberOfThreadsAndOthersForAnotherSeed) {
  Step& gather = add(Kind::gather, 0, 0);
  gather.weight = values("table", vocabulary * width);
  gather.rows = vocabulary;
  Step& linear = add(Kind::linear, 1, 0);
  linear.weight = values("matrix", inner * width);
  linear.rows = inner;
  store(1, inner, false);
  run(1);
  const std::vector<std::uint8_t> one = output_;
  run(3);
  EXPECT_EQ(output_, one);
  run(3, 6);
  EXPECT_NE(output_, one);
}

}  // namespace
}  // namespace fp8
