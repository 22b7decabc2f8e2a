// Samples sent through a model on the GPU, beside the CPU's: the same draws, and values that differ by no more than FP32 sums do.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "cuda/propagation_memory.h"
#include "device.h"
#include "fp8/error.h"
#include "support/propagation_job.h"

namespace fp8::cuda {
namespace {

using fp8::testing::PropagationJob;
using fp8::testing::Recorder;
using Kind = PropagateStep::Kind;
using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t samples = 600;

// Limits what jobs take of the GPU while it lives.
class MemoryLimit {
 public:
  explicit MemoryLimit(const char* mebibytes) { ::setenv("FP8_DEVICE_MEMORY_MIB", mebibytes, 1); }
  ~MemoryLimit() { ::unsetenv("FP8_DEVICE_MEMORY_MIB"); }
};

class StopsAtStart : public Observer {
 public:
  void on_event(Event event) override {
    if (std::holds_alternative<Started>(event)) stop.request_stop();
    if (std::holds_alternative<Copied>(event)) ended = true;
  }
  std::stop_source stop;
  bool ended = false;
};

double root_mean_square(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum / static_cast<double>(std::max<std::size_t>(1, values.size())));
}

// Root mean square of the difference, in units of the expected values'.
double relative_difference(const std::vector<float>& found, const std::vector<float>& expected) {
  std::vector<float> difference(found.size());
  for (std::size_t i = 0; i < found.size(); ++i) difference[i] = found[i] - expected[i];
  return root_mean_square(difference) / root_mean_square(expected);
}

class CudaPropagateTest : public CudaTest {
 protected:
  static Bytes on_gpu(const PropagationJob& job, const std::string& name = "gpu") {
    Recorder recorder;
    Bytes bytes = job.run(*make_cuda_backend(0), recorder, name);
    EXPECT_EQ(recorder.only<Copied>().id, job.task().id);
    EXPECT_EQ(recorder.only<Started>().device, "cuda:0");
    EXPECT_TRUE(recorder.all<Note>().empty());
    return bytes;
  }

  static Bytes on_cpu(const PropagationJob& job) {
    Recorder recorder;
    return job.run(*make_cpu_backend(), recorder, "cpu");
  }

