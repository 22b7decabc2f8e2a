// ScaleTable: the scale of every block of a matrix, as a number and as it is stored. One block is the whole matrix where it has one scale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fp8/job.h"
#include "fp8/storage.h"

namespace fp8 {

struct ScaleTable {
  ScaleShape shape;
  // What a code is multiplied by, row-major.
  std::vector<float> values;
  // Of the forms that take one byte.
  std::vector<std::uint8_t> codes;
  // Of the whole tensor, which is in `values` already; 1 unless scales are E4M3.
  float tensor_scale = 1;
  // A power of two near the scale that the whole matrix would have.
  float unit = 1;
};

// What a block of zeros has at most, in units; its codes stay zero with any.
inline constexpr float largest_scale_in_units = 0x1p100F;

// The scales of nearest rounding: those with which the largest magnitude of each block is the grid's largest value. 1 where it is 0.
// F32 scales are rounded up to BF16; E8M0 is rounded up; E4M3 is rounded to nearest after division by the scale of the tensor, amax ÷ (448
// · the grid's largest), but is never 0. A block's scale is never below 2⁻¹²⁰ of the unit.
ScaleTable nearest_scales(const CodeStorage& storage, const ScaleShape& shape, std::span<const float> largest_magnitudes);

// The scales in the file's form and order, padding included.
std::vector<std::byte> stored_scales(const CodeStorage& storage, const ScaleTable& table);

// The F32 scale of the tensor as its storage has it, itself or its inverse.
float stored_tensor_scale(const CodeStorage& storage, const ScaleTable& table);

}  // namespace fp8
