// Jobs that send samples through made-up weights, for any backend, and what they write.
#pragma once

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/half_float.h"
#include "fp8/backend.h"
#include "job_fixture.h"

namespace fp8::testing {

class PropagationJob {
 public:
  using Kind = PropagateStep::Kind;

  // What a store step writes, and where.
  struct Stored {
    std::uint64_t mean_offset;
    std::uint64_t offset;
    std::uint32_t size;
    bool as_samples;
  };

  PropagationJob(std::uint32_t samples, std::uint32_t registers) {
    task_.id = 3;
    task_.name = "propagated";
    task_.samples = samples;
    task_.seed = 5;
    task_.register_count = registers;
  }

  // Numbers between −size and size around `centre`.
  TensorValues numbers(std::size_t count, ValueDtype dtype, float size, float centre = 0) {
    std::vector<std::byte> bytes(count * byte_size(dtype));
    for (std::size_t i = 0; i < count; ++i) {
      const float value = centre + size * static_cast<float>(static_cast<std::int32_t>(next() >> 32)) * 0x1p-31F;
      const SourceDtype as = dtype == ValueDtype::f32 ? SourceDtype::f32 : dtype == ValueDtype::f16 ? SourceDtype::f16 : SourceDtype::bf16;
      encode_source(value, as, bytes.data(), i);
    }
    return file(bytes, dtype);
  }

  TensorValues file(const std::vector<std::byte>& bytes, ValueDtype dtype) {
    const auto index = static_cast<std::uint32_t>(files_.size());
    files_.push_back(folder_.write("file" + std::to_string(index), bytes));
    return {{index, 0, bytes.size()}, dtype, 1};
  }

  PropagateStep& add(Kind kind, std::uint32_t out, std::uint32_t a = 0, std::uint32_t b = 0) {
    PropagateStep step;
    step.kind = kind;
    step.out = out;
    step.a = a;
    step.b = b;
    task_.steps.push_back(step);
    return task_.steps.back();
  }

  void gather(std::uint32_t out, std::uint32_t rows, std::uint32_t width, ValueDtype dtype = ValueDtype::bf16) {
    PropagateStep& step = add(Kind::gather, out);
    step.rows = rows;
    step.weight = numbers(std::size_t{rows} * width, dtype, 1);
  }

  PropagateStep& linear(std::uint32_t out, std::uint32_t a, std::uint32_t rows, std::uint32_t width, ValueDtype dtype = ValueDtype::bf16) {
    PropagateStep& step = add(Kind::linear, out, a);
    step.rows = rows;
    step.weight = numbers(std::size_t{rows} * width, dtype, 1.7F / std::sqrt(static_cast<float>(width)));
    return step;
  }

  Stored store(std::uint32_t a, std::uint32_t size, bool as_samples) {
    PropagateStep& step = add(Kind::store, 0, a);
    step.mean_offset = end_;
    step.offset = end_ + std::uint64_t{size} * 4;
    step.stores_samples = as_samples;
    const Stored stored{step.mean_offset, step.offset, size, as_samples};
    end_ = step.offset + std::uint64_t{size} * (as_samples ? task_.samples * 2 : size * 4);
    stored_.push_back(stored);
    return stored;
  }

  Job job(const std::string& output) const {
    Job made;
    made.files = files_;
    made.output = folder_.reserve(output, end_);
    made.tasks = {task_};
    made.device = "cpu";
    made.threads = 3;
    return made;
  }

  std::vector<std::uint8_t> run(Backend& backend, Observer& observer, const std::string& output) const {
    const Job made = job(output);
    (void)backend.run(made, observer, {});
    return read_file(*made.output);
  }

  // Values of the step as they are in an output: samples × size or size × size.
  std::vector<float> values(const std::vector<std::uint8_t>& output, const Stored& stored) const {
    const std::size_t count = std::size_t{stored.size} * (stored.as_samples ? task_.samples : stored.size);
    return decode(output, stored.offset, count, stored.as_samples ? SourceDtype::bf16 : SourceDtype::f32);
  }
  std::vector<float> means(const std::vector<std::uint8_t>& output, const Stored& stored) const {
    return decode(output, stored.mean_offset, stored.size, SourceDtype::f32);
  }

  const PropagateTask& task() const { return task_; }
  PropagateTask& task() { return task_; }
  const std::vector<Stored>& stored() const { return stored_; }
  const std::string& path(const TensorValues& tensor) const { return files_.at(tensor.range.file); }

 private:
  std::uint64_t next() { return state_ = state_ * 6364136223846793005U + 1442695040888963407U; }

  static std::vector<float> decode(const std::vector<std::uint8_t>& output, std::uint64_t offset, std::size_t count, SourceDtype dtype) {
    std::vector<float> found(count);
    const auto* data = reinterpret_cast<const std::byte*>(output.data()) + offset;
    for (std::size_t i = 0; i < count; ++i) found[i] = decode_source(data, i, dtype);
    return found;
  }

  const TemporaryFolder folder_;
  std::vector<std::string> files_;
  PropagateTask task_;
  std::vector<Stored> stored_;
  std::uint64_t end_ = 0;
  std::uint64_t state_ = 7;
};

}  // namespace fp8::testing
