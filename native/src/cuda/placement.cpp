#include "placement.h"

#include <algorithm>
#include <cstdlib>

#include "check.h"
#include "term_stream.h"

namespace fp8::cuda {

std::string mebibytes(std::int64_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

std::optional<std::int64_t> memory_limit() {
  const char* text = std::getenv("FP8_DEVICE_MEMORY_MIB");
  const long long value = text == nullptr ? 0 : std::atoll(text);
  if (value <= 0) return std::nullopt;
  return static_cast<std::int64_t>(value) << 20;
}

int compute_capability(int ordinal) {
  int major = 0;
  int minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ordinal), "cudaDeviceGetAttribute");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, ordinal), "cudaDeviceGetAttribute");
  return major * 10 + minor;
}

double work_of(const QuantizeTask& task) {
  const auto rows = static_cast<double>(task.rows);
  const auto columns = static_cast<double>(task.columns);
  if (task.rounding == Rounding::nearest) return rows * columns;
  const double both_sides = task.outputs ? 64 * rows * columns * std::max(rows, columns) : 0;
  return 8 * rows * columns * columns + columns * columns * columns + both_sides;
}

const char* reason_for_cpu(const QuantizeTask& task) {
  if (task.codes) return "Sources that are quantized themselves are rounded again on the CPU.";
  if (task.rounding == Rounding::tpec) return "tpec, the reference optimiser, runs on the CPU.";
  const bool reads_all = reads_values_of(task.inputs) && (!task.outputs || reads_values_of(*task.outputs));
  if (task.rounding == Rounding::learned && !reads_all)
    return "Statistics of other dtypes than F32, F16 and BF16 are the CPU's to round by.";
  return nullptr;
}

}  // namespace fp8::cuda
