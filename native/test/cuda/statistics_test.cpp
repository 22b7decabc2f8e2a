// Statistics from files and of both sides, on the GPU beside the CPU.
#include <cstdio>
#include <limits>
#include <optional>

#include "device.h"
#include "fp8/error.h"
#include "support/job_fixture.h"
#include "support/random.h"

namespace fp8::cuda {
namespace {

using fp8::testing::correlated_weights;
using fp8::testing::one_matrix;
using fp8::testing::Recorder;
using fp8::testing::TemporaryFolder;
using Kind = StatisticsTerm::Kind;

class CudaStatisticsTest : public CudaTest {
 protected:
  // Names the values that a term reads; the first file is the weights'.
  StatisticsTerm term(Kind kind, double weight, const std::vector<float>& values, ValueDtype dtype = ValueDtype::f32) {
    StatisticsTerm result{kind, weight, {}};
    const std::string name = "values" + std::to_string(files_.size());
    result.values = {{static_cast<std::uint32_t>(files_.size()), 0, values.size() * byte_size(dtype)}, dtype, 1};
    if (dtype == ValueDtype::bf16) {
      files_.push_back(folder_.write(name, fp8::testing::to_bf16(values)));
    } else if (dtype == ValueDtype::f64) {
      files_.push_back(folder_.write(name, std::vector<double>(values.begin(), values.end())));
    } else {
      files_.push_back(folder_.write(name, values));
    }
    return result;
  }

  StatisticsTerm samples(double weight, int count, int size, unsigned seed, ValueDtype dtype = ValueDtype::f32) {
    return term(Kind::samples, weight, correlated_weights(static_cast<std::size_t>(count), static_cast<std::size_t>(size), seed), dtype);
  }

  StatisticsTerm moment(double weight, int size, unsigned seed) {
    const int count = std::min(3 * size, 120000 / size);
    const std::vector<float> x = correlated_weights(static_cast<std::size_t>(count), static_cast<std::size_t>(size), seed);
    std::vector<float> values(static_cast<std::size_t>(size) * size, 0.0F);
    for (int s = 0; s < count; ++s) {
      for (int i = 0; i < size; ++i) {
        for (int j = 0; j < size; ++j)
          values[static_cast<std::size_t>(i) * size + j] +=
              x[static_cast<std::size_t>(s) * size + i] * x[static_cast<std::size_t>(s) * size + j];
      }
    }
    return term(Kind::second_moment, weight, values);
  }

  StatisticsTerm diagonal(double weight, int size, unsigned seed) {
    std::vector<float> values = normal_numbers(static_cast<std::size_t>(size), seed);
    for (float& value : values) value = 0.1F + value * value;
    return term(Kind::diagonal, weight, values);
  }

  Job job(int rows, int columns, const Statistics& inputs, const std::optional<Statistics>& outputs, std::uint32_t top_k) {
    const auto weights = fp8::testing::to_bf16(correlated_weights(static_cast<std::size_t>(rows), static_cast<std::size_t>(columns), 3));
    files_[0] = folder_.write("source", weights);
    Job result = one_matrix(files_[0], folder_.reserve("output", static_cast<std::uint64_t>(rows) * columns + 4), SourceDtype::bf16,
                            static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns), Rounding::learned);
    result.files = files_;
    auto& task = std::get<QuantizeTask>(result.tasks.front());
    task.inputs = inputs;
    task.outputs = outputs;
    task.top_k = top_k;
    return result;
  }

  void expect_parity(int rows, int columns, const Statistics& inputs, const std::optional<Statistics>& outputs = {},
                     std::uint32_t top_k = 0) {
    const Job both = job(rows, columns, inputs, outputs, top_k);
    Recorder gpu;
    make_cuda_backend(0)->run(both, gpu, {});
    const std::vector<std::uint8_t> once = fp8::testing::read_file(*both.output);
    Recorder again;
    make_cuda_backend(0)->run(both, again, {});
    EXPECT_EQ(once, fp8::testing::read_file(*both.output)) << "two runs differ";
    Recorder cpu;
    make_cpu_backend()->run(both, cpu, {});
    const auto on_gpu = gpu.only<Quantized>();
    const auto on_cpu = cpu.only<Quantized>();
    std::printf("%d x %d: objective %.6g (CPU %.6g, %+.3f %%), of nearest %+.4f %%, ratio %.4f, sweeps %u (%u)\n", rows, columns,
                *on_gpu.objective, *on_cpu.objective, 100 * (*on_gpu.objective / *on_cpu.objective - 1),
                100 * (*on_gpu.objective_nearest / *on_cpu.objective_nearest - 1), *on_gpu.objective / *on_gpu.objective_nearest,
                on_gpu.sweeps, on_cpu.sweeps);
    EXPECT_TRUE(gpu.all<Note>().empty());
    EXPECT_EQ(on_gpu.device, "cuda:0");
    EXPECT_EQ(on_gpu.scale, on_cpu.scale);
    EXPECT_EQ(on_gpu.kept_nearest, on_cpu.kept_nearest);
    EXPECT_NEAR(*on_gpu.objective_nearest, *on_cpu.objective_nearest, 5e-4 * *on_cpu.objective_nearest);
    EXPECT_LT(*on_gpu.objective, 1.005 * *on_cpu.objective);
    EXPECT_GT(*on_gpu.objective, 0.98 * *on_cpu.objective);
    EXPECT_NEAR(on_gpu.changed_share, on_cpu.changed_share, 0.03);
  }

