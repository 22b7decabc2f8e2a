// Products are of FP16 operands with FP32 accumulation. Samples are split in two halves (see split.cuh), and so are weights that FP16
// cannot hold as they are: two or three products give what FP32 would, at a cost that reading the weights hides. With a single half, the
// error of each layer would be as large as that of the BF16 samples which are kept, and would add up along the model.
#include "propagate_on_device.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "check.h"
#include "core/propagation.h"
#include "core/stop.h"
#include "core/value_decoder.h"
#include "host_rows.h"
#include "propagation_memory.h"
#include "propagation_steps.h"
#include "source_dtype.h"

namespace fp8::cuda {

namespace {

using Kind = PropagateStep::Kind;

// Rows of a linear step's weights, which are multiplied as soon as they are there.
struct WeightChunk {
  const PropagateStep* step;
  std::int64_t first_row;
  std::int64_t rows;
  std::int64_t width;
  std::optional<SourceDtype> dtype;  // that the device decodes; nothing where the CPU does
  std::shared_ptr<Countdown> loaded = nullptr;
};

std::optional<SourceDtype> device_dtype(const TensorValues& values) { return values.codes ? std::nullopt : source_dtype(values.dtype); }

class DevicePropagation {
 public:
  DevicePropagation(const PropagateTask& task, void* memory, const PropagationServices& services)
      : task_(task),
        services_(services),
        stream_(services.stream),
        flow_(flow_of(task)),
        bump_(memory),
        memory_(bump_, task, flow_),
        random_(task.seed),
        host_rows_(services.pool, services.stream, services.stop, widest_row()) {}

  void run() {
    list_chunks();
    for (std::size_t i = 0; i < weight_slots; ++i) start_loading(i);
    for (index_ = 0; index_ < task_.steps.size(); ++index_) {
      tick(0);
      run(task_.steps[index_]);
    }
    check(cudaStreamSynchronize(stream_), "propagating samples");
    for (const std::shared_ptr<Countdown>& left : leaving_) {
      if (left && !left->wait(services_.stop)) throw Cancelled{};
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
        return normalise_samples(a(), step.kind, vector(step.weight, memory_.gain), vector(step.bias, memory_.bias), out(), stream_);
      case Kind::activate:
      case Kind::multiply:
      case Kind::add:
      case Kind::modulate:
        return map_samples(step, a(), b(), out(), stream_);
      case Kind::slice:
        return slice(step);
      case Kind::shuffle:
        return shuffle();
      case Kind::repeat_heads:
        return repeat_heads(a(), static_cast<int>(step.rows), static_cast<int>(step.times), out(), stream_);
      case Kind::store:
        return store(step);
    }
  }

  SampleMatrix made_by(std::size_t step) const { return memory_.values_of(step, task_, flow_); }
  SampleMatrix out() const { return made_by(index_); }
  SampleMatrix a() const { return made_by(flow_[index_].a); }
  SampleMatrix b() const { return made_by(flow_[index_].b); }

  void tick(double of_step) const {
    throw_if_stopped(services_.stop);
    services_.tick((static_cast<double>(index_) + of_step) / static_cast<double>(task_.steps.size()));
  }

  std::int64_t widest_row() const {
    std::size_t widest = 0;
    for (const PropagationFlow& flow : flow_) widest = std::max(widest, flow.width);
    return static_cast<std::int64_t>(widest);
  }

  std::unique_ptr<ValueDecoder> decoder_of(const TensorValues& values) const {
    return make_value_decoder(values, services_.files, task_.name);
  }

  // Null where there is none.
  const float* vector(const std::optional<TensorValues>& values, float* to) const {
    if (!values) return nullptr;
    std::vector<float> read(static_cast<std::size_t>(element_count(*values)));
    decoder_of(*values)->read_finite(0, read);
    check(cudaMemcpyAsync(to, read.data(), read.size() * sizeof(float), cudaMemcpyHostToDevice, stream_), "copying to the GPU");
    return to;
  }

  void gather(const PropagateStep& step) {
    const SampleMatrix to = out();
    const std::vector<std::size_t> chosen = draw_rows(random_, task_.samples, step.rows);
    const std::unique_ptr<ValueDecoder> table = decoder_of(*step.weight);
    host_rows_.upload(to.samples, to.width, to.data, to.leading, [&](std::int64_t sample, std::span<float> values) {
      table->read_finite(std::uint64_t{chosen[static_cast<std::size_t>(sample)]} * values.size(), values);
    });
  }

  void draw(std::uint64_t draws_of_sample, void (*fill)(Random, std::span<float>)) {
    const SampleMatrix to = out();
    host_rows_.upload(to.samples, to.width, to.data, to.leading, [&](std::int64_t sample, std::span<float> values) {
      fill(random_.after(static_cast<std::uint64_t>(sample) * draws_of_sample), values);
    });
    random_ = random_.after(task_.samples * draws_of_sample);
  }

