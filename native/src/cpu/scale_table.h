// ScaleTable: the scale of every block of a matrix, as a number and as it is stored. One block is the whole matrix where it has one scale.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cpu/context.h"
#include "cpu/scaled_matrix.h"
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

// The scales of nearest rounding: those with which the largest magnitude of each block is the grid's largest value. 1 where it is 0.
// F32 scales are rounded up to BF16; E8M0 is rounded up; E4M3 is rounded to nearest after division by the scale of the tensor, amax ÷ (448
// · the grid's largest), but is never 0. A block's scale is never below 2⁻¹²⁰ of the unit.
ScaleTable nearest_scales(const CodeStorage& storage, const ScaleShape& shape, std::span<const float> largest_magnitudes);

// Of a few scales from each block's own up to nearly twice as much, those with the least error of nearest rounding, weighted by the
// columns' weights in the objective plus damping: floating grids lose little at their small end, and large weights may fall closer to their
// values. Whole numbers and powers of two stay as they are. `source` is the matrix that `matrix` was made from, in units of table.unit.
ScaleTable search_scales(const CodeStorage& storage, const ScaleTable& table, std::span<const std::byte> source, SourceDtype dtype,
                         const ScaledMatrix& matrix, double damping, Context& context);

// In units of table.unit, for every row of the matrix.
ElementScales spread_scales(const ScaleTable& table, std::size_t rows);

std::uint64_t scale_table_bytes(const ScaleShape& shape, std::uint64_t rows);

}  // namespace fp8
