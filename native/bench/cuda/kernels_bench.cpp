// Times the parts of the CUDA solver on random weights and prints one JSON object a line.
//
//   kernels_bench gemm | factorise | propagate | sources | targets | solve [rows columns]...
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "cuda/bump.h"
#include "cuda/check.h"
#include "cuda/column_statistics.h"
#include "cuda/factorise.h"
#include "cuda/gemm.h"
#include "cuda/hessian.h"
#include "cuda/learned_rounding.h"
#include "cuda/quantize_on_device.h"
#include "cuda/solver.h"
#include "cuda/transpose.h"
#include "fp8/error.h"
#include "fp8/fp8.h"
#include "propagate_bench.h"

namespace fp8::cuda {
namespace {

struct Memory {
  explicit Memory(std::int64_t bytes) { check(cudaMalloc(&data, static_cast<std::size_t>(bytes)), "cudaMalloc"); }
  ~Memory() { cudaFree(data); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* data = nullptr;
};

// Median of the milliseconds that `body` takes on the device.
double median_milliseconds(int repeats, const std::function<void()>& before, const std::function<void()>& body) {
  cudaEvent_t start{}, stop{};
  check(cudaEventCreate(&start), "cudaEventCreate");
  check(cudaEventCreate(&stop), "cudaEventCreate");
  std::vector<float> times;
  for (int i = 0; i < repeats + 2; ++i) {
    before();
    check(cudaEventRecord(start), "cudaEventRecord");
    body();
    check(cudaEventRecord(stop), "cudaEventRecord");
    check(cudaEventSynchronize(stop), "a kernel");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start, stop), "cudaEventElapsedTime");
    if (i >= 2) times.push_back(milliseconds);
  }
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
  std::sort(times.begin(), times.end());
  return static_cast<double>(times[times.size() / 2]);
}

// Normal numbers are not needed: uniform ones heat the tensor cores as much.
std::vector<std::uint16_t> random_bits(std::int64_t count, bool bf16) {
  std::vector<std::uint16_t> values(static_cast<std::size_t>(count));
  std::uint64_t state = 88172645463325252ULL;
  for (std::uint16_t& value : values) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    const float number = (static_cast<float>(state >> 40) / 8388608.0F - 1.0F) * 0.05F;
    value = bf16 ? static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(number) >> 16)
                 : std::bit_cast<std::uint16_t>(__float2half_rn(number));
  }
  return values;
}

void fill(void* device, std::int64_t count, bool bf16) {
  const std::vector<std::uint16_t> values = random_bits(count, bf16);
  check(cudaMemcpy(device, values.data(), values.size() * 2, cudaMemcpyHostToDevice), "cudaMemcpy");
}

void bench_gemm(GemmPath path, const char* name) {
  const int shapes[][3] = {{3072, 3072, 3072},  {9216, 3072, 3072}, {1024, 3072, 15360},
                           {1024, 21504, 3072}, {896, 3072, 128},   {12288, 12288, 384}};
  for (const auto& [rows, columns, depth] : shapes) {
    const Memory a(std::int64_t{2} * rows * depth), b(std::int64_t{2} * columns * depth), c(std::int64_t{4} * rows * columns);
    fill(a.data, std::int64_t{rows} * depth, false);
    fill(b.data, std::int64_t{columns} * depth, false);
    const double ms = median_milliseconds(
        30, [] {},
        [&] {
          gemm({.rows = rows,
                .columns = columns,
                .depth = depth,
                .a = {a.data, depth},
                .b = {b.data, depth},
                .c = static_cast<float*>(c.data),
                .c_leading = columns,
                .beta = depth <= 384 ? 1.0F : 0.0F},
               path, nullptr);
        });
    std::printf("{\"gemm\":\"%s\",\"rows\":%d,\"columns\":%d,\"depth\":%d,\"ms\":%.4f,\"tflops\":%.1f}\n", name, rows, columns, depth, ms,
                2e-9 * rows * columns * depth / ms);
  }
}

