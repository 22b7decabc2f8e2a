// One CompareTask: a converted tensor against its source, byte for byte or dequantized.
#pragma once

#include "core/file_range.h"
#include "cpu/context.h"
#include "fp8/backend.h"

namespace fp8 {

// Reports Compared. Throws Error or Cancelled.
void run_compare_task(const CompareTask& task, const JobFiles& files, Observer& observer, Context& context);

std::uint64_t compare_task_bytes(const CompareTask& task, std::size_t threads);

}  // namespace fp8
