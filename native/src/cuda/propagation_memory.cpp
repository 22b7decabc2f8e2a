#include "propagation_memory.h"

#include <algorithm>
#include <map>

#include "source_dtype.h"

namespace fp8::cuda {

namespace {

using Kind = PropagateStep::Kind;

constexpr std::int64_t weight_chunk_bytes = std::int64_t{32} << 20;
// Rows of a chunk: whole tiles of the product.
constexpr std::int64_t row_quantum = 128;
constexpr std::int64_t alignment = 1024;

std::int64_t element_bytes(const TensorValues& weight) {
  return weight.codes || !source_dtype(weight.dtype) ? 4 : static_cast<std::int64_t>(byte_size(weight.dtype));
}

// Offsets in a block that grows to what is needed: each piece takes the first gap.
class Places {
 public:
  std::int64_t take(std::int64_t bytes) {
    std::int64_t offset = 0;
    for (const auto& [begin, length] : used_) {
      if (begin - offset >= bytes) break;
      offset = begin + length;
    }
    used_.emplace(offset, bytes);
    peak_ = std::max(peak_, offset + bytes);
    return offset;
  }
  void give_back(std::int64_t offset) { used_.erase(offset); }
  std::int64_t peak() const { return peak_; }

 private:
  std::map<std::int64_t, std::int64_t> used_;  // offset → bytes
  std::int64_t peak_ = 0;
};

struct Sizes {
  std::int64_t raw_bytes = 0;
  std::int64_t weight_rows = 0;
  std::int64_t weight_elements = 0;
  std::int64_t sample_rows = 0;
  std::int64_t sample_elements = 0;
  std::int64_t widest = 0;  // of vectors
  std::int64_t transposed = 0;
  std::int64_t square = 0;
  std::int64_t outbox = 0;
};

Sizes sizes_of(const PropagateTask& task, const std::vector<PropagationFlow>& flow) {
  Sizes sizes;
  const auto samples = static_cast<std::int64_t>(task.samples);
  const auto at_least = [](std::int64_t& size, std::int64_t value) { size = std::max(size, value); };
  for (std::size_t i = 0; i < flow.size(); ++i) {
    const PropagateStep& step = task.steps[i];
    if (!reads_values(step)) continue;
    const std::size_t width = flow[flow[i].a].width;
    const auto columns = static_cast<std::int64_t>(width);
    at_least(sizes.widest, std::max<std::int64_t>(columns, step.rows));
    if (step.kind == Kind::linear) {
      const std::int64_t rows = weight_chunk_rows(step, width);
      at_least(sizes.raw_bytes, rows * columns * element_bytes(*step.weight));
      at_least(sizes.weight_rows, rows);
      at_least(sizes.weight_elements, rows * operand_leading(width));
      at_least(sizes.sample_rows, samples);
      at_least(sizes.sample_elements, samples * operand_leading(width));
    }
    if (step.kind != Kind::store) continue;
    at_least(sizes.outbox, std::max(outbox_bytes, columns * (step.stores_samples ? 2 : 4)));
    if (step.stores_samples) continue;
    at_least(sizes.sample_rows, columns);
    at_least(sizes.sample_elements, columns * operand_leading(task.samples));
    at_least(sizes.transposed, columns * value_leading(task.samples));
    at_least(sizes.square, columns * value_leading(width));
  }
  return sizes;
}

SplitRows split_rows(Bump& bump, std::int64_t rows, std::int64_t elements) {
  SplitRows out;
  out.high = bump.take<__half>(elements);
  out.low = bump.take<__half>(elements);
  out.unscale = bump.take<float>(rows);
  return out;
}

}  // namespace

std::int64_t weight_chunk_rows(const PropagateStep& step, std::size_t width) {
  const std::int64_t row_bytes = static_cast<std::int64_t>(width) * element_bytes(*step.weight);
  const std::int64_t fitting = std::max(row_quantum, weight_chunk_bytes / row_bytes / row_quantum * row_quantum);
  return std::min<std::int64_t>(fitting, step.rows);
}

std::int64_t outbox_rows(std::int64_t row_bytes) { return std::max<std::int64_t>(1, outbox_bytes / row_bytes); }

PropagationMemory::PropagationMemory(Bump& bump, const PropagateTask& task, const std::vector<PropagationFlow>& flow)
    : offsets(flow.size()) {
  Places places;
  for (std::size_t i = 0; i < flow.size(); ++i) {
    const bool reads = reads_values(task.steps[i]);
    const auto ends_here = [&](std::size_t maker) { return reads && flow[maker].last_reader == i; };
    const bool in_place = works_in_place(task.steps[i]) && ends_here(flow[i].a);
    if (in_place) {
      offsets[i] = offsets[flow[i].a];
    } else if (flow[i].width > 0) {
      const std::int64_t bytes = static_cast<std::int64_t>(task.samples) * value_leading(flow[i].width) * 4;
      offsets[i] = places.take(round_up(bytes, alignment));
    }
    if (ends_here(flow[i].a) && !in_place) places.give_back(offsets[flow[i].a]);
    if (flow[i].b != flow[i].a && ends_here(flow[i].b)) places.give_back(offsets[flow[i].b]);
    if (flow[i].width > 0 && flow[i].last_reader == i) places.give_back(offsets[i]);
  }
  values = bump.take<std::byte>(places.peak());
  const Sizes sizes = sizes_of(task, flow);
  for (std::byte*& slot : raw_weights) slot = bump.take<std::byte>(sizes.raw_bytes);
  weights = split_rows(bump, sizes.weight_rows, sizes.weight_elements);
  samples = split_rows(bump, sizes.sample_rows, sizes.sample_elements);
  gain = bump.take<float>(sizes.widest);
  bias = bump.take<float>(sizes.widest);
  mean = bump.take<float>(sizes.widest);
  order = bump.take<std::int32_t>(task.samples);
  transposed = bump.take<float>(sizes.transposed);
  square = bump.take<float>(sizes.square);
  for (std::byte*& slot : outbox) slot = bump.take<std::byte>(sizes.outbox);
}

SampleMatrix PropagationMemory::values_of(std::size_t step, const PropagateTask& task, const std::vector<PropagationFlow>& flow) const {
  const std::size_t width = flow[step].width;
  return {reinterpret_cast<float*>(values + offsets[step]), value_leading(width), static_cast<int>(task.samples), static_cast<int>(width)};
}

std::int64_t propagation_bytes(const PropagateTask& task) {
  Bump bump;
  const PropagationMemory memory(bump, task, flow_of(task));
  return bump.used();
}

}  // namespace fp8::cuda