void bench_factorise(GemmPath path) {
  for (const int size : {3072, 12288, 15360}) {
    const std::int64_t leading = size;
    const Memory square(leading * size * 4), w(std::int64_t{2} * 3072 * size), high(leading * size * 2), low(leading * size * 2),
        diagonal(size * 4);
    const Memory transposed(leading * size * 2), blocks(leading * factor_block * 4), pivots(leading * 4),
        scratch(factorise_scratch_bytes(size));
    fill(w.data, std::int64_t{3072} * size, false);
    const auto prepare = [&] {
      gemm({.rows = size,
            .columns = size,
            .depth = 3072,
            .a = {w.data, 3072},
            .b = {w.data, 3072},
            .c = static_cast<float*>(square.data),
            .c_leading = leading,
            .triangle = Triangle::lower},
           path, nullptr);
      normalise_hessian(static_cast<float*>(square.data), leading, size, 1.0F / (3072 * 0.05F * 0.05F / 3), 1.0F,
                        {static_cast<__half*>(high.data), static_cast<__half*>(low.data), leading, 4096.0F},
                        static_cast<float*>(diagonal.data), nullptr);
    };
    const double gram = median_milliseconds(
        5, [] {}, prepare);
    const double ms = median_milliseconds(5, prepare, [&] {
      factorise(static_cast<float*>(square.data), leading, size, 3.0,
                {static_cast<__half*>(transposed.data), leading, static_cast<float*>(blocks.data), static_cast<float*>(pivots.data)},
                scratch.data, path, nullptr, [] {});
    });
    std::printf("{\"factorise\":%d,\"ms\":%.3f,\"tflops\":%.1f,\"gram_and_normalise_ms\":%.3f}\n", size, ms,
                1e-9 / 3 * size * size * size / ms, gram);
  }
}