  // BF16 keeps 8 bits: of values that differ in their last bits, a few fall to the other side of a half and then differ by a whole step of
  // BF16. Their share times that step is what samples are allowed; a product of single halves would be at twice that.
  static void expect_parity(const PropagationJob& job) {
    const Bytes gpu = on_gpu(job);
    const Bytes cpu = on_cpu(job);
    for (const PropagationJob::Stored& stored : job.stored()) {
      SCOPED_TRACE(::testing::Message() << "stored at " << stored.offset);
      const std::vector<float> found = job.values(gpu, stored);
      const std::vector<float> expected = job.values(cpu, stored);
      ASSERT_GT(root_mean_square(expected), 0);
      EXPECT_LE(relative_difference(found, expected), stored.as_samples ? 5e-4 : 2e-5);
      const double size = root_mean_square(expected);
      if (stored.as_samples) {
        for (std::size_t i = 0; i < found.size(); ++i) {
          ASSERT_NEAR(found[i], expected[i], 0x1p-7 * std::fabs(static_cast<double>(expected[i])) + 1e-4 * size) << i;
        }
      }
      const std::vector<float> mean = job.means(gpu, stored);
      const std::vector<float> expected_mean = job.means(cpu, stored);
      const double unit = stored.as_samples ? size : std::sqrt(size);
      for (std::size_t i = 0; i < mean.size(); ++i) ASSERT_NEAR(mean[i], expected_mean[i], 3e-5 * unit) << i;
    }
  }
};

TEST_F(CudaPropagateTest, DrawsWhatTheCpuDraws) {
  PropagationJob job(samples, 4);
  job.gather(0, 50, 37, ValueDtype::f32);
  job.store(0, 37, true);
  job.add(Kind::noise, 1).rows = 129;
  job.store(1, 129, true);
  job.add(Kind::time, 2).rows = 33;
  job.store(2, 33, true);
  job.add(Kind::shuffle, 3, 1);
  job.store(3, 129, true);
  // The sequence goes on where it was.
  job.add(Kind::noise, 1).rows = 8;
  job.store(1, 8, true);
  job.gather(0, 1000, 5000);
  job.store(0, 5000, true);
  const Bytes gpu = on_gpu(job);
  const Bytes cpu = on_cpu(job);
  for (const PropagationJob::Stored& stored : job.stored()) EXPECT_EQ(job.values(gpu, stored), job.values(cpu, stored)) << stored.offset;
}

TEST_F(CudaPropagateTest, MovesValuesAsTheCpuDoes) {
  PropagationJob job(samples, 3);
  job.gather(0, 70, 66);
  PropagateStep& slice = job.add(Kind::slice, 1, 0);
  slice.rows = 21;
  slice.part = 2;
  job.store(1, 21, true);
  PropagateStep& heads = job.add(Kind::repeat_heads, 2, 1);
  heads.rows = 7;
  heads.times = 3;
  job.store(2, 63, true);
  const Bytes gpu = on_gpu(job);
  const Bytes cpu = on_cpu(job);
  for (const PropagationJob::Stored& stored : job.stored()) EXPECT_EQ(job.values(gpu, stored), job.values(cpu, stored)) << stored.offset;
}

TEST_F(CudaPropagateTest, NormalisesActivatesAndJoinsAsTheCpuDoes) {
  PropagationJob job(samples, 4);
  constexpr std::uint32_t width = 201;
  job.add(Kind::noise, 0).rows = width;
  job.gather(1, 90, width, ValueDtype::f32);
  job.add(Kind::rms_norm, 2, 1);
  job.store(2, width, true);
  PropagateStep& gained = job.add(Kind::rms_norm, 2, 1);
  gained.weight = job.numbers(width, ValueDtype::bf16, 0.5F, 1);
  job.store(2, width, true);
  PropagateStep& centred = job.add(Kind::layer_norm, 2, 1);
  centred.weight = job.numbers(width, ValueDtype::f16, 0.5F, 1);
  centred.bias = job.numbers(width, ValueDtype::f32, 0.5F);
  job.store(2, width, true);
  using Activation = PropagateStep::Activation;
  for (const Activation activation : {Activation::silu, Activation::gelu, Activation::gelu_tanh, Activation::quick_gelu}) {
    job.add(Kind::activate, 3, 0).activation = activation;
    job.store(3, width, true);
  }
  for (const Kind kind : {Kind::multiply, Kind::add, Kind::modulate}) {
    job.add(kind, 3, 0, 2);
    job.store(3, width, true);
    job.add(kind, 3, 0, 0);
    job.store(3, width, true);
  }
  expect_parity(job);
}

TEST_F(CudaPropagateTest, MultipliesByWeightsOfEveryDtype) {
  for (const ValueDtype dtype : {ValueDtype::bf16, ValueDtype::f16, ValueDtype::f32}) {
    PropagationJob job(samples, 3);
    job.add(Kind::noise, 0).rows = 77;
    PropagateStep& step = job.linear(1, 0, 131, 77, dtype);
    step.weight->scale = 0.3;
    step.bias = job.numbers(131, ValueDtype::f32, 0.3F);
    job.store(1, 131, true);
    job.store(1, 131, false);
    expect_parity(job);
  }
}

TEST_F(CudaPropagateTest, SmallAndLargeRowsKeepTheirDigits) {
  PropagationJob job(samples, 4);
  constexpr std::uint32_t width = 96;
  constexpr std::uint32_t rows = 40;
  // Row r is of the size 2^(2r − 40), of the table from which samples take theirs as of the weights.
  const auto sized_rows = [&] {
    std::vector<std::byte> bytes(std::size_t{rows} * width * 4);
    for (std::size_t i = 0; i < std::size_t{rows} * width; ++i) {
      const float value = std::ldexp(0.5F + 0.01F * static_cast<float>(i * 31 % 97), static_cast<int>(i / width) * 2 - 40);
      encode_source(i % 3 == 0 ? -value : value, SourceDtype::f32, bytes.data(), i);
    }
    return job.file(bytes, ValueDtype::f32);
  };
  job.add(Kind::noise, 0).rows = width;
  PropagateStep& table = job.add(Kind::gather, 1);
  table.rows = rows;
  table.weight = sized_rows();
  job.add(Kind::multiply, 1, 0, 1);
  job.linear(2, 1, rows, width, ValueDtype::f32);
  const PropagationJob::Stored of_samples = job.store(2, rows, true);
  PropagateStep& step = job.add(Kind::linear, 3, 0);
  step.rows = rows;
  step.weight = sized_rows();
  const PropagationJob::Stored of_weights = job.store(3, rows, true);
  const Bytes gpu = on_gpu(job);
  const Bytes cpu = on_cpu(job);
  const auto column = [&](const Bytes& bytes, std::uint32_t r) {
    const std::vector<float> all = job.values(bytes, of_weights);
    std::vector<float> picked(samples);
    for (std::uint32_t s = 0; s < samples; ++s) picked[s] = all[s * rows + r];
    return picked;
  };
  for (std::uint32_t r = 0; r < rows; ++r) EXPECT_LE(relative_difference(column(gpu, r), column(cpu, r)), 5e-4) << "row " << r;
  const std::vector<float> found = job.values(gpu, of_samples);
  const std::vector<float> expected = job.values(cpu, of_samples);
  for (std::uint32_t s = 0; s < samples; ++s) {
    const auto row = [&](const std::vector<float>& all) {
      return std::vector<float>(all.begin() + s * rows, all.begin() + (s + 1) * rows);
    };
    // Of so few values, one or two may be a step of BF16 off.
    EXPECT_LE(relative_difference(row(found), row(expected)), 4e-3) << "sample " << s;
  }
}

TEST_F(CudaPropagateTest, ManyChunksOfWeightsArriveInOrder) {
  PropagationJob job(samples, 2);
  job.gather(0, 200, 4001);
  job.linear(0, 0, 12301, 4001);
  job.linear(1, 0, 1500, 12301, ValueDtype::f32);
  job.store(0, 12301, true);
  job.store(1, 1500, true);
  EXPECT_LT(3 * weight_chunk_rows(job.task().steps[1], 4001), std::int64_t{12301}) << "more chunks than there are places for them";
  expect_parity(job);
}

TEST_F(CudaPropagateTest, ReadsQuantizedWeights) {
  PropagationJob job(samples, 2);
  constexpr std::uint32_t rows = 70;
  constexpr std::uint32_t width = 66;
  std::vector<std::byte> bytes;
  for (std::uint32_t i = 0; i < rows * width; ++i) bytes.push_back(static_cast<std::byte>((i * 37 + i / 7) % 126 + i % 2 * 128));
  StoredCodes codes;
  codes.rows = rows;
  codes.columns = width;
  codes.storage.block = ScaleBlock{32, 16};
  codes.scales = {0, bytes.size(), 3 * 5 * sizeof(float)};
  bytes.resize(bytes.size() + codes.scales.length);
  for (std::size_t i = 0; i < 3 * 5; ++i) {
    encode_source(0.001F * static_cast<float>(i + 1), SourceDtype::f32, bytes.data() + codes.scales.offset, i);
  }
  job.add(Kind::noise, 0).rows = width;
  PropagateStep& step = job.add(Kind::linear, 1, 0);
  step.rows = rows;
  step.weight = job.file(bytes, ValueDtype::f8_e4m3);
  step.weight->range.length = std::uint64_t{rows} * width;
  step.weight->codes = codes;
  step.weight->codes->scales.file = step.weight->range.file;
  job.store(1, rows, true);
  // Codes of one byte without scales are a dtype of their own.
  PropagateStep& plain = job.add(Kind::linear, 1, 0);
  plain.rows = rows;
  plain.weight = job.task().steps[1].weight;
  plain.weight->codes.reset();
  plain.weight->scale = 0.01;
  job.store(1, rows, false);
  expect_parity(job);
}

TEST_F(CudaPropagateTest, NotANumberInWeightsCountsAsZero) {
  PropagationJob job(samples, 2);
  std::vector<std::byte> weights(40 * 32 * 4);
  for (std::size_t i = 0; i < 40 * 32; ++i) encode_source(0.1F * static_cast<float>(i % 13) - 0.5F, SourceDtype::f32, weights.data(), i);
  encode_source(std::numeric_limits<float>::quiet_NaN(), SourceDtype::f32, weights.data(), 7);
  encode_source(std::numeric_limits<float>::infinity(), SourceDtype::f32, weights.data(), 200);
  job.add(Kind::noise, 0).rows = 32;
  PropagateStep& step = job.add(Kind::linear, 1, 0);
  step.rows = 40;
  step.weight = job.file(weights, ValueDtype::f32);
  job.store(1, 40, true);
  expect_parity(job);
}

TEST_F(CudaPropagateTest, WhatOverflowsStaysNotANumber) {
  PropagationJob job(samples, 2);
  const std::vector<float> large(40 * 32, 3e38F);
  std::vector<std::byte> weights(large.size() * sizeof(float));
  std::memcpy(weights.data(), large.data(), weights.size());
  job.add(Kind::noise, 0).rows = 32;
  PropagateStep& step = job.add(Kind::linear, 1, 0);
  step.rows = 40;
  step.weight = job.file(weights, ValueDtype::f32);
  job.add(Kind::rms_norm, 1, 1).weight = job.numbers(40, ValueDtype::f32, 0.3F, 1);
  job.store(1, 40, true);
  const auto not_numbers = [&](const Bytes& bytes) {
    const std::vector<float> values = job.values(bytes, job.stored()[0]);
    return std::count_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  };
  EXPECT_GT(not_numbers(on_cpu(job)), 0);
  EXPECT_GT(not_numbers(on_gpu(job)), 0);
}

// Two blocks of a language model, with what each layer sees kept as samples or as a second moment.
void add_transformer(PropagationJob& job) {
  constexpr std::uint32_t width = 192;
  constexpr std::uint32_t head = 32;
  constexpr std::uint32_t inner = 512;
  job.gather(0, 500, width);
  for (int block = 0; block < 2; ++block) {
    job.add(Kind::rms_norm, 1, 0).weight = job.numbers(width, ValueDtype::bf16, 0.3F, 1);
    job.store(1, width, false);
    job.linear(2, 1, 2 * head, width);
    job.add(Kind::shuffle, 2, 2);
    PropagateStep& heads = job.add(Kind::repeat_heads, 2, 2);
    heads.rows = head;
    heads.times = 3;
    job.store(2, 6 * head, false);
    job.linear(1, 2, width, 6 * head);
    job.add(Kind::add, 0, 0, 1);
    job.add(Kind::rms_norm, 1, 0).weight = job.numbers(width, ValueDtype::bf16, 0.3F, 1);
    job.store(1, width, true);
    job.linear(2, 1, inner, width);
    job.linear(3, 1, inner, width);
    job.add(Kind::activate, 2, 2).activation = PropagateStep::Activation::silu;
    job.add(Kind::multiply, 2, 2, 3);
    job.store(2, inner, true);
    job.linear(1, 2, width, inner);
    job.add(Kind::add, 0, 0, 1);
  }
  job.store(0, width, false);
}

TEST_F(CudaPropagateTest, FollowsTheCpuThroughATransformer) {
  PropagationJob job(samples, 4);
  add_transformer(job);
  expect_parity(job);
}

TEST_F(CudaPropagateTest, GivesTheSameBytesAgain) {
  PropagationJob job(samples, 4);
  add_transformer(job);
  EXPECT_EQ(on_gpu(job, "one"), on_gpu(job, "two"));
}

TEST_F(CudaPropagateTest, TooLittleMemoryMeansTheCpu) {
  PropagationJob job(samples, 4);
  add_transformer(job);
  const MemoryLimit limit("4");
  Recorder recorder;
  const Bytes bytes = job.run(*make_cuda_backend(0), recorder, "gpu");
  EXPECT_EQ(recorder.only<Started>().device, "cpu");
  EXPECT_NE(recorder.only<Note>().message.find("the CPU sends samples through the model"), std::string::npos);
  EXPECT_EQ(bytes, on_cpu(job));
}

TEST_F(CudaPropagateTest, StopsAndCanRunAgain) {
  PropagationJob job(samples, 4);
  add_transformer(job);
  StopsAtStart observer;
  EXPECT_THROW((void)make_cuda_backend(0)->run(job.job("stopped"), observer, observer.stop.get_token()), Cancelled);
  EXPECT_FALSE(observer.ended);
  expect_parity(job);
}

TEST_F(CudaPropagateTest, AFileThatShrankIsNamed) {
  PropagationJob job(samples, 2);
  job.add(Kind::noise, 0).rows = 64;
  PropagateStep& step = job.linear(1, 0, 64, 64);
  step.rows = 128;
  step.weight->range.length *= 2;
  job.store(1, 128, true);
  Recorder recorder;
  try {
    (void)job.run(*make_cuda_backend(0), recorder, "gpu");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::file_changed);
    EXPECT_EQ(error.path(), job.path(*job.task().steps[1].weight));
  }
}

