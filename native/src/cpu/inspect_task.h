// One InspectTask: what a tensor's values are like, in two passes over its range with memory that does not depend on its size.
#pragma once

#include "core/file_range.h"
#include "cpu/context.h"
#include "fp8/backend.h"

namespace fp8 {

// Reports Inspected. Throws Error or Cancelled.
void run_inspect_task(const InspectTask& task, const JobFiles& files, Observer& observer, Context& context);

std::uint64_t inspect_task_bytes(const InspectTask& task, std::size_t threads);

}  // namespace fp8