  const TemporaryFolder folder_;
  std::vector<std::string> files_{""};
};

TEST_F(CudaStatisticsTest, SamplesReachTheCpusObjective) {
  expect_parity(600, 500, {{samples(1, 700, 500, 7)}, 0.05});
  expect_parity(257, 1301, {{samples(1, 300, 1301, 8, ValueDtype::bf16)}, 0.3});
}

TEST_F(CudaStatisticsTest, SumsOfTermsReachTheCpusObjective) {
  expect_parity(600, 500, {{StatisticsTerm{}, samples(1, 900, 500, 7, ValueDtype::bf16)}, 0.15});
  expect_parity(130, 211, {{moment(1, 211, 9), diagonal(0.5, 211, 10), StatisticsTerm{}, samples(0.2, 77, 211, 11)}, 0.1});
  expect_parity(300, 130, {{diagonal(1, 130, 12)}, 0.02});
}

TEST_F(CudaStatisticsTest, TermsThatDoNotFitTheirBufferAreReadInPieces) {
  expect_parity(200, 500, {{samples(1, 18000, 500, 13)}, 0.02});
  expect_parity(70, 3000, {{moment(1, 3000, 14)}, 0.05});
}

TEST_F(CudaStatisticsTest, TopKReachesTheCpusObjective) {
  expect_parity(600, 400, {{StatisticsTerm{}, samples(1, 900, 400, 15)}, 0.15}, {}, 64);
}

TEST_F(CudaStatisticsTest, BothSidesReachTheCpusObjective) {
  const Statistics gram{{StatisticsTerm{}}, 1};
  const Statistics gram_outputs{{StatisticsTerm{}}, 2};
  expect_parity(600, 500, gram, gram_outputs);
  expect_parity(257, 1301, gram, gram_outputs);
  expect_parity(1301, 257, gram, gram_outputs);
  expect_parity(128, 128, gram, gram_outputs);
  expect_parity(40, 30, gram, gram_outputs);
}

TEST_F(CudaStatisticsTest, OutputsFromFilesReachTheCpusObjective) {
  expect_parity(600, 500, {{samples(1, 700, 500, 7)}, 0.05}, Statistics{{samples(1, 800, 600, 16)}, 0.1});
  expect_parity(500, 300, {{StatisticsTerm{}}, 1}, Statistics{{moment(1, 500, 17), StatisticsTerm{}, diagonal(0.3, 500, 18)}, 0.3});
  expect_parity(900, 300, {{StatisticsTerm{}}, 1}, Statistics{{samples(1, 12000, 900, 19, ValueDtype::bf16)}, 0.1});
}

TEST_F(CudaStatisticsTest, StatisticsThatCannotBeUsedAreRefusedByName) {
  std::vector<float> values(50 * 40, 1.0F);
  values[777] = std::numeric_limits<float>::quiet_NaN();
  const Statistics holed{{term(Kind::samples, 1, values)}, 0.1};
  const Statistics zeros{{term(Kind::diagonal, 1, std::vector<float>(40, 0.0F))}, 0.1};
  for (const Statistics& refused : {holed, zeros}) {
    Recorder recorder;
    try {
      make_cuda_backend(0)->run(job(30, 40, refused, {}, 0), recorder, {});
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::io);
      EXPECT_EQ(error.tensor(), "layer.weight");
      EXPECT_NE(std::string(error.what()).find("statistics"), std::string::npos);
    }
  }
}

TEST_F(CudaStatisticsTest, OtherDtypesGoToTheCpuWithANote) {
  const Statistics doubles{{samples(1, 90, 40, 21, ValueDtype::f64)}, 0.1};
  Recorder recorder;
  make_cuda_backend(0)->run(job(30, 40, doubles, {}, 0), recorder, {});
  EXPECT_EQ(recorder.only<Quantized>().device, "cpu");
  EXPECT_NE(recorder.only<Note>().message.find("CPU"), std::string::npos);
}

}  // namespace
}  // namespace fp8::cuda
