#include "cpu/propagate_task.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>
#include <numeric>
#include <span>
#include <vector>

#include "core/stop.h"
#include "core/stopwatch.h"
#include "cpu/blas.h"
#include "cpu/buffer.h"
#include "cpu/parallel_product.h"
#include "cpu/value_reader.h"
#include "fp8/error.h"

namespace fp8 {

namespace {

using Kind = PropagateStep::Kind;

// Rows of a weight matrix that are decoded at a time, and samples that one thread takes: neither changes a result.
constexpr std::size_t weight_rows = 1024;
constexpr std::size_t sample_block = 64;

// SplitMix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }
  double uniform() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }
  double normal() { return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform()); }

 private:
  std::uint64_t state_;
};

// Values of all samples: sample s at s * width.
struct Register {
  std::size_t width = 0;
  Buffer<float> values;
};

float activated(float x, PropagateStep::Activation activation) {
  switch (activation) {
    case PropagateStep::Activation::silu:
      return x / (1.0F + std::exp(-x));
    case PropagateStep::Activation::gelu:
      return 0.5F * x * (1.0F + std::erf(x * 0.70710678F));
    case PropagateStep::Activation::gelu_tanh:
      return 0.5F * x * (1.0F + std::tanh(0.79788456F * (x + 0.044715F * x * x * x)));
    case PropagateStep::Activation::quick_gelu:
      return x / (1.0F + std::exp(-1.702F * x));
  }
  return x;
}

class Propagation {
 public:
  Propagation(const PropagateTask& task, const JobFiles& files, Context& context)
      : task_(task), files_(files), context_(context), samples_(task.samples), registers_(task.register_count), random_(task.seed) {}

  void run() {
    context_.progress.begin_phase(1.0, static_cast<double>(task_.steps.size()));
    for (const PropagateStep& step : task_.steps) {
      throw_if_stopped(context_.stop);
      run(step);
      context_.progress.advance();
    }
  }

 private:
  void run(const PropagateStep& step) {
    switch (step.kind) {
      case Kind::gather:
        return gather(step);
      case Kind::noise:
        return draw_noise(step);
      case Kind::time:
        return draw_times(step);
      case Kind::linear:
        return multiply_by_weights(step);
      case Kind::rms_norm:
      case Kind::layer_norm:
        return normalise(step);
      case Kind::activate:
        return map(step, [&](float a, float) { return activated(a, step.activation); });
      case Kind::multiply:
        return map(step, [](float a, float b) { return a * b; });
      case Kind::add:
        return map(step, [](float a, float b) { return a + b; });
      case Kind::modulate:
        return map(step, [](float a, float b) { return a * (1.0F + b); });
      case Kind::slice:
        return slice(step);
      case Kind::shuffle:
        return shuffle(step);
      case Kind::repeat_heads:
        return repeat_heads(step);
      case Kind::store:
        return store(step);
    }
  }

  Register& target(const PropagateStep& step, std::size_t width) {
    Register& out = registers_.at(step.out);
    if (out.width != width) out = {width, Buffer<float>(width * samples_)};
    return out;
  }

  const Register& argument(std::uint32_t index) const {
    const Register& found = registers_.at(index);
    if (found.width == 0) throw Error(ErrorCode::internal, "a propagation step reads values that no step has made", task_.name);
    return found;
  }

  static std::size_t width_of(const TensorValues& values, std::size_t rows) {
    return static_cast<std::size_t>(element_count(values) / rows);
  }

  // NaN and infinity would spoil everything behind them; what holds them is reported when it is converted.
  static float finite(double value) { return std::isfinite(value) ? static_cast<float>(value) : 0.0F; }

  std::vector<float> read_vector(const std::optional<TensorValues>& values, std::size_t size, float otherwise) {
    std::vector<float> out(size, otherwise);
    if (!values) return out;
    if (element_count(*values) != size) throw Error(ErrorCode::internal, "a propagation step has a vector of another size", task_.name);
    ValueReader reader(*values, files_, task_.name, size);
    const std::span<const double> read = reader.read(0, size);
    std::transform(read.begin(), read.end(), out.begin(), finite);
    return out;
  }

  template <typename Body>
  void for_samples(const Body& body) {
    context_.pool.parallel_for(block_count(samples_, sample_block), context_.stop, [&](std::size_t index) {
      const Block block = block_at(index, sample_block, samples_);
      for (std::size_t s = block.begin; s < block.end; ++s) body(s);
    });
  }

