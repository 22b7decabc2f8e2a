// One CorrectBiasTask: b + (W − Q) μ, so that a layer's mean output stays what it was before its weights were rounded.
#pragma once

#include "core/file_range.h"
#include "cpu/context.h"
#include "fp8/backend.h"

namespace fp8 {

// Reports Compared. Throws Error or Cancelled.
void run_correct_bias_task(const CorrectBiasTask& task, const JobFiles& files, Observer& observer, Context& context);

std::uint64_t correct_bias_task_bytes(const CorrectBiasTask& task, std::size_t threads);

}  // namespace fp8
