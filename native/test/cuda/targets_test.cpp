// Every grid with every kind of scales, as whole jobs beside the CPU backend's.
#include <cstdio>
#include <string>
#include <utility>

#include "device.h"
#include "support/job_fixture.h"
#include "support/target_problem.h"

namespace fp8::cuda {
namespace {

using fp8::testing::make_problem;
using fp8::testing::Problem;
using fp8::testing::read_file;
using fp8::testing::Recorder;
using fp8::testing::Target;
using fp8::testing::TemporaryFolder;
using fp8::testing::Written;

struct Outcome {
  Quantized event;
  Written written;
  std::vector<std::uint8_t> bytes;
};

class CudaTargetsTest : public CudaTest, public ::testing::WithParamInterface<Target> {
 protected:
  static Outcome run(Backend& backend, const Problem& problem, Rounding rounding, const std::optional<Statistics>& outputs = std::nullopt) {
    const TemporaryFolder folder;
    Job job = problem.job(folder, rounding);
    std::get<QuantizeTask>(job.tasks.front()).outputs = outputs;
    Recorder recorder;
    backend.run(job, recorder, {});
    for (const Note& note : recorder.all<Note>()) ADD_FAILURE() << note.message;
    return {recorder.only<Quantized>(), problem.read(*job.output), read_file(*job.output)};
  }
  static Outcome on_gpu(const Problem& problem, Rounding rounding, const std::optional<Statistics>& outputs = std::nullopt) {
    Outcome outcome = run(*make_cuda_backend(0), problem, rounding, outputs);
    EXPECT_EQ(outcome.event.device, "cuda:0");
    return outcome;
  }
  static Outcome on_cpu(const Problem& problem, Rounding rounding, const std::optional<Statistics>& outputs = std::nullopt) {
    return run(*make_cpu_backend(), problem, rounding, outputs);
  }
};

INSTANTIATE_TEST_SUITE_P(All, CudaTargetsTest, ::testing::ValuesIn(fp8::testing::targets),
                         [](const auto& target) { return std::string(target.param.name); });

TEST_P(CudaTargetsTest, NearestGivesTheCpusBytes) {
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{37, 211}, {130, 300}, {1, 1}, {301, 1}}) {
    const Problem problem = make_problem(GetParam().storage, rows, columns);
    const Outcome gpu = on_gpu(problem, Rounding::nearest);
    const Outcome cpu = on_cpu(problem, Rounding::nearest);
    EXPECT_EQ(gpu.bytes, cpu.bytes) << rows << " x " << columns;
    EXPECT_EQ(gpu.event.scale, cpu.event.scale);
    EXPECT_EQ(gpu.event.smallest_scale, cpu.event.smallest_scale);
    EXPECT_EQ(gpu.event.largest_scale, cpu.event.largest_scale);
    EXPECT_NEAR(gpu.event.relative_error, cpu.event.relative_error, 1e-6);
    EXPECT_NEAR(gpu.event.squared_source, cpu.event.squared_source, 1e-5 * cpu.event.squared_source);
  }
}

TEST_P(CudaTargetsTest, LearnedReportsTheTrueObjective) {
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{70, 133}, {24, 160}, {1, 33}}) {
    const Problem problem = make_problem(GetParam().storage, rows, columns);
    for (const bool both : {false, true}) {
      const std::optional<Statistics> outputs = both ? std::optional(Statistics{{StatisticsTerm{}}, 1}) : std::nullopt;
      const Outcome gpu = on_gpu(problem, Rounding::learned, outputs);
      const double actual = problem.objective(problem.errors_of(gpu.written), both);
      // F32 weights enter H as F16, each within 2⁻¹².
      EXPECT_NEAR(*gpu.event.objective, actual, 5e-4 * actual) << rows << " x " << columns << (both ? " both" : "");
      EXPECT_LE(*gpu.event.objective, *gpu.event.objective_nearest);
      EXPECT_TRUE(gpu.written.padding_is_zero);
      const double nearest = problem.objective(problem.errors_of(on_gpu(problem, Rounding::nearest).written), both);
      EXPECT_NEAR(*gpu.event.objective_nearest, nearest, 5e-4 * nearest);
    }
  }
}

TEST_P(CudaTargetsTest, LearnedReachesTheCpusObjective) {
  const Problem problem = make_problem(GetParam().storage, 700, 530);
  const Outcome gpu = on_gpu(problem, Rounding::learned);
  const Outcome cpu = on_cpu(problem, Rounding::learned);
  const double ratio = *gpu.event.objective / *cpu.event.objective;
  std::printf("%s: objective %.5f of the CPU's, %.4f of nearest\n", GetParam().name, ratio,
              *gpu.event.objective / *gpu.event.objective_nearest);
  EXPECT_LE(ratio, 1.001);
  EXPECT_EQ(gpu.event.kept_nearest, cpu.event.kept_nearest);
  EXPECT_EQ(on_gpu(problem, Rounding::learned).bytes, gpu.bytes) << "another run gave other bytes";
}

TEST_P(CudaTargetsTest, BothSidesReachTheCpusObjective) {
  const Problem problem = make_problem(GetParam().storage, 390, 420);
  const Statistics outputs{{StatisticsTerm{}}, 2};
  const Outcome gpu = on_gpu(problem, Rounding::learned, outputs);
  const Outcome cpu = on_cpu(problem, Rounding::learned, outputs);
  const double ratio = *gpu.event.objective / *cpu.event.objective;
  std::printf("%s, both sides: objective %.5f of the CPU's, %.4f of nearest\n", GetParam().name, ratio,
              *gpu.event.objective / *gpu.event.objective_nearest);
  EXPECT_LE(ratio, 1.005);
}

TEST_P(CudaTargetsTest, ZerosHaveScaleOneAndZeroCodes) {
  Problem problem = make_problem(GetParam().storage, 40, 70);
  std::fill(problem.weights.begin(), problem.weights.end(), 0.0F);
  const Outcome gpu = on_gpu(problem, Rounding::learned);
  EXPECT_EQ(gpu.bytes, on_cpu(problem, Rounding::learned).bytes);
}

TEST_P(CudaTargetsTest, TinyAndHugeWeightsGiveTheCpusBytesToo) {
  for (const float factor : {1e-30F, 1e30F}) {
    Problem problem = make_problem(GetParam().storage, 60, 90);
    for (float& weight : problem.weights) weight *= factor;
    EXPECT_EQ(on_gpu(problem, Rounding::nearest).bytes, on_cpu(problem, Rounding::nearest).bytes) << factor;
    const Outcome gpu = on_gpu(problem, Rounding::learned);
    const Outcome cpu = on_cpu(problem, Rounding::learned);
    EXPECT_LE(*gpu.event.objective, 1.03 * *cpu.event.objective) << factor;
  }
}

}  // namespace
}  // namespace fp8::cuda
