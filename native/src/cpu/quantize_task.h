// One QuantizeTask on the CPU, from its source range to its codes and scale in the output.
#pragma once

#include "core/file_range.h"
#include "cpu/context.h"
#include "fp8/backend.h"

namespace fp8 {

// Reports Quantized or NonFinite. Throws Error or Cancelled.
void run_quantize_task(const QuantizeTask& task, const JobFiles& files, Observer& observer, Context& context);

// Memory that the task holds at its peak.
std::uint64_t quantize_task_bytes(const QuantizeTask& task, std::size_t threads);

}  // namespace fp8