  // Rows of a table, each as likely as the others, plus a row of a second table where there is one.
  void gather(const PropagateStep& step) {
    const std::size_t rows = step.rows;
    const std::size_t width = width_of(*step.weight, rows);
    Register& out = target(step, width);
    std::vector<std::size_t> chosen(samples_);
    for (std::size_t& row : chosen) row = random_.below(rows);
    context_.pool.parallel_for(block_count(samples_, sample_block), context_.stop, [&](std::size_t index) {
      ValueReader reader(*step.weight, files_, task_.name, width);
      const Block block = block_at(index, sample_block, samples_);
      for (std::size_t s = block.begin; s < block.end; ++s) {
        const std::span<const double> row = reader.read(std::uint64_t{chosen[s]} * width, width);
        std::transform(row.begin(), row.end(), out.values.data() + s * width, finite);
      }
    });
  }

  // Standard normal values: what a diffusion model starts from.
  void draw_noise(const PropagateStep& step) {
    Register& out = target(step, step.rows);
    for (std::size_t i = 0; i < out.width * samples_; ++i) out.values[i] = static_cast<float>(random_.normal());
  }

  // Of a moment between 0 and 1000 for each sample, the cosines and then the sines at frequencies from 1 down to 1/10000: what diffusion
  // transformers make of their time step.
  void draw_times(const PropagateStep& step) {
    Register& out = target(step, step.rows);
    const std::size_t half = out.width / 2;
    for (std::size_t s = 0; s < samples_; ++s) {
      const double moment = 1000 * random_.uniform();
      float* row = out.values.data() + s * out.width;
      row[out.width - 1] = 0;
      for (std::size_t i = 0; i < half; ++i) {
        const double angle = moment * std::pow(1e-4, static_cast<double>(i) / static_cast<double>(half));
        row[i] = static_cast<float>(std::cos(angle));
        row[half + i] = static_cast<float>(std::sin(angle));
      }
    }
  }

  void multiply_by_weights(const PropagateStep& step) {
    const Register& in = argument(step.a);
    const std::size_t rows = step.rows;
    if (element_count(*step.weight) != std::uint64_t{rows} * in.width) {
      throw Error(ErrorCode::internal, "a propagation step has a matrix of another shape", task_.name);
    }
    const std::vector<float> bias = read_vector(step.bias, rows, 0.0F);
    Register out{rows, Buffer<float>(rows * samples_)};
    Buffer<float> weights(std::min(rows, weight_rows) * in.width);
    for (std::size_t begin = 0; begin < rows; begin += weight_rows) {
      const std::size_t count = std::min(weight_rows, rows - begin);
      context_.pool.parallel_for(block_count(count, sample_block), context_.stop, [&](std::size_t index) {
        const Block block = block_at(index, sample_block, count);
        ValueReader reader(*step.weight, files_, task_.name, in.width);
        for (std::size_t r = block.begin; r < block.end; ++r) {
          const std::span<const double> row = reader.read(std::uint64_t{begin + r} * in.width, in.width);
          std::transform(row.begin(), row.end(), weights.data() + r * in.width, finite);
        }
      });
      parallel_product(blas::Op::transposed, blas::Op::plain, count, samples_, in.width, 1.0F, weights.data(), in.width, in.values.data(),
                       in.width, 0.0F, out.values.data() + begin, rows, context_);
    }
    if (step.bias) {
      for_samples([&](std::size_t s) {
        float* row = out.values.data() + s * rows;
        for (std::size_t i = 0; i < rows; ++i) row[i] += bias[i];
      });
    }
    registers_.at(step.out) = std::move(out);
  }

  void normalise(const PropagateStep& step) {
    const Register& in = argument(step.a);
    const std::vector<float> gain = read_vector(step.weight, in.width, 1.0F);
    const std::vector<float> bias = read_vector(step.bias, in.width, 0.0F);
    const bool centred = step.kind == Kind::layer_norm;
    Register& out = target(step, in.width);
    for_samples([&](std::size_t s) {
      const float* from = in.values.data() + s * in.width;
      float* to = out.values.data() + s * in.width;
      double mean = 0;
      double square = 0;
      for (std::size_t i = 0; i < in.width; ++i) mean += static_cast<double>(from[i]);
      mean = centred ? mean / static_cast<double>(in.width) : 0;
      for (std::size_t i = 0; i < in.width; ++i) {
        const double value = static_cast<double>(from[i]) - mean;
        square += value * value;
      }
      const double factor = 1 / std::sqrt(square / static_cast<double>(in.width) + 1e-6);
      for (std::size_t i = 0; i < in.width; ++i) {
        to[i] = static_cast<float>((static_cast<double>(from[i]) - mean) * factor) * gain[i] + bias[i];
      }
    });
  }

