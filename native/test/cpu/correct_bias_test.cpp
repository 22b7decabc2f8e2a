// Bias correction through the backend, against what it is for: the mean output of the rounded layer is that of the layer.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/half_float.h"
#include "fp8/fp8.h"
#include "support/job_fixture.h"
#include "support/random.h"

namespace fp8 {
namespace {

constexpr std::size_t rows = 70;
constexpr std::size_t columns = 130;
constexpr std::size_t samples = 40;

class CorrectBias : public ::testing::Test {
 protected:
  CorrectBias() : weights_(testing::correlated_weights(rows, columns, 1)), inputs_(testing::correlated_weights(samples, columns, 2)) {
    for (std::size_t i = 0; i < inputs_.size(); ++i) inputs_[i] += 0.3F + 0.001F * static_cast<float>(i % columns);
    for (std::size_t r = 0; r < rows; ++r) bias_.push_back(0.01F * static_cast<float>(r) - 0.2F);
    for (const float weight : weights_) codes_.push_back(encode_e4m3(weight / scale_));
    task_.name = "layer.bias";
    task_.rows = rows;
    task_.columns = columns;
    task_.weights = {{0, 0, weights_.size() * 4}, ValueDtype::f32, 1};
    task_.codes = {{1, 0, codes_.size()}, ValueDtype::f8_e4m3, static_cast<double>(scale_)};
    task_.inputs = {{2, 0, inputs_.size() * 4}, ValueDtype::f32, 1};
    task_.bias = {{3, 0, rows * 4}, ValueDtype::f32, 1};
    task_.output_offset = 12;
  }

  // Of the layer with these weights and this bias, over the samples.
  double mean_output(std::size_t row, bool rounded, double bias) const {
    double total = 0;
    for (std::size_t s = 0; s < samples; ++s) {
      for (std::size_t c = 0; c < columns; ++c) {
        const double weight = rounded ? static_cast<double>(decode_e4m3(codes_[row * columns + c])) * static_cast<double>(scale_)
                                      : static_cast<double>(weights_[row * columns + c]);
        total += weight * static_cast<double>(inputs_[s * columns + c]);
      }
    }
    return total / samples + bias;
  }

  std::vector<std::uint8_t> run(const std::vector<float>& bias, Compared& change, std::size_t element = 4) {
    Job job;
    const std::string bias_file = element == 4 ? folder_.write("bias", bias) : folder_.write("bias", testing::to_bf16(bias));
    job.files = {folder_.write("weights", weights_), folder_.write("codes", codes_), folder_.write("inputs", inputs_), bias_file};
    job.output = folder_.reserve("output", 12 + rows * element + 5);
    job.tasks = {task_};
    job.device = "cpu";
    job.threads = 3;
    testing::Recorder recorder;
    (void)make_cpu_backend()->run(job, recorder, {});
    change = recorder.only<Compared>();
    return testing::read_file(*job.output);
  }

  const float scale_ = 0.0009765625F;
  const std::vector<float> weights_;
  std::vector<float> inputs_;
  std::vector<float> bias_;
  std::vector<std::uint8_t> codes_;
  const testing::TemporaryFolder folder_;
  CorrectBiasTask task_;
};

TEST_F(CorrectBias, KeepsTheMeanOutputOfEveryRow) {
  Compared change;
  const std::vector<std::uint8_t> output = run(bias_, change);
  double before = 0;
  double after = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    float corrected;
    std::memcpy(&corrected, output.data() + 12 + 4 * r, 4);
    const double wanted = mean_output(r, false, static_cast<double>(bias_[r]));
    before = std::max(before, std::fabs(mean_output(r, true, static_cast<double>(bias_[r])) - wanted));
    after = std::max(after, std::fabs(mean_output(r, true, static_cast<double>(corrected)) - wanted));
  }
  EXPECT_GT(before, 1e-4);
  EXPECT_LT(after, 1e-6);
  EXPECT_NEAR(change.max_absolute_error, before, 1e-6);
  EXPECT_FALSE(change.equal);
  // What stands around it is not touched.
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(output[i], 0);
  for (std::size_t i = 12 + 4 * rows; i < output.size(); ++i) EXPECT_EQ(output[i], 0);
}

TEST_F(CorrectBias, RoundsToTheDtypeOfTheBias) {
  task_.bias = {{3, 0, rows * 2}, ValueDtype::bf16, 1};
  Compared change;
  const std::vector<std::uint8_t> output = run(bias_, change, 2);
  for (std::size_t r = 0; r < rows; ++r) {
    const float given = decode_bf16(testing::to_bf16({bias_[r]})[0]);
    const double wanted = mean_output(r, false, static_cast<double>(given)) - mean_output(r, true, 0);
    EXPECT_EQ(decode_source(reinterpret_cast<const std::byte*>(output.data()) + 12, r, SourceDtype::bf16),
              decode_bf16(encode_bf16(static_cast<float>(wanted))))
        << r;
  }
}

TEST_F(CorrectBias, LeavesABiasThatIsNotFinite) {
  bias_[3] = std::numeric_limits<float>::infinity();
  Compared change;
  const std::vector<std::uint8_t> output = run(bias_, change);
  float corrected;
  std::memcpy(&corrected, output.data() + 12 + 4 * 3, 4);
  EXPECT_EQ(corrected, std::numeric_limits<float>::infinity());
  EXPECT_EQ(change.non_finite_count, 1U);
}

TEST(HalfFloats, ComeBackFromEveryBitPattern) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float f16 = decode_f16(half);
    if (!std::isnan(f16)) {
      EXPECT_EQ(encode_f16(f16), half);
    }
    const float bf16 = decode_bf16(half);
    if (!std::isnan(bf16)) {
      EXPECT_EQ(encode_bf16(bf16), half);
    }
  }
}

TEST(HalfFloats, RoundToNearestWithTiesToEven) {
  for (std::uint16_t half = 0; half < 0x7BFF; ++half) {
    const float low = decode_f16(half);
    const float high = decode_f16(static_cast<std::uint16_t>(half + 1));
    const float middle = (low + high) / 2;
    EXPECT_EQ(encode_f16(middle), half % 2 == 0 ? half : half + 1);
    EXPECT_EQ(encode_f16(std::nextafter(middle, low)), half);
    EXPECT_EQ(encode_f16(std::nextafter(middle, high)), half + 1);
  }
  EXPECT_EQ(encode_f16(65519.0F), 0x7BFF);
  EXPECT_EQ(encode_f16(65520.0F), 0x7C00);
}

}  // namespace
}  // namespace fp8