  void list_chunks() {
    for (std::size_t i = 0; i < task_.steps.size(); ++i) {
      const PropagateStep& step = task_.steps[i];
      if (step.kind != Kind::linear) continue;
      const std::size_t width = flow_[flow_[i].a].width;
      const std::int64_t rows = weight_chunk_rows(step, width);
      for (std::int64_t first = 0; first < step.rows; first += rows) {
        chunks_.push_back(
            {&step, first, std::min<std::int64_t>(rows, step.rows - first), static_cast<std::int64_t>(width), device_dtype(*step.weight)});
      }
    }
  }

  std::byte* slot_of(std::size_t chunk) const { return memory_.raw_weights[chunk % weight_slots]; }

  // The slot must be free. Weights that the CPU decodes are its own to load, when they are needed.
  void start_loading(std::size_t index) {
    if (index >= chunks_.size() || !chunks_[index].dtype) return;
    WeightChunk& chunk = chunks_[index];
    const FileRange& range = chunk.step->weight->range;
    const auto row_bytes = static_cast<std::uint64_t>(chunk.width) * byte_size(*chunk.dtype);
    const std::uint64_t bytes = static_cast<std::uint64_t>(chunk.rows) * row_bytes;
    chunk.loaded = std::make_shared<Countdown>(Uploader::chunks(bytes));
    services_.uploader.upload(services_.files.source(range), range.offset + static_cast<std::uint64_t>(chunk.first_row) * row_bytes, bytes,
                              slot_of(index), stream_, task_.name, chunk.loaded);
  }

  void multiply_by_weights(const PropagateStep& step) {
    const SampleMatrix to = out();
    SplitRows samples = memory_.samples;
    samples.leading = operand_leading(flow_[flow_[index_].a].width);
    split_samples(a(), samples, stream_);
    const float* bias = vector(step.bias, memory_.bias);
    const std::unique_ptr<ValueDecoder> decoder = device_dtype(*step.weight) ? nullptr : decoder_of(*step.weight);
    for (; next_chunk_ < chunks_.size() && chunks_[next_chunk_].step == &step; ++next_chunk_) {
      const WeightChunk& chunk = chunks_[next_chunk_];
      tick(static_cast<double>(chunk.first_row) / static_cast<double>(step.rows));
      auto* raw = slot_of(next_chunk_);
      if (chunk.loaded) {
        if (!chunk.loaded->wait(services_.stop)) throw Cancelled{};
      } else {
        host_rows_.upload(chunk.rows, chunk.width, reinterpret_cast<float*>(raw), chunk.width,
                          [&](std::int64_t row, std::span<float> values) {
                            decoder->read_finite(static_cast<std::uint64_t>((chunk.first_row + row) * chunk.width), values);
                          });
      }
      const BusyClock::Interval busy(services_.busy);
      multiply_chunk(chunk, raw, samples, bias, to);
      check(cudaStreamSynchronize(stream_), "multiplying samples by weights");
      start_loading(next_chunk_ + weight_slots);
    }
  }

  void multiply_chunk(const WeightChunk& chunk, const std::byte* raw, const SplitRows& samples, const float* bias,
                      const SampleMatrix& to) const {
    const SourceDtype dtype = chunk.dtype.value_or(SourceDtype::f32);
    SplitRows weights = memory_.weights;
    weights.leading = samples.leading;
    if (dtype != SourceDtype::f32) weights.low = nullptr;
    // What the CPU decodes has its factor already. Elsewhere the product is multiplied, since a half may not hold what a weight would be.
    const float factor = chunk.dtype ? static_cast<float>(chunk.step->weight->scale) : 1.0F;
    const auto width = static_cast<int>(chunk.width);
    const auto rows = static_cast<int>(chunk.rows);
    const auto first = static_cast<int>(chunk.first_row);
    split_weights(raw, dtype, chunk.rows, width, weights, stream_);
    product({.rows = to.samples,
             .columns = rows,
             .depth = width,
             .a = {},
             .b = {},
             .c = to.data + first,
             .c_leading = to.leading,
             .alpha = factor},
            samples, weights);
    finish_product(to, first, rows, samples.unscale, weights.unscale, bias, stream_);
  }

  // C = A · Bᵀ of the sums of halves, without what two low halves would add.
  void product(Gemm shape, const SplitRows& rows, const SplitRows& columns) const {
    const auto add = [&](const __half* a, const __half* b) {
      shape.a = {a, rows.leading};
      shape.b = {b, columns.leading};
      gemm(shape, services_.path, stream_);
      shape.beta = 1;
    };
    shape.beta = 0;
    add(rows.high, columns.high);
    add(rows.low, columns.high);
    if (columns.low != nullptr) add(rows.high, columns.low);
  }