// The whole of a matrix for one source of statistics; `load` copies what stands for a file from device memory.
void bench_sources(GemmPath path, int capability, int rows, int columns) {
  constexpr int samples = 3072;
  const std::int64_t count = std::int64_t{rows} * columns;
  const Memory source(count * 2), codes(count), partial(column_statistics_scratch(rows, columns) * 8), squares(std::int64_t{columns} * 8),
      summary(64), inputs(std::int64_t{samples} * columns * 2);
  fill(source.data, count, true);
  fill(inputs.data, std::int64_t{samples} * columns, true);
  void* mailbox = nullptr;
  check(cudaMallocHost(&mailbox, 4096), "cudaMallocHost");
  cudaStream_t stream{};
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  Execution execution{stream, path, capability, mailbox};
  execution.load = [&](const FileRange&, std::uint64_t offset, std::uint64_t bytes, void* destination) {
    check(cudaMemcpyAsync(destination, static_cast<const std::byte*>(inputs.data) + offset, bytes, cudaMemcpyDeviceToDevice, stream),
          "cudaMemcpyAsync");
  };
  column_statistics(source.data, SourceDtype::bf16, rows, columns, static_cast<double*>(partial.data), static_cast<double*>(squares.data),
                    static_cast<MatrixSummary*>(summary.data), stream);
  check(cudaMemcpyAsync(mailbox, summary.data, sizeof(MatrixSummary), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "statistics");
  const auto found = *static_cast<MatrixSummary*>(mailbox);
  const StatisticsTerm gram;
  const StatisticsTerm sampled{
      StatisticsTerm::Kind::samples, 1, {{0, 0, static_cast<std::uint64_t>(samples) * columns * 2}, ValueDtype::bf16, 1}};
  const Statistics gram_inputs{{gram}, 1}, propagated{{gram, sampled}, 0.15}, gram_outputs{{gram}, 2};
  const auto measure = [&](const char* name, const Sources& sources) {
    const Memory memory(learned_rounding_bytes(SourceDtype::bf16, rows, columns, 0, rows, sources));
    LearnedResult result;
    double best = 1e9;
    for (int i = 0; i < 2; ++i) {
      check(cudaDeviceSynchronize(), "a kernel");
      timespec begin{}, end{};
      clock_gettime(CLOCK_MONOTONIC, &begin);
      TargetScales scales(e4m3_scale(std::bit_cast<float>(found.amax_bits)));
      result = round_learned({source.data, SourceDtype::bf16, rows, columns}, static_cast<double*>(squares.data), found, scales,
                             {500, 0, 0, rows, sources, "matrix"}, static_cast<std::uint8_t*>(codes.data), memory.data, execution);
      clock_gettime(CLOCK_MONOTONIC, &end);
      best = std::min(best, 1e3 * static_cast<double>(end.tv_sec - begin.tv_sec) + 1e-6 * static_cast<double>(end.tv_nsec - begin.tv_nsec));
    }
    std::printf("{\"sources\":[%d,%d],\"statistics\":\"%s\",\"ms\":%.2f,\"sweeps\":%u,\"objective_ratio\":%.5f,\"bytes\":%lld}\n", rows,
                columns, name, best, result.sweeps, result.objective / result.objective_nearest,
                static_cast<long long>(learned_rounding_bytes(SourceDtype::bf16, rows, columns, 0, rows, sources)));
  };
  measure("gram", {&gram_inputs, nullptr});
  measure("gram and samples", {&propagated, nullptr});
  measure("gram on both sides", {&gram_inputs, &gram_outputs});
  check(cudaStreamDestroy(stream), "cudaStreamDestroy");
  check(cudaFreeHost(mailbox), "cudaFreeHost");
}

// A matrix alone, from device memory to codes, for several targets.
void bench_targets(GemmPath path, int capability, int rows, int columns) {
  struct Target {
    const char* name;
    CodeStorage storage;
  };
  const auto storage = [](CodeGrid grid, std::optional<ScaleBlock> block, ScaleForm form) {
    CodeStorage result;
    result.grid = grid;
    result.block = block;
    result.scale_form = form;
    return result;
  };
  const ScaleBlock row{1, static_cast<std::uint64_t>(columns)}, square{128, 128};
  const Target targets[] = {{"float8_e4m3fn, tensor", {}},
                            {"float8_e4m3fn, row", storage(CodeGrid::e4m3, row, ScaleForm::f32)},
                            {"float8_e4m3fn, block", storage(CodeGrid::e4m3, square, ScaleForm::f32)},
                            {"float8_e5m2, tensor", storage(CodeGrid::e5m2, std::nullopt, ScaleForm::f32)},
                            {"int8, row", storage(CodeGrid::int8, row, ScaleForm::f32)},
                            {"mxfp8", storage(CodeGrid::e4m3, ScaleBlock{1, 32}, ScaleForm::e8m0)},
                            {"nvfp4", storage(CodeGrid::e2m1, ScaleBlock{1, 16}, ScaleForm::e4m3)}};
  const std::int64_t count = std::int64_t{rows} * columns;
  const Memory source(count * 2);
  fill(source.data, count, true);
  void* mailbox = nullptr;
  check(cudaMallocHost(&mailbox, 4096), "cudaMallocHost");
  cudaStream_t stream{};
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  const Execution execution{stream, path, capability, mailbox};
  for (const Target& target : targets) {
    QuantizeTask task;
    task.source.length = static_cast<std::uint64_t>(count) * 2;
    task.rows = static_cast<std::uint64_t>(rows);
    task.columns = static_cast<std::uint64_t>(columns);
    task.storage = target.storage;
    const DeviceNeeds needs = *needs_within(task, std::int64_t{1} << 40);
    const Memory codes(needs.codes), work(needs.work);
    DeviceResult result;
    double best = 1e9;
    for (int i = 0; i < 3; ++i) {
      check(cudaDeviceSynchronize(), "a kernel");
      timespec begin{}, end{};
      clock_gettime(CLOCK_MONOTONIC, &begin);
      result = quantize_on_device(task, needs, source.data, static_cast<std::uint8_t*>(codes.data), work.data, execution);
      clock_gettime(CLOCK_MONOTONIC, &end);
      best = std::min(best, 1e3 * static_cast<double>(end.tv_sec - begin.tv_sec) + 1e-6 * static_cast<double>(end.tv_nsec - begin.tv_nsec));
    }
    std::printf("{\"target\":\"%s\",\"matrix\":[%d,%d],\"ms\":%.2f,\"sweeps\":%u,\"objective_ratio\":%.5f}\n", target.name, rows, columns,
                best, result.learned.sweeps, result.learned.objective / result.learned.objective_nearest);
  }
  check(cudaStreamDestroy(stream), "cudaStreamDestroy");
  check(cudaFreeHost(mailbox), "cudaFreeHost");
}

// Feedback and one sweep on their own, then the whole.
void bench_solve(GemmPath path, int capability, int rows, int columns) {
  const std::int64_t count = std::int64_t{rows} * columns;
  const Memory source(count * 2), codes(count), partial(column_statistics_scratch(rows, columns) * 8), squares(std::int64_t{columns} * 8),
      summary(64);
  fill(source.data, count, true);
  const Memory memory(learned_rounding_bytes(SourceDtype::bf16, rows, columns, 0, rows));
  void* mailbox = nullptr;
  check(cudaMallocHost(&mailbox, 4096), "cudaMallocHost");
  cudaStream_t stream{};
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  const Execution execution{stream, path, capability, mailbox};
  LearnedResult result;
  MatrixSummary found;
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    check(cudaDeviceSynchronize(), "a kernel");
    timespec begin{}, end{};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    column_statistics(source.data, SourceDtype::bf16, rows, columns, static_cast<double*>(partial.data), static_cast<double*>(squares.data),
                      static_cast<MatrixSummary*>(summary.data), stream);
    check(cudaMemcpyAsync(mailbox, summary.data, sizeof(MatrixSummary), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream), "statistics");
    found = *static_cast<MatrixSummary*>(mailbox);
    TargetScales scales(e4m3_scale(std::bit_cast<float>(found.amax_bits)));
    result = round_learned({source.data, SourceDtype::bf16, rows, columns}, static_cast<double*>(squares.data), found, scales,
                           {500, 0, 0, rows}, static_cast<std::uint8_t*>(codes.data), memory.data, execution);
    clock_gettime(CLOCK_MONOTONIC, &end);
    best = std::min(best, 1e3 * static_cast<double>(end.tv_sec - begin.tv_sec) + 1e-6 * static_cast<double>(end.tv_nsec - begin.tv_nsec));
  }
  std::printf("{\"solve\":[%d,%d],\"ms\":%.2f,\"sweeps\":%u,\"objective_ratio\":%.5f,\"bytes\":%lld}\n", rows, columns, best, result.sweeps,
              result.objective / result.objective_nearest,
              static_cast<long long>(learned_rounding_bytes(SourceDtype::bf16, rows, columns, 0, rows)));

  // The steps alone, with the factor of this matrix's own H.
  const std::int64_t leading = round_up(columns, 128);
  const Memory steps(leading * leading * 12 + leading * factor_block * 4 + leading * 64 + factorise_scratch_bytes(columns) +
                     (std::int64_t{1} << 20));
  Bump bump(steps.data);
  auto* square = bump.take<float>(columns * leading);
  const SplitMatrix split{bump.take<__half>(columns * leading), bump.take<__half>(columns * leading), leading, 2048.0F};
  auto* diagonal = bump.take<float>(columns);
  const Factor factor{bump.take<__half>(columns * leading), leading, bump.take<float>(leading * factor_block), bump.take<float>(leading)};
  void* scratch = bump.take<std::byte>(factorise_scratch_bytes(columns));
  std::vector<std::int32_t> identity(static_cast<std::size_t>(columns));
  for (int i = 0; i < columns; ++i) identity[static_cast<std::size_t>(i)] = i;
  auto* position = bump.take<std::int32_t>(columns);
  check(cudaMemcpy(position, identity.data(), identity.size() * 4, cudaMemcpyHostToDevice), "cudaMemcpy");
  Bump count_bytes;
  const Solver counted(count_bytes, rows, rows, columns, SourceDtype::bf16);
  const Memory solver_memory(count_bytes.used());
  Bump solver_bump(solver_memory.data);
  Solver solver(solver_bump, rows, rows, columns, SourceDtype::bf16);
  transpose_to_order(source.data, SourceDtype::bf16, rows, columns, position, solver.columns_buffer(), solver.columns_leading(), nullptr);
  const ColumnMatrix w{SourceDtype::bf16,
                       solver.columns_buffer(),
                       solver.columns_leading(),
                       rows,
                       columns,
                       e4m3_scale(std::bit_cast<float>(found.amax_bits))};
  gemm({.element = Element::bf16,
        .rows = columns,
        .columns = columns,
        .depth = rows,
        .a = {w.data, w.leading},
        .b = {w.data, w.leading},
        .c = square,
        .c_leading = leading,
        .triangle = Triangle::lower},
       path, nullptr);
  normalise_hessian(square, leading, columns, static_cast<float>(columns / found.sum_of_squares), 1.0F, split, diagonal, nullptr);
  factorise(square, leading, columns, 4.0, factor, scratch, path, nullptr, [] {});
  const Steering steering{split, diagonal, factor};
  const Execution here{nullptr, path, capability, mailbox};
  solver.begin(w, here);
  const double nearest_ms = median_milliseconds(
      3, [] {}, [&] { solver.objective_of_nearest(split); });
  const double feedback_ms = median_milliseconds(
      3, [] {}, [&] { solver.feed_back(steering); });
  const double sweep_ms = median_milliseconds(
      3, [&] { solver.feed_back(steering); }, [&] { solver.sweep(steering); });
  const double products = 1e-9 * rows * columns * columns;
  std::printf(
      "{\"steps\":[%d,%d],\"objective_ms\":%.3f,\"feedback_ms\":%.3f,\"feedback_tflops\":%.1f,\"sweep_ms\":%.3f,\"sweep_tflops\":%.1f}\n",
      rows, columns, nearest_ms, feedback_ms, products / feedback_ms, sweep_ms, 2 * products / sweep_ms);
  cudaFreeHost(mailbox);
}

}  // namespace
}  // namespace fp8::cuda

int main(int argc, char** argv) {
  using namespace fp8::cuda;
  const std::string what = argc > 1 ? argv[1] : "gemm";
  try {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    const int capability = properties.major * 10 + properties.minor;
    const GemmPath path = best_gemm_path(capability);
    if (what == "gemm") {
      if (path == GemmPath::hopper) bench_gemm(GemmPath::hopper, "hopper");
      bench_gemm(GemmPath::portable, "portable");
    } else if (what == "factorise") {
      bench_factorise(path);
    } else if (what == "propagate") {
      bench_propagate();
    } else if (what == "sources") {
      for (int i = 2; i + 1 < argc; i += 2) bench_sources(path, capability, std::atoi(argv[i]), std::atoi(argv[i + 1]));
    } else if (what == "targets") {
      for (int i = 2; i + 1 < argc; i += 2) bench_targets(path, capability, std::atoi(argv[i]), std::atoi(argv[i + 1]));
    } else {
      for (int i = 2; i + 1 < argc; i += 2) bench_solve(path, capability, std::atoi(argv[i]), std::atoi(argv[i + 1]));
    }
  } catch (const fp8::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
