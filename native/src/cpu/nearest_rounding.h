// Nearest rounding of a whole matrix, from file to file.
#pragma once

#include <cstdint>

#include "cpu/quantize_run.h"

namespace fp8 {

// Ends with the run's report, of the codes or of values that are not finite.
void round_to_nearest(QuantizeRun& run);

std::uint64_t nearest_rounding_bytes(const QuantizeTask& task, std::size_t threads);

}  // namespace fp8