  void slice(const PropagateStep& step) const {
    const SampleMatrix from = a();
    const SampleMatrix to = out();
    check(cudaMemcpy2DAsync(to.data, static_cast<std::size_t>(to.leading) * sizeof(float),
                            from.data + static_cast<std::int64_t>(to.width) * step.part,
                            static_cast<std::size_t>(from.leading) * sizeof(float), static_cast<std::size_t>(to.width) * sizeof(float),
                            static_cast<std::size_t>(to.samples), cudaMemcpyDeviceToDevice, stream_),
          "copying samples");
  }

  void shuffle() {
    const std::vector<std::size_t> drawn = draw_order(random_, task_.samples);
    const std::vector<std::int32_t> order(drawn.begin(), drawn.end());
    check(cudaMemcpyAsync(memory_.order, order.data(), order.size() * sizeof(std::int32_t), cudaMemcpyHostToDevice, stream_),
          "copying to the GPU");
    shuffle_samples(a(), memory_.order, out(), stream_);
  }

  void store(const PropagateStep& step) {
    const SampleMatrix in = a();
    mean_of_samples(in, memory_.mean, stream_);
    std::vector<float> mean(static_cast<std::size_t>(in.width));
    check(cudaMemcpyAsync(mean.data(), memory_.mean, mean.size() * sizeof(float), cudaMemcpyDeviceToHost, stream_), "copying from the GPU");
    check(cudaStreamSynchronize(stream_), "propagating samples");
    services_.files.output().write(step.mean_offset, std::as_bytes(std::span(mean)), task_.name);
    if (step.stores_samples) {
      send(in.samples, std::int64_t{in.width} * 2, step.offset,
           [&](int first, int count, std::byte* to) { samples_as_bf16(in, first, count, reinterpret_cast<std::uint16_t*>(to), stream_); });
    } else {
      store_moment(in, step.offset);
    }
  }

  void store_moment(const SampleMatrix& in, std::uint64_t offset) {
    const SampleMatrix columns{memory_.transposed, value_leading(task_.samples), in.width, in.samples};
    transpose_samples(in, columns, stream_);
    SplitRows operand = memory_.samples;
    operand.leading = operand_leading(task_.samples);
    split_samples(columns, operand, stream_);
    const std::int64_t leading = value_leading(static_cast<std::size_t>(in.width));
    product({.rows = in.width,
             .columns = in.width,
             .depth = in.samples,
             .a = {},
             .b = {},
             .c = memory_.square,
             .c_leading = leading,
             .triangle = Triangle::lower},
            operand, operand);
    const float factor = 1.0F / static_cast<float>(in.samples);
    send(in.width, std::int64_t{in.width} * 4, offset, [&](int first, int count, std::byte* to) {
      finish_moment(memory_.square, leading, in.width, operand.unscale, factor, first, count, reinterpret_cast<float*>(to), stream_);
    });
  }

  // Rows to the file, as many at a time as leave together. make(first, count, to) enqueues what puts them at `to`, without gaps.
  template <typename Make>
  void send(std::int64_t rows, std::int64_t row_bytes, std::uint64_t offset, const Make& make) {
    for (std::int64_t first = 0; first < rows; first += outbox_rows(row_bytes)) {
      tick(static_cast<double>(first) / static_cast<double>(rows));
      const std::int64_t count = std::min(outbox_rows(row_bytes), rows - first);
      std::byte* const to = memory_.outbox[next_outbox_];
      std::shared_ptr<Countdown>& left = leaving_[next_outbox_];
      next_outbox_ = (next_outbox_ + 1) % outbox_slots;
      if (left && !left->wait(services_.stop)) throw Cancelled{};
      make(static_cast<int>(first), static_cast<int>(count), to);
      check(cudaStreamSynchronize(stream_), "propagating samples");
      const auto bytes = static_cast<std::uint64_t>(count * row_bytes);
      left = std::make_shared<Countdown>(Uploader::chunks(bytes));
      services_.downloader.download(to, bytes, services_.files.output(), offset + static_cast<std::uint64_t>(first * row_bytes), task_.name,
                                    [left] { left->count_down(); });
    }
  }

  const PropagateTask& task_;
  const PropagationServices& services_;
  const cudaStream_t stream_;
  const std::vector<PropagationFlow> flow_;
  Bump bump_;
  const PropagationMemory memory_;
  Random random_;
  HostRows host_rows_;
  std::vector<WeightChunk> chunks_;
  std::size_t next_chunk_ = 0;
  std::array<std::shared_ptr<Countdown>, outbox_slots> leaving_;
  std::size_t next_outbox_ = 0;
  std::size_t index_ = 0;  // of the step that runs
};

}  // namespace

void propagate_on_device(const PropagateTask& task, void* memory, const PropagationServices& services) {
  DevicePropagation(task, memory, services).run();
}

}  // namespace fp8::cuda
