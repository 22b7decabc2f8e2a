// One DifferenceTask: the values of one tensor against those of another, whatever their dtypes.
#pragma once

#include "core/file_range.h"
#include "cpu/context.h"
#include "fp8/backend.h"

namespace fp8 {

// Reports Compared. Throws Error or Cancelled.
void run_difference_task(const DifferenceTask& task, const JobFiles& files, Observer& observer, Context& context);

std::uint64_t difference_task_bytes(std::size_t threads);

}  // namespace fp8
