// From values to codes in the file's layout, with the sums that the report needs.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "code_target.h"
#include "fp8/job.h"

namespace fp8::cuda {

// In units of the source's scale.
struct CodeSums {
  double squared_error = 0;
  double squared_value = 0;
  std::uint64_t changed = 0;  // codes that differ from nearest rounding
};

// Doubles that `scratch` must hold for `count` elements.
std::int64_t encode_scratch(std::int64_t count);

// A row-major matrix, of a source's dtype, and what its codes are: w ÷ (scale · the element's scale in the target) on the target's grid.
struct EncodeSource {
  const void* data = nullptr;
  SourceDtype dtype = SourceDtype::bf16;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  float scale = 1;
  CodeTarget target = {};
};

// codes: the code nearest to each element, one byte each, as fp8/fp8.h has it; sums in device memory.
void encode_nearest(const EncodeSource& source, std::uint8_t* codes, double* scratch, CodeSums* sums, cudaStream_t stream);

// The same sums for given codes, which are the solver's and become the file's. A zero gets the sign of its value, as nearest rounding has
// it.
void finish_codes(const EncodeSource& source, std::uint8_t* codes, double* scratch, CodeSums* sums, cudaStream_t stream);

}  // namespace fp8::cuda
