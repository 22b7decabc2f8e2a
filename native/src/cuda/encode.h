// From values to codes in the file's layout, with the sums that the report needs.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "fp8/job.h"

namespace fp8::cuda {

// In units of the scale.
struct CodeSums {
  double squared_error = 0;
  double squared_value = 0;
  std::uint64_t changed = 0;  // codes that differ from nearest rounding
};

// Doubles that `scratch` must hold for `count` elements.
std::int64_t encode_scratch(std::int64_t count);

// codes[i] = encode_e4m3(decode(source[i]) / scale); sums in device memory.
void encode_nearest(const void* source, SourceDtype dtype, std::int64_t count, float scale, std::uint8_t* codes, double* scratch,
                    CodeSums* sums, cudaStream_t stream);

// The same sums for given codes. A zero gets the sign of its value, as nearest rounding has it.
void finish_codes(const void* source, SourceDtype dtype, std::int64_t count, float scale, std::uint8_t* codes, double* scratch,
                  CodeSums* sums, cudaStream_t stream);

}  // namespace fp8::cuda
