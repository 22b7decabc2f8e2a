// One tensor on the GPU, from its bytes in device memory to its codes in device memory.
#pragma once

#include <cstdint>
#include <optional>

#include "core/scale_table.h"
#include "fp8/job.h"
#include "learned_rounding.h"

namespace fp8::cuda {

struct DeviceNeeds {
  std::int64_t source = 0;
  std::int64_t codes = 0;  // as they are stored
  std::int64_t work = 0;
  std::int64_t row_block = 0;
};

// What the task needs within `capacity` bytes, the solver's rows in as few blocks as that allows; nothing where it does not fit.
std::optional<DeviceNeeds> needs_within(const QuantizeTask& task, std::int64_t capacity);

struct DeviceResult {
  std::uint64_t non_finite = 0;  // then there are no codes
  ScaleTable scales;             // that the codes are for
  float unit = 1;                // of the numbers below
  LearnedResult learned;         // of rounding `nearest`, the sums alone
};

// Returns when the codes are complete.
DeviceResult quantize_on_device(const QuantizeTask& task, const DeviceNeeds& needs, const void* source, std::uint8_t* codes, void* work,
                                const Execution& execution);

}  // namespace fp8::cuda
