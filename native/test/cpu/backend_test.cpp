// Whole jobs of the CPU backend on real files.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "core/file_range.h"
#include "core/half_float.h"
#include "fp8/error.h"
#include "fp8/fp8.h"
#include "support/job_fixture.h"
#include "support/random.h"

namespace fp8 {
namespace {

using testing::one_matrix;
using testing::Recorder;
using testing::TemporaryFolder;

float scale_in(const std::vector<std::uint8_t>& output, std::size_t offset) {
  float scale;
  std::memcpy(&scale, output.data() + offset, sizeof(scale));
  return scale;
}

void run(const Job& job, Observer& observer, std::stop_token stop = {}) { make_cpu_backend()->run(job, observer, std::move(stop)); }

TEST(CpuBackend, NearestEncodesTheQuotientOfEveryElement) {
  const TemporaryFolder folder;
  const std::vector<float> weights = testing::correlated_weights(37, 211, 1);
  const auto check = [&](const auto& source, SourceDtype dtype) {
    const std::string input = folder.write("source", source);
    const std::string output = folder.reserve("output", weights.size() + 4);
    Recorder recorder;
    run(one_matrix(input, output, dtype, 37, 211, Rounding::nearest), recorder);
    const std::vector<std::uint8_t> bytes = testing::read_file(output);
    const float scale = scale_in(bytes, weights.size());
    float largest = 0;
    double error = 0;
    double norm = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const float value = decode_source(reinterpret_cast<const std::byte*>(source.data()), i, dtype);
      largest = std::max(largest, std::fabs(value));
      ASSERT_EQ(bytes[i], encode_e4m3(value / scale)) << i;
      error += std::pow(static_cast<double>(decode_e4m3(bytes[i]) * scale) - static_cast<double>(value), 2);
      norm += std::pow(static_cast<double>(value), 2);
    }
    EXPECT_EQ(scale, e4m3_scale(largest));
    const auto event = recorder.only<Quantized>();
    EXPECT_EQ(event.scale, scale);
    EXPECT_NEAR(event.relative_error, std::sqrt(error / norm), 1e-5);
    EXPECT_FALSE(event.objective.has_value());
    EXPECT_EQ(event.changed_share, 0);
  };
  check(weights, SourceDtype::f32);
  check(testing::to_bf16(weights), SourceDtype::bf16);
  std::vector<std::uint16_t> halves;
  for (unsigned i = 0; i < weights.size(); ++i) halves.push_back(static_cast<std::uint16_t>((i * 37U) % 0x7C00U));
  check(halves, SourceDtype::f16);
}

TEST(CpuBackend, BytesAndNumbersDoNotDependOnTheThreads) {
  const TemporaryFolder folder;
  struct Shape {
    std::size_t rows;
    std::size_t columns;
    Rounding rounding;
    std::uint32_t top_k;
  };
  const std::vector<Shape> shapes = {{600, 300, Rounding::learned, 0},  {130, 700, Rounding::learned, 0},
                                     {300, 200, Rounding::learned, 16}, {300, 320, Rounding::learned, 260},
                                     {200, 200, Rounding::tpec, 2},     {999, 77, Rounding::nearest, 0},
                                     {1, 1, Rounding::learned, 0},      {2100, 70, Rounding::learned, 0}};
  std::vector<std::uint16_t> source;
  Job job;
  std::uint64_t output_size = 0;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto [rows, columns, rounding, top_k] = shapes[i];
    const std::vector<std::uint16_t> weights = testing::to_bf16(testing::correlated_weights(rows, columns, static_cast<unsigned>(i)));
    QuantizeTask task;
    task.id = static_cast<std::uint32_t>(i);
    task.name = "tensor" + std::to_string(i);
    task.source = {0, source.size() * 2, weights.size() * 2};
    task.rows = rows;
    task.columns = columns;
    task.weight_offset = output_size;
    task.scale_offsets = {output_size + weights.size()};
    task.rounding = rounding;
    task.top_k = top_k;
    output_size += weights.size() + 4;
    source.insert(source.end(), weights.begin(), weights.end());
    job.tasks.push_back(task);
  }
  job.files = {folder.write("source", source)};
  const auto convert = [&](std::uint32_t threads) {
    job.threads = threads;
    job.output = folder.reserve("output", output_size);
    Recorder recorder;
    run(job, recorder);
    std::vector<Quantized> events = recorder.all<Quantized>();
    std::sort(events.begin(), events.end(), [](const Quantized& a, const Quantized& b) { return a.id < b.id; });
    return std::pair(testing::read_file(*job.output), events);
  };
  const auto [bytes, events] = convert(1);
  ASSERT_EQ(events.size(), shapes.size());
  for (const std::uint32_t threads : {1U, 2U, 3U, 8U}) {
    const auto [other_bytes, other_events] = convert(threads);
    EXPECT_EQ(other_bytes, bytes) << threads;
    ASSERT_EQ(other_events.size(), events.size());
    for (std::size_t i = 0; i < events.size(); ++i) {
      EXPECT_EQ(other_events[i].objective, events[i].objective) << i;
      EXPECT_EQ(other_events[i].objective_nearest, events[i].objective_nearest) << i;
      EXPECT_EQ(other_events[i].relative_error, events[i].relative_error) << i;
      EXPECT_EQ(other_events[i].sweeps, events[i].sweeps) << i;
    }
  }
}

