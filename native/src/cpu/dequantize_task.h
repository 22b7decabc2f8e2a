// A DequantizeTask on the CPU: values of any dtype, or codes with their scales, are written as numbers of one of the source dtypes.
#pragma once

#include "core/file_range.h"
#include "cpu/context.h"
#include "fp8/backend.h"
#include "fp8/job.h"

namespace fp8 {

void run_dequantize_task(const DequantizeTask& task, const JobFiles& files, Observer& observer, Context& context);

std::uint64_t dequantize_task_bytes(const DequantizeTask& task, std::size_t threads);

}  // namespace fp8
