#include "cpu/scale_search.h"

#include <algorithm>
#include <bit>

#include "core/scale_candidates.h"
#include "core/stop.h"
#include "cpu/kernels.h"
#include "fp8/fp8.h"

namespace fp8 {

namespace {

float truncated_to_bf16(float value) { return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0xFFFF0000U); }

ScaleCandidates candidates_of(const CodeStorage& storage, const ScaleTable& table, std::size_t index) {
  if (storage.scale_form == ScaleForm::e4m3) return e4m3_scale_candidates(table.codes[index], table.tensor_scale, decode_e4m3);
  return f32_scale_candidates(table.values[index], grid_of(storage.grid).largest, truncated_to_bf16);
}

}  // namespace

ScaleTable search_scales(const CodeStorage& storage, const ScaleTable& table, std::span<const std::byte> source, SourceDtype dtype,
                         const ScaledMatrix& matrix, double damping, Context& context) {
  if (!has_scale_candidates(storage)) return table;
  const auto columns_of_block = static_cast<std::size_t>(table.shape.block_columns);
  const auto per_row = static_cast<std::size_t>(table.shape.columns);
  std::vector<float> weights(matrix.columns);
  for (std::size_t c = 0; c < matrix.columns; ++c) weights[c] = static_cast<float>(matrix.column_weights[c] + damping);
  ScaleTable best = table;
  context.pool.parallel_for(static_cast<std::size_t>(table.shape.rows), context.stop, [&](std::size_t block_row) {
    std::vector<ScaleCandidates> candidates(per_row);
    std::vector<double> errors(per_row * ScaleCandidates::most, 0.0);
    for (std::size_t b = 0; b < per_row; ++b) candidates[b] = candidates_of(storage, table, block_row * per_row + b);
    Buffer<float> row(matrix.columns);
    const Block rows = block_at(block_row, static_cast<std::size_t>(table.shape.block_rows), matrix.rows);
    for (std::size_t r = rows.begin; r < rows.end; ++r) {
      if (r % 64 == 0) throw_if_stopped(context.stop);
      kernels().decode_scaled(source.data() + r * matrix.columns * byte_size(dtype), dtype, matrix.columns, table.unit, row.data());
      for (std::size_t b = 0; b < per_row; ++b) {
        const Block columns = block_at(b, columns_of_block, matrix.columns);
        for (int k = 0; k < candidates[b].count; ++k) {
          errors[b * ScaleCandidates::most + static_cast<std::size_t>(k)] +=
              kernels().weighted_error(row.data() + columns.begin, weights.data() + columns.begin, columns.size(),
                                       candidates[b].values[k] / table.unit, matrix.grid);
        }
      }
    }
    for (std::size_t b = 0; b < per_row; ++b) {
      const double* of_block = errors.data() + b * ScaleCandidates::most;
      int least = 0;
      for (int k = 1; k < candidates[b].count; ++k) {
        if (of_block[k] < of_block[least]) least = k;
      }
      best.values[block_row * per_row + b] = candidates[b].values[least];
      if (!best.codes.empty()) best.codes[block_row * per_row + b] = candidates[b].codes[least];
    }
  });
  return best;
}

ElementScales spread_scales(const ScaleTable& table, std::size_t rows) {
  ElementScales scales;
  const auto per_row = static_cast<std::size_t>(table.shape.columns);
  const auto block_rows = static_cast<std::size_t>(table.shape.block_rows);
  scales.stride = padded_stride(rows);
  scales.block_columns = static_cast<std::size_t>(table.shape.block_columns);
  scales.values = Buffer<float>(per_row * scales.stride);
  for (std::size_t b = 0; b < per_row; ++b) {
    float* out = scales.values.data() + b * scales.stride;
    for (std::size_t r = 0; r < rows; ++r)
      out[r] = std::min(table.values[r / block_rows * per_row + b] / table.unit, largest_scale_in_units);
    std::fill(out + rows, out + scales.stride, 1.0F);
  }
  return scales;
}

std::uint64_t scale_table_bytes(const ScaleShape& shape, std::uint64_t rows) {
  const std::uint64_t spread = shape.columns * padded_stride(static_cast<std::size_t>(rows)) * sizeof(float);
  return 2 * (shape.count() * (sizeof(float) + 1) + spread);
}

}  // namespace fp8
