#include "cpu/propagate_task.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/propagation.h"
#include "core/random.h"
#include "core/stop.h"
#include "core/stopwatch.h"
#include "cpu/blas.h"
#include "cpu/buffer.h"
#include "cpu/parallel_product.h"
#include "cpu/value_reader.h"

namespace fp8 {

namespace {

using Kind = PropagateStep::Kind;

// Rows of a weight matrix that are decoded at a time, and samples that one thread takes: neither changes a result.
constexpr std::size_t weight_rows = 1024;
constexpr std::size_t sample_block = 64;

// Values of all samples: sample s at s * width.
struct Values {
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
      : task_(task),
        files_(files),
        context_(context),
        samples_(task.samples),
        flow_(flow_of(task)),
        made_(task.steps.size()),
        random_(task.seed) {}

  void run() {
    context_.progress.begin_phase(1.0, static_cast<double>(task_.steps.size()));
    for (index_ = 0; index_ < task_.steps.size(); ++index_) {
      throw_if_stopped(context_.stop);
      run(task_.steps[index_]);
      forget();
      context_.progress.advance();
    }
  }

 private:
  void run(const PropagateStep& step) {
    switch (step.kind) {
      case Kind::gather:
        return gather(step);
      case Kind::noise:
        return draw(step.rows * Random::draws_of_normal, draw_noise);
      case Kind::time:
        return draw(1, draw_time);
      case Kind::linear:
        return multiply_by_weights(step);
      case Kind::rms_norm:
      case Kind::layer_norm:
        return normalise(step);
      case Kind::activate:
        return map([&](float a, float) { return activated(a, step.activation); });
      case Kind::multiply:
        return map([](float a, float b) { return a * b; });
      case Kind::add:
        return map([](float a, float b) { return a + b; });
      case Kind::modulate:
        return map([](float a, float b) { return a * (1.0F + b); });
      case Kind::slice:
        return slice(step);
      case Kind::shuffle:
        return shuffle();
      case Kind::repeat_heads:
        return repeat_heads(step);
      case Kind::store:
        return store(step);
    }
  }

  // Where the step's result goes; in the place of what it reads, where that is of no more use and the step works in place.
  Values& target() {
    const PropagationFlow& flow = flow_[index_];
    Values& out = made_[index_];
    if (works_in_place(task_.steps[index_]) && flow_[flow.a].last_reader == index_) {
      out = std::move(made_[flow.a]);
      in_place_ = true;
    } else {
      out = {flow.width, Buffer<float>(flow.width * samples_)};
    }
    return out;
  }

  const Values& a() const { return made_[in_place_ ? index_ : flow_[index_].a]; }
  const Values& b() const { return flow_[index_].b == flow_[index_].a ? a() : made_[flow_[index_].b]; }

  void forget() {
    in_place_ = false;
    const PropagationFlow& flow = flow_[index_];
    if (flow_[flow.a].last_reader <= index_) made_[flow.a] = {};
    if (flow_[flow.b].last_reader <= index_) made_[flow.b] = {};
    if (flow.last_reader == index_) made_[index_] = {};
  }

  // NaN and infinity would spoil everything behind them; what holds them is reported when it is converted.
  static float finite(double value) { return std::isfinite(value) ? static_cast<float>(value) : 0.0F; }