TEST(CpuBackend, ZerosGetScaleOneAndZeroCodes) {
  const TemporaryFolder folder;
  for (const Rounding rounding : {Rounding::nearest, Rounding::learned, Rounding::tpec}) {
    const std::string output = folder.write("output", std::vector<std::uint8_t>(6 * 7 + 4, 0xFF));
    Recorder recorder;
    run(one_matrix(folder.write("source", std::vector<std::uint16_t>(42, 0)), output, SourceDtype::bf16, 6, 7, rounding), recorder);
    const std::vector<std::uint8_t> bytes = testing::read_file(output);
    for (std::size_t i = 0; i < 42; ++i) EXPECT_EQ(bytes[i], 0);
    EXPECT_EQ(scale_in(bytes, 42), 1.0F);
    EXPECT_EQ(recorder.only<Quantized>().relative_error, 0);
  }
}

TEST(CpuBackend, NonFiniteTensorsAreNamedAndNothingIsWritten) {
  const TemporaryFolder folder;
  for (const Rounding rounding : {Rounding::nearest, Rounding::learned, Rounding::tpec}) {
    std::vector<float> weights = testing::correlated_weights(20, 30, 2);
    weights[5] = std::numeric_limits<float>::quiet_NaN();
    weights[599] = std::numeric_limits<float>::infinity();
    const std::vector<std::uint8_t> before(604, 0xAB);
    const std::string output = folder.write("output", before);
    Recorder recorder;
    run(one_matrix(folder.write("source", weights), output, SourceDtype::f32, 20, 30, rounding), recorder);
    EXPECT_EQ(recorder.only<NonFinite>().count, 2U);
    EXPECT_TRUE(recorder.all<Quantized>().empty());
    EXPECT_EQ(testing::read_file(output), before);
  }
}

TEST(CpuBackend, LearnsOnTensorsOfTinyNumbersAndEmptyColumns) {
  const TemporaryFolder folder;
  std::vector<float> weights = testing::correlated_weights(48, 40, 4);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    // Subnormal floats, and every third column without any.
    weights[i] = i % 40 % 3 == 0 ? 0.0F : weights[i] * 1e-38F;
  }
  const std::string output = folder.reserve("output", weights.size() + 4);
  Recorder recorder;
  run(one_matrix(folder.write("source", weights), output, SourceDtype::f32, 48, 40, Rounding::learned), recorder);
  const auto event = recorder.only<Quantized>();
  EXPECT_GT(event.scale, 0.0F);
  EXPECT_LT(event.scale, std::numeric_limits<float>::min());
  EXPECT_LT(event.relative_error, 0.05);
  EXPECT_GT(event.relative_error, 0.01);
  const std::vector<std::uint8_t> bytes = testing::read_file(output);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (i % 40 % 3 == 0) {
      ASSERT_EQ(bytes[i] & 0x7F, 0) << i;
    }
  }
}

TEST(CpuBackend, SingleRowsAndColumnsAreNeverWorseThanNearest) {
  const TemporaryFolder folder;
  for (const auto& [rows, columns] : std::vector<std::pair<std::size_t, std::size_t>>{{1, 1}, {1, 100}, {100, 1}, {3, 5}}) {
    const std::string output = folder.reserve("output", rows * columns + 4);
    Recorder recorder;
    run(one_matrix(folder.write("source", testing::correlated_weights(rows, columns, 8)), output, SourceDtype::f32, rows, columns,
                   Rounding::learned),
        recorder);
    const auto event = recorder.only<Quantized>();
    EXPECT_LE(*event.objective, *event.objective_nearest);
    if (event.kept_nearest) {
      EXPECT_EQ(event.changed_share, 0);
    }
  }
}

