// PropagationMemory: where everything lies that sending samples through a model needs on the device. Without a block of memory, Bump tells
// the size.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bump.h"
#include "core/propagation.h"
#include "fp8/job.h"
#include "propagation_steps.h"

namespace fp8::cuda {

// Weights arrive in one of these while those before it are multiplied, and results leave from another while those behind it are computed.
inline constexpr std::size_t weight_slots = 3;
inline constexpr std::size_t outbox_slots = 4;
inline constexpr std::int64_t outbox_bytes = std::int64_t{16} << 20;

// Rows of a linear step's weights that are on the device at the same time.
std::int64_t weight_chunk_rows(const PropagateStep& step, std::size_t width);

// Rows of what a store step writes that leave at the same time.
std::int64_t outbox_rows(std::int64_t row_bytes);

// Elements between the rows of values and of operands.
constexpr std::int64_t value_leading(std::size_t width) { return round_up(static_cast<std::int64_t>(width), 4); }
constexpr std::int64_t operand_leading(std::size_t width) { return round_up(static_cast<std::int64_t>(width), 8); }

struct PropagationMemory {
  PropagationMemory(Bump& bump, const PropagateTask& task, const std::vector<PropagationFlow>& flow);

  // What a step makes. Steps whose values are not needed at the same time share memory.
  SampleMatrix values_of(std::size_t step, const PropagateTask& task, const std::vector<PropagationFlow>& flow) const;

  std::vector<std::int64_t> offsets;  // of what each step makes, from `values`
  std::byte* values;
  std::array<std::byte*, weight_slots> raw_weights;
  SplitRows weights;  // operands; their user sets `leading`
  SplitRows samples;
  float* gain;
  float* bias;
  float* mean;
  std::int32_t* order;
  float* transposed;
  float* square;
  std::array<std::byte*, outbox_slots> outbox;
};

// Throws Error{internal} as flow_of does.
std::int64_t propagation_bytes(const PropagateTask& task);

}  // namespace fp8::cuda
