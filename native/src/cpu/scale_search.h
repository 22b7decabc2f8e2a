// The scales that learned rounding takes, and how they are spread over the elements of a matrix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/scale_table.h"
#include "cpu/context.h"
#include "cpu/scaled_matrix.h"
#include "fp8/job.h"
#include "fp8/storage.h"

namespace fp8 {

// Of a few scales from each block's own up to nearly twice as much, those with the least error of nearest rounding, weighted by the
// columns' weights in the objective plus damping: floating grids lose little at their small end, and large weights may fall closer to their
// values. Whole numbers and powers of two stay as they are. `source` is the matrix that `matrix` was made from, in units of table.unit.
ScaleTable search_scales(const CodeStorage& storage, const ScaleTable& table, std::span<const std::byte> source, SourceDtype dtype,
                         const ScaledMatrix& matrix, double damping, Context& context);

// In units of table.unit, for every row of the matrix.
ElementScales spread_scales(const ScaleTable& table, std::size_t rows);

std::uint64_t scale_table_bytes(const ScaleShape& shape, std::uint64_t rows);

}  // namespace fp8