TEST(CpuBackend, AShrunkenSourceEndsTheJobWithTheTensorsName) {
  const TemporaryFolder folder;
  for (const Rounding rounding : {Rounding::nearest, Rounding::learned}) {
    const std::string source = folder.write("source", std::vector<std::uint16_t>(90, 0x3F80));
    Recorder recorder;
    try {
      run(one_matrix(source, folder.reserve("output", 104), SourceDtype::bf16, 10, 10, rounding), recorder);
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::file_changed);
      EXPECT_EQ(error.tensor(), "layer.weight");
    }
  }
}

TEST(CpuBackend, AFullDiskEndsTheJob) {
  const TemporaryFolder folder;
  const std::string source = folder.write("source", std::vector<std::uint16_t>(100, 0x3F80));
  Recorder recorder;
  try {
    run(one_matrix(source, "/dev/full", SourceDtype::bf16, 10, 10, Rounding::nearest), recorder);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::disk_full);
    EXPECT_EQ(error.path(), "/dev/full");
  }
}

TEST(CpuBackend, CopiesAndCompares) {
  const TemporaryFolder folder;
  const std::vector<float> weights = testing::correlated_weights(20, 30, 6);
  const std::string source = folder.write("source", weights);
  const std::string output = folder.reserve("output", 604 + 2400);
  Job job = one_matrix(source, output, SourceDtype::f32, 20, 30, Rounding::nearest);
  job.tasks.push_back(CopyTask{7, "copy", {0, 0, 2400}, 604});
  Recorder recorder;
  run(job, recorder);
  EXPECT_EQ(recorder.only<Copied>().id, 7U);
  const auto quantized = recorder.only<Quantized>();

  Job verify;
  verify.files = {source, output};
  verify.tasks = {CompareTask{1, "copy", {1, 604, 2400}, {0, 0, 2400}, SourceDtype::f32, 20, 30, {}},
                  CompareTask{2, "codes", {1, 0, 600}, {0, 0, 2400}, SourceDtype::f32, 20, 30, quantized.scale},
                  CompareTask{3, "other", {1, 600, 2400}, {0, 0, 2400}, SourceDtype::f32, 20, 30, {}}};
  Recorder verified;
  run(verify, verified);
  for (const Compared& event : verified.all<Compared>()) {
    EXPECT_EQ(event.equal, event.id == 1) << event.id;
    if (event.id != 2) continue;
    EXPECT_NEAR(std::sqrt(event.squared_error / event.squared_source), quantized.relative_error, 1e-6);
    EXPECT_GT(event.max_absolute_error, 0);
    EXPECT_EQ(event.non_finite_count, 0U);
  }
  EXPECT_EQ(verified.all<Compared>().size(), 3U);
}

// Asks for a stop at the first progress beyond a fraction, and remembers how far the work was then.
class StopsAt : public Recorder {
 public:
  explicit StopsAt(double fraction) : fraction_(fraction) {}

  void on_event(Event event) override {
    const auto* progress = std::get_if<Progress>(&event);
    if (progress != nullptr && progress->fraction >= fraction_ && !stop.stop_requested()) {
      stopped_at = progress->fraction;
      stop.request_stop();
    }
    Recorder::on_event(std::move(event));
  }

  std::stop_source stop;
  std::optional<double> stopped_at;

 private:
  const double fraction_;
};

// Two threads take seconds for this matrix on any machine, so there is a middle to stop in; how promptly is told by the work done
// afterwards.
TEST(CpuBackend, CancelIsAnsweredInTheMiddleOfAMatrix) {
  const TemporaryFolder folder;
  const std::size_t rows = 2560;
  const std::size_t columns = 5120;
  // A sparse file: zeros but for a block at the start, which is all that the arithmetic needs to be as slow as ever.
  const std::string source = folder.reserve("source", rows * columns * 2);
  {
    const File file = File::open_for_writing(source);
    const std::vector<std::uint16_t> weights = testing::to_bf16(testing::correlated_weights(64, 1000, 1));
    file.write(0, std::as_bytes(std::span(weights)), "");
  }
  Job job = one_matrix(source, folder.reserve("output", rows * columns + 4), SourceDtype::bf16, rows, columns, Rounding::learned);
  job.threads = 2;
  for (const double fraction : {0.0, 0.3}) {
    StopsAt observer(fraction);
    EXPECT_THROW(run(job, observer, observer.stop.get_token()), Cancelled) << fraction;
    ASSERT_TRUE(observer.stopped_at.has_value()) << fraction;
    for (const Progress& progress : observer.all<Progress>()) EXPECT_LT(progress.fraction, *observer.stopped_at + 0.2) << fraction;
    EXPECT_TRUE(observer.all<Quantized>().empty()) << fraction;
  }
}

}  // namespace
}  // namespace fp8