  std::vector<float> read_vector(const std::optional<TensorValues>& values, std::size_t size, float otherwise) {
    std::vector<float> out(size, otherwise);
    if (!values) return out;
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

  void gather(const PropagateStep& step) {
    Values& out = target();
    const std::size_t width = out.width;
    const std::vector<std::size_t> chosen = draw_rows(random_, samples_, step.rows);
    const std::shared_ptr<const CodeReader> codes = code_reader_of(*step.weight, files_, task_.name);
    context_.pool.parallel_for(block_count(samples_, sample_block), context_.stop, [&](std::size_t index) {
      ValueReader reader(*step.weight, files_, task_.name, width, codes);
      const Block block = block_at(index, sample_block, samples_);
      for (std::size_t s = block.begin; s < block.end; ++s) {
        const std::span<const double> row = reader.read(std::uint64_t{chosen[s]} * width, width);
        std::transform(row.begin(), row.end(), out.values.data() + s * width, finite);
      }
    });
  }

  void draw(std::uint64_t draws_of_sample, void (*fill)(Random, std::span<float>)) {
    Values& out = target();
    for_samples([&](std::size_t s) { fill(random_.after(s * draws_of_sample), out.values.span().subspan(s * out.width, out.width)); });
    random_ = random_.after(samples_ * draws_of_sample);
  }

  void multiply_by_weights(const PropagateStep& step) {
    Values& out = target();
    const Values& in = a();
    const std::size_t rows = step.rows;
    const std::vector<float> bias = read_vector(step.bias, rows, 0.0F);
    Buffer<float> weights(std::min(rows, weight_rows) * in.width);
    const std::shared_ptr<const CodeReader> codes = code_reader_of(*step.weight, files_, task_.name);
    for (std::size_t begin = 0; begin < rows; begin += weight_rows) {
      const std::size_t count = std::min(weight_rows, rows - begin);
      context_.pool.parallel_for(block_count(count, sample_block), context_.stop, [&](std::size_t index) {
        const Block block = block_at(index, sample_block, count);
        ValueReader reader(*step.weight, files_, task_.name, in.width, codes);
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
  }

  void normalise(const PropagateStep& step) {
    Values& out = target();
    const Values& in = a();
    const std::vector<float> gain = read_vector(step.weight, in.width, 1.0F);
    const std::vector<float> bias = read_vector(step.bias, in.width, 0.0F);
    const bool centred = step.kind == Kind::layer_norm;
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
  void map(const Function& function) {
    Values& out = target();
    const float* first = a().values.data();
    const float* second = b().values.data();
    for_samples([&](std::size_t s) {
      for (std::size_t i = s * out.width; i < (s + 1) * out.width; ++i) out.values[i] = function(first[i], second[i]);
    });
  }

  // Values [part · rows, (part + 1) · rows) of each sample.
  void slice(const PropagateStep& step) {
    Values& out = target();
    const Values& in = a();
    const std::size_t width = step.rows;
    for_samples([&](std::size_t s) {
      std::memcpy(out.values.data() + s * width, in.values.data() + s * in.width + width * step.part, width * sizeof(float));
    });
  }

  // Another sample's values for each: what attention does to samples that know nothing of each other.
  void shuffle() {
    Values& out = target();
    const Values& in = a();
    const std::vector<std::size_t> from = draw_order(random_, samples_);
    for_samples([&](std::size_t s) {
      std::memcpy(out.values.data() + s * in.width, in.values.data() + from[s] * in.width, in.width * sizeof(float));
    });
  }

  // Each group of `rows` values `times` times in a row: heads of values that several heads of queries share.
  void repeat_heads(const PropagateStep& step) {
    Values& out = target();
    const Values& in = a();
    const std::size_t head = step.rows;
    const std::size_t times = step.times;
    for_samples([&](std::size_t s) {
      for (std::size_t i = 0; i < in.width / head * times; ++i) {
        std::memcpy(out.values.data() + s * out.width + i * head, in.values.data() + s * in.width + i / times * head, head * sizeof(float));
      }
    });
  }

  void store(const PropagateStep& step) {
    const Values& in = a();
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
  const std::vector<PropagationFlow> flow_;
  std::vector<Values> made_;  // by each step, while it is needed
  Random random_;
  std::size_t index_ = 0;  // of the step that runs
  bool in_place_ = false;
};

}  // namespace

void run_propagate_task(const PropagateTask& task, const JobFiles& files, Observer& observer, Context& context) {
  const Stopwatch watch;
  Propagation(task, files, context).run();
  observer.on_event(Copied{task.id, watch.seconds()});
}

std::uint64_t propagate_task_bytes(const PropagateTask& task) {
  const std::vector<PropagationFlow> flow = flow_of(task);
  std::uint64_t beside = 0;  // weights of a linear step, or what a store writes
  for (std::size_t i = 0; i < flow.size(); ++i) {
    const PropagateStep& step = task.steps[i];
    if (!reads_values(step)) continue;
    const std::uint64_t width = flow[flow[i].a].width;
    if (step.kind == Kind::linear) beside = std::max(beside, std::min<std::uint64_t>(step.rows, weight_rows) * width * sizeof(float));
    if (step.kind == Kind::store) beside = std::max(beside, width * (step.stores_samples ? task.samples * 2 : width * sizeof(float)));
  }
  return std::uint64_t{task.samples} * widest_moment(task, flow) * sizeof(float) + beside;
}

}  // namespace fp8
