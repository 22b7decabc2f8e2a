// The layer of an 8-billion language model: 4096 wide, 14336 inside, 8 heads of keys and values for 32 of queries. What each matrix sees is
// written as a conversion would have it.
#include "propagate_bench.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/half_float.h"
#include "fp8/backend.h"
#include "fp8/error.h"
#include "fp8/job.h"

namespace fp8::cuda {

namespace {

using Kind = PropagateStep::Kind;

constexpr std::uint32_t width = 4096;
constexpr std::uint32_t inner = 14336;
constexpr std::uint32_t head = 128;
constexpr std::uint32_t key_heads = 8;
constexpr std::uint32_t vocabulary = 4096;
constexpr std::uint32_t samples = 3072;

class Silent : public Observer {
 public:
  void on_event(Event) override {}
};

class Layer {
 public:
  explicit Layer(const std::string& path) : file_(path, std::ios::binary) {
    add(Kind::gather, 0, 0, matrix(vocabulary, width), vocabulary);
    add(Kind::rms_norm, 1, 0, matrix(1, width));
    store(1, width);
    add(Kind::linear, 2, 1, matrix(key_heads * head, width), key_heads * head);
    add(Kind::shuffle, 2, 2);
    add(Kind::repeat_heads, 2, 2, std::nullopt, head);
    task_.steps.back().times = width / head / key_heads;
    store(2, width);
    add(Kind::linear, 1, 2, matrix(width, width), width);
    join(Kind::add, 0, 0, 1);
    add(Kind::rms_norm, 1, 0, matrix(1, width));
    store(1, width);
    add(Kind::linear, 2, 1, matrix(inner, width), inner);
    add(Kind::activate, 2, 2);
    add(Kind::linear, 3, 1, matrix(inner, width), inner);
    join(Kind::multiply, 2, 2, 3);
    store(2, inner);
    // What the next layer would see.
    add(Kind::linear, 1, 2, matrix(width, inner), width);
    join(Kind::add, 0, 0, 1);
    add(Kind::rms_norm, 1, 0);
    store(1, width);
    task_.name = "propagated";
    task_.samples = samples;
    task_.register_count = 4;
    file_.close();
  }

  const PropagateTask& task() const { return task_; }
  std::uint64_t weight_bytes() const { return weight_bytes_; }
  std::uint64_t output_bytes() const { return output_bytes_; }

 private:
  void add(Kind kind, std::uint32_t out, std::uint32_t a, std::optional<TensorValues> weight = std::nullopt, std::uint32_t rows = 0) {
    PropagateStep step;
    step.kind = kind;
    step.out = out;
    step.a = a;
    step.b = a;
    step.rows = rows;
    step.weight = std::move(weight);
    task_.steps.push_back(step);
  }

  void join(Kind kind, std::uint32_t out, std::uint32_t a, std::uint32_t b) {
    add(kind, out, a);
    task_.steps.back().b = b;
  }

  void store(std::uint32_t a, std::uint64_t size) {
    add(Kind::store, 0, a);
    PropagateStep& step = task_.steps.back();
    step.mean_offset = output_bytes_;
    step.offset = output_bytes_ + size * 4;
    step.stores_samples = true;
    output_bytes_ = step.offset + size * samples * 2;
  }

  TensorValues matrix(std::uint64_t rows, std::uint64_t columns) {
    const float size = 1.7F / std::sqrt(static_cast<float>(columns));
    std::vector<std::uint16_t> bits(static_cast<std::size_t>(rows * columns));
    for (std::uint16_t& value : bits) {
      state_ = state_ * 6364136223846793005U + 1442695040888963407U;
      value = encode_bf16(size * static_cast<float>(static_cast<std::int32_t>(state_ >> 32)) * 0x1p-31F);
    }
    const std::uint64_t bytes = bits.size() * 2;
    file_.write(reinterpret_cast<const char*>(bits.data()), static_cast<std::streamsize>(bytes));
    weight_bytes_ += bytes;
    return {{0, weight_bytes_ - bytes, bytes}, ValueDtype::bf16, 1};
  }

  std::ofstream file_;
  PropagateTask task_;
  std::uint64_t weight_bytes_ = 0;
  std::uint64_t output_bytes_ = 0;
  std::uint64_t state_ = 7;
};

double milliseconds_of(Backend& backend, const Job& job) {
  Silent observer;
  const auto start = std::chrono::steady_clock::now();
  (void)backend.run(job, observer, {});
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

// Root mean square of the difference of the samples in both files, in units of the second's.
double relative_difference(const Layer& layer, const std::string& a, const std::string& b) {
  double difference = 0;
  double square = 0;
  std::ifstream left(a, std::ios::binary);
  std::ifstream right(b, std::ios::binary);
  std::vector<std::byte> one(std::size_t{inner} * samples * 2);
  std::vector<std::byte> two(one.size());
  for (const PropagateStep& step : layer.task().steps) {
    if (step.kind != Kind::store) continue;
    const std::uint64_t bytes = (step.offset - step.mean_offset) / 4 * samples * 2;
    for (auto [stream, buffer] : {std::pair(&left, &one), std::pair(&right, &two)}) {
      stream->seekg(static_cast<std::streamoff>(step.offset));
      stream->read(reinterpret_cast<char*>(buffer->data()), static_cast<std::streamsize>(bytes));
    }
    for (std::size_t i = 0; i < bytes / 2; ++i) {
      const double x = static_cast<double>(decode_source(one.data(), i, SourceDtype::bf16));
      const double y = static_cast<double>(decode_source(two.data(), i, SourceDtype::bf16));
      difference += (x - y) * (x - y);
      square += y * y;
    }
  }
  return std::sqrt(difference / square);
}

}  // namespace

void bench_propagate() {
  std::string pattern = (std::filesystem::temp_directory_path() / "fp8-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw Error(ErrorCode::io, "No temporary folder can be made.");
  const std::filesystem::path folder = pattern;
  const std::string weights = (folder / "weights").string();
  const Layer layer(weights);
  Job job;
  job.files = {weights};
  job.tasks = {layer.task()};
  const auto output = [&](const char* name) {
    const std::string path = (folder / name).string();
    std::ofstream(path, std::ios::binary).close();
    std::filesystem::resize_file(path, layer.output_bytes());
    return path;
  };
  const auto gpu = make_cuda_backend(0);
  double milliseconds[4];
  for (double& each : milliseconds) {
    job.output = output("gpu");
    each = milliseconds_of(*gpu, job);
  }
  const std::string on_gpu = *job.output;
  job.output = output("cpu");
  const double on_cpu = milliseconds_of(*make_cpu_backend(), job);
  const double difference = relative_difference(layer, on_gpu, *job.output);
  std::printf(
      "{\"propagate\":\"layer\",\"weight_mb\":%.0f,\"written_mb\":%.0f,\"samples\":%u,\"gpu_ms\":[%.0f,%.0f,%.0f,%.0f],\"cpu_ms\":%.0f,"
      "\"relative_difference\":%.2e}\n",
      1e-6 * static_cast<double>(layer.weight_bytes()), 1e-6 * static_cast<double>(layer.output_bytes()), samples, milliseconds[0],
      milliseconds[1], milliseconds[2], milliseconds[3], on_cpu, difference);
  std::filesystem::remove_all(folder);
}

}  // namespace fp8::cuda
