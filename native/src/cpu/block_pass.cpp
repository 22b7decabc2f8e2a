#include "cpu/block_pass.h"

#include <algorithm>

namespace fp8 {

Block block_rows_of(const ScaleShape& shape, Block rows) {
  const auto size = static_cast<std::size_t>(shape.block_rows);
  return {rows.begin / size, rows.size() == 0 ? rows.begin / size : (rows.end - 1) / size + 1};
}

Scan scan_rows(const std::byte* source, SourceDtype dtype, Block rows, std::size_t columns, const ScaleShape& shape, float* largest) {
  const auto per_row = static_cast<std::size_t>(shape.columns);
  const std::size_t first = block_rows_of(shape, rows).begin;
  Scan total;
  for (std::size_t r = rows.begin; r < rows.end; ++r) {
    const std::byte* row = source + (r - rows.begin) * columns * byte_size(dtype);
    float* of_row = largest + (r / static_cast<std::size_t>(shape.block_rows) - first) * per_row;
    for (std::size_t b = 0; b < per_row; ++b) {
      const Block part = block_at(b, static_cast<std::size_t>(shape.block_columns), columns);
      const Scan scan = kernels().scan(row + part.begin * byte_size(dtype), dtype, part.size());
      of_row[b] = std::max(of_row[b], scan.largest_magnitude);
      total.largest_magnitude = std::max(total.largest_magnitude, scan.largest_magnitude);
      total.non_finite += scan.non_finite;
    }
  }
  return total;
}

RoundingError quantize_rows(const std::byte* source, SourceDtype dtype, Block rows, std::size_t columns, CodeGrid grid,
                            const ScaleTable& table, std::uint8_t* codes) {
  const auto per_row = static_cast<std::size_t>(table.shape.columns);
  RoundingError total;
  for (std::size_t r = rows.begin; r < rows.end; ++r) {
    const std::byte* row = source + (r - rows.begin) * columns * byte_size(dtype);
    std::uint8_t* out = codes + (r - rows.begin) * columns;
    const float* scales = table.values.data() + r / static_cast<std::size_t>(table.shape.block_rows) * per_row;
    for (std::size_t b = 0; b < per_row; ++b) {
      const Block part = block_at(b, static_cast<std::size_t>(table.shape.block_columns), columns);
      const RoundingError error =
          kernels().quantize(row + part.begin * byte_size(dtype), dtype, part.size(), scales[b], grid, out + part.begin);
      const double scale = static_cast<double>(scales[b] / table.unit);
      total.squared_error += error.squared_error * scale * scale;
      total.squared_value += error.squared_value * scale * scale;
    }
  }
  return total;
}

}  // namespace fp8