  template <typename Function>
  void map(const PropagateStep& step, const Function& function) {
    const Register& a = argument(step.a);
    const Register& b = argument(step.b);
    if (a.width != b.width) throw Error(ErrorCode::internal, "a propagation step joins values of different widths", task_.name);
    Register& out = target(step, a.width);
    for_samples([&](std::size_t s) {
      for (std::size_t i = s * a.width; i < (s + 1) * a.width; ++i) out.values[i] = function(a.values[i], b.values[i]);
    });
  }

  // Values [part · rows, (part + 1) · rows) of each sample.
  void slice(const PropagateStep& step) {
    const Register& in = argument(step.a);
    const std::size_t width = step.rows;
    if (in.width < width * (step.part + 1))
      throw Error(ErrorCode::internal, "a propagation step takes a part that is not there", task_.name);
    Register out{width, Buffer<float>(width * samples_)};
    for_samples([&](std::size_t s) {
      std::memcpy(out.values.data() + s * width, in.values.data() + s * in.width + width * step.part, width * sizeof(float));
    });
    registers_.at(step.out) = std::move(out);
  }

  // Another sample's values for each: what attention does to samples that know nothing of each other.
  void shuffle(const PropagateStep& step) {
    const Register& in = argument(step.a);
    std::vector<std::size_t> from(samples_);
    std::iota(from.begin(), from.end(), std::size_t{0});
    for (std::size_t i = samples_; i > 1; --i) std::swap(from[i - 1], from[random_.below(i)]);
    Register out{in.width, Buffer<float>(in.width * samples_)};
    for_samples([&](std::size_t s) {
      std::memcpy(out.values.data() + s * in.width, in.values.data() + from[s] * in.width, in.width * sizeof(float));
    });
    registers_.at(step.out) = std::move(out);
  }

  // Each group of `rows` values `times` times in a row: heads of values that several heads of queries share.
  void repeat_heads(const PropagateStep& step) {
    const Register& in = argument(step.a);
    const std::size_t head = step.rows;
    const std::size_t times = step.times;
    if (head == 0 || in.width % head != 0) throw Error(ErrorCode::internal, "a propagation step has heads of another size", task_.name);
    Register out{in.width * times, Buffer<float>(in.width * times * samples_)};
    for_samples([&](std::size_t s) {
      for (std::size_t i = 0; i < in.width / head * times; ++i) {
        std::memcpy(out.values.data() + s * out.width + i * head, in.values.data() + s * in.width + i / times * head, head * sizeof(float));
      }
    });
    registers_.at(step.out) = std::move(out);
  }

  void store(const PropagateStep& step) {
    const Register& in = argument(step.a);
    const std::size_t width = in.width;
    std::vector<float> mean(width);
    for (std::size_t i = 0; i < width; ++i) {
      double sum = 0;
      for (std::size_t s = 0; s < samples_; ++s) sum += static_cast<double>(in.values[s * width + i]);
      mean[i] = static_cast<float>(sum / static_cast<double>(samples_));
    }
    files_.output().write(step.mean_offset, std::as_bytes(std::span(mean)), task_.name);
    if (step.stores_samples) {
      Buffer<std::uint16_t> rounded(width * samples_);
      for_samples([&](std::size_t s) {
        for (std::size_t i = s * width; i < (s + 1) * width; ++i) {
          const auto bits = std::bit_cast<std::uint32_t>(in.values[i]);
          rounded[i] = static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
        }
      });
      write_range(files_.output(), step.offset, std::as_bytes(rounded.span()), task_.name, context_.stop);
    } else {
      Buffer<float> square(width * width);
      parallel_product(blas::Op::plain, blas::Op::transposed, width, width, samples_, 1.0F / static_cast<float>(samples_), in.values.data(),
                       width, in.values.data(), width, 0.0F, square.data(), width, context_);
      write_range(files_.output(), step.offset, std::as_bytes(square.span()), task_.name, context_.stop);
    }
  }

  const PropagateTask& task_;
  const JobFiles& files_;
  Context& context_;
  const std::size_t samples_;
  std::vector<Register> registers_;
  Random random_;
};

}  // namespace

void run_propagate_task(const PropagateTask& task, const JobFiles& files, Observer& observer, Context& context) {
  const Stopwatch watch;
  Propagation(task, files, context).run();
  observer.on_event(Copied{task.id, watch.seconds()});
}

std::uint64_t propagate_task_bytes(const PropagateTask& task) {
  std::uint64_t widest = 0;
  for (const PropagateStep& step : task.steps) {
    if (step.kind == PropagateStep::Kind::linear) widest = std::max(widest, std::uint64_t{step.rows});
  }
  return (task.register_count + 1) * task.samples * widest * sizeof(float);
}

}  // namespace fp8