// Needs no GPU.
TEST(PropagationMemoryTest, ValuesThatAreNeededTogetherNeverShareMemory) {
  PropagationJob job(samples, 4);
  add_transformer(job);
  const PropagateTask& task = job.task();
  const std::vector<PropagationFlow> flow = flow_of(task);
  Bump bump;
  const PropagationMemory memory(bump, task, flow);
  for (std::size_t i = 0; i < flow.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (flow[i].width == 0 || flow[j].width == 0 || flow[j].last_reader < i) continue;
      // What a step reads last may be where its result goes, if it works in place.
      if (works_in_place(task.steps[i]) && flow[i].a == j && flow[j].last_reader == i) continue;
      const auto end = [&](std::size_t step) { return memory.offsets[step] + std::int64_t{samples} * value_leading(flow[step].width) * 4; };
      EXPECT_TRUE(end(i) <= memory.offsets[j] || end(j) <= memory.offsets[i]) << "steps " << j << " and " << i;
    }
  }
}

TEST(PropagationMemoryTest, MoreLayersTakeNoMoreMemory) {
  PropagationJob two(samples, 4);
  add_transformer(two);
  PropagationJob four(samples, 4);
  add_transformer(four);
  four.task().steps.insert(four.task().steps.end(), two.task().steps.begin() + 1, two.task().steps.end());
  EXPECT_EQ(propagation_bytes(four.task()), propagation_bytes(two.task()));
}

}  // namespace
}  // namespace fp8::cuda
