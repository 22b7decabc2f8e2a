// Passes over the rows of a matrix with many scales: the largest magnitude of each block, and nearest rounding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/scale_table.h"
#include "cpu/context.h"
#include "cpu/kernels.h"
#include "fp8/job.h"
#include "fp8/storage.h"

namespace fp8 {

// Raises the entry of each block that `rows` touch to the largest finite magnitude in them; `source` holds these rows alone. Returns the
// scan of all of them. `largest` has an entry for each block from the one of the first row on.
Scan scan_rows(const std::byte* source, SourceDtype dtype, Block rows, std::size_t columns, const ScaleShape& shape, float* largest);

// Codes of `rows`, one byte each. Squares are in units of table.unit.
RoundingError quantize_rows(const std::byte* source, SourceDtype dtype, Block rows, std::size_t columns, CodeGrid grid,
                            const ScaleTable& table, std::uint8_t* codes);

// The blocks that `rows` touch.
Block block_rows_of(const ScaleShape& shape, Block rows);

}  // namespace fp8
