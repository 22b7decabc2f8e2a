// Turns a stop request into the Cancelled exception.
#pragma once

#include <stop_token>

#include "fp8/error.h"

namespace fp8 {

inline void throw_if_stopped(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Cancelled{};
}

}  // namespace fp8
