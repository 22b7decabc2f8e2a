// One CheckStatisticsTask: whether recorded statistics can steer rounding, before anything is converted with them on any device.
#pragma once

#include "core/file_range.h"
#include "cpu/context.h"
#include "fp8/backend.h"

namespace fp8 {

// Reports Checked. Throws Error or Cancelled.
void run_check_statistics_task(const CheckStatisticsTask& task, const JobFiles& files, Observer& observer, Context& context);

std::uint64_t check_statistics_task_bytes(const CheckStatisticsTask& task);

}  // namespace fp8
