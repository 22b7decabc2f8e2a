// What the GPU can do: which tasks are its own, how much work they are, and how much of its memory they may take.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fp8/job.h"

namespace fp8::cuda {

// With what the context itself takes, a job stays within 8 GB.
inline constexpr std::int64_t default_budget_bytes = std::int64_t{6656} << 20;

std::string mebibytes(std::int64_t bytes);

// FP8_DEVICE_MEMORY_MIB: what a job may take at most, instead of the default.
std::optional<std::int64_t> memory_limit();

// E.g. 90 for 9.0.
int compute_capability(int ordinal);

double work_of(const QuantizeTask& task);

// Why a matrix is the CPU's, or nothing where the GPU rounds it.
const char* reason_for_cpu(const QuantizeTask& task);

}  // namespace fp8::cuda
