// How much memory a process may still take on this machine, so that a tensor that cannot fit is refused before the system kills the
// process.
#pragma once

#include <cstdint>
#include <optional>

namespace fp8 {

// The smaller of the machine's available memory and what the control group leaves; nothing where neither is known.
std::optional<std::uint64_t> memory_available();
std::optional<std::uint64_t> memory_total();

}  // namespace fp8
