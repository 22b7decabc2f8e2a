// Propagated statistics: seeded samples are sent through a model's own weights, step by step, and described where they enter a layer.
#pragma once

#include "core/file_range.h"
#include "cpu/context.h"
#include "fp8/backend.h"
#include "fp8/job.h"

namespace fp8 {

// Writes what its store steps say, then reports Copied.
void run_propagate_task(const PropagateTask& task, const JobFiles& files, Observer& observer, Context& context);

// What it holds at its peak.
std::uint64_t propagate_task_bytes(const PropagateTask& task);

}  // namespace fp8
