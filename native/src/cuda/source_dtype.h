// Which dtypes the GPU decodes by itself.
#pragma once

#include <optional>

#include "fp8/job.h"

namespace fp8::cuda {

constexpr std::optional<SourceDtype> source_dtype(ValueDtype dtype) {
  switch (dtype) {
    case ValueDtype::f32:
      return SourceDtype::f32;
    case ValueDtype::f16:
      return SourceDtype::f16;
    case ValueDtype::bf16:
      return SourceDtype::bf16;
    default:
      return std::nullopt;
  }
}

}  // namespace fp8::cuda
