#include "cpu/scale_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/stop.h"
#include "cpu/grid.h"
#include "cpu/kernels.h"
#include "fp8/fp8.h"

namespace fp8 {

namespace {

// The smallest scale of a block, in units: what is smaller would leave binary32's range in these units.
constexpr float smallest_scale = 0x1p-120F;
// What a block of zeros has at most, in units; its codes stay zero with any.
constexpr float largest_scale = 0x1p100F;

float power_of_two_below(float value) { return static_cast<float>(std::exp2(std::ilogb(value))); }

// A divisor is the inverse of a power of two: dividing by it is then as exact as multiplying.
float tensor_scale_of(TensorScaleForm form, float largest, float largest_code) {
  const float scale = scale_of(largest, e4m3_max * largest_code);
  if (form == TensorScaleForm::factor) return scale;
  const float below = std::max(power_of_two_below(scale), 0x1p-126F);
  return below < scale ? 2 * below : below;
}

std::uint8_t e4m3_code_of(float scale, float tensor_scale) {
  const std::uint8_t code = encode_e4m3(scale / tensor_scale);
  return std::max<std::uint8_t>(code, 1);
}

void set_code(const CodeStorage& storage, std::size_t index, std::uint8_t code, ScaleTable& table) {
  table.codes[index] = code;
  table.values[index] = storage.scale_form == ScaleForm::e8m0 ? decode_e8m0(code) : decode_e4m3(code) * table.tensor_scale;
}

// What a block's scale may be, its own first. Never less: to cut off a block's largest weights lowers the sum of squared errors of a block
// of whole numbers, but moves the model's predictions further than it gains.
struct Candidates {
  static constexpr std::size_t most = 8;
  std::size_t count = 0;
  float values[most];
  std::uint8_t codes[most];
};

Candidates candidates_of(const CodeStorage& storage, const ScaleTable& table, std::size_t index) {
  Candidates out;
  const auto add = [&](float value, std::uint8_t code) {
    out.values[out.count] = value;
    out.codes[out.count++] = code;
  };
  const float own = table.values[index];
  if (storage.scale_form == ScaleForm::e4m3) {
    const int code = table.codes[index];
    for (int other = code; other <= std::min(code + 5, 0x7E); ++other) {
      add(decode_e4m3(static_cast<std::uint8_t>(other)) * table.tensor_scale, static_cast<std::uint8_t>(other));
    }
    return out;
  }
  constexpr float factors[] = {1.0F, 1.1F, 1.2F, 1.32F, 1.45F, 1.6F, 1.75F};
  for (const float factor : factors) {
    const float scaled = std::bit_cast<float>(std::bit_cast<std::uint32_t>(own * factor) & 0xFFFF0000U);
    if (std::isfinite(scaled * grid_of(storage.grid).largest)) add(scaled, 0);
  }
  return out;
}

}  // namespace

ScaleTable nearest_scales(const CodeStorage& storage, const ScaleShape& shape, std::span<const float> largest_magnitudes) {
  const float grid_largest = grid_of(storage.grid).largest;
  const float largest = largest_magnitudes.empty() ? 0 : *std::max_element(largest_magnitudes.begin(), largest_magnitudes.end());
  ScaleTable table;
  table.shape = shape;
  table.values.resize(largest_magnitudes.size());
  table.unit = power_of_two_below(scale_of(largest, grid_largest));
  const float floor = table.unit * smallest_scale;
  const std::uint8_t floor_code = floor == 0 ? 0 : e8m0_scale(floor, 1);
  if (storage.scale_form == ScaleForm::e4m3) {
    table.tensor_scale = tensor_scale_of(storage.tensor_scale_form, largest, grid_largest);
  }
  if (byte_size(storage.scale_form) == 1) table.codes.resize(table.values.size());
  for (std::size_t i = 0; i < table.values.size(); ++i) {
    const float magnitude = largest_magnitudes[i];
    switch (storage.scale_form) {
      case ScaleForm::e8m0:
        set_code(storage, i, magnitude == 0 ? 127 : std::max(e8m0_scale(magnitude, grid_largest), floor_code), table);
        break;
      case ScaleForm::e4m3:
        set_code(storage, i, magnitude == 0 ? encode_e4m3(1) : e4m3_code_of(magnitude / grid_largest, table.tensor_scale), table);
        break;
      default:
        table.values[i] = magnitude == 0 ? 1 : std::max(scale_of(magnitude, grid_largest), floor);
    }
  }
  return table;
}

ScaleTable search_scales(const CodeStorage& storage, const ScaleTable& table, std::span<const std::byte> source, SourceDtype dtype,
                         const ScaledMatrix& matrix, double damping, Context& context) {
  // A larger scale of whole numbers or of a power of two is only coarser.
  if (storage.grid == CodeGrid::int8 || storage.scale_form == ScaleForm::e8m0) return table;
  const auto columns_of_block = static_cast<std::size_t>(table.shape.block_columns);
  const auto per_row = static_cast<std::size_t>(table.shape.columns);
  std::vector<float> weights(matrix.columns);
  for (std::size_t c = 0; c < matrix.columns; ++c) weights[c] = static_cast<float>(matrix.column_weights[c] + damping);
  ScaleTable best = table;
  context.pool.parallel_for(static_cast<std::size_t>(table.shape.rows), context.stop, [&](std::size_t block_row) {
    std::vector<Candidates> candidates(per_row);
    std::vector<double> errors(per_row * Candidates::most, 0.0);
    for (std::size_t b = 0; b < per_row; ++b) candidates[b] = candidates_of(storage, table, block_row * per_row + b);
    Buffer<float> row(matrix.columns);
    const Block rows = block_at(block_row, static_cast<std::size_t>(table.shape.block_rows), matrix.rows);
    for (std::size_t r = rows.begin; r < rows.end; ++r) {
      if (r % 64 == 0) throw_if_stopped(context.stop);
      kernels().decode_scaled(source.data() + r * matrix.columns * byte_size(dtype), dtype, matrix.columns, table.unit, row.data());
      for (std::size_t b = 0; b < per_row; ++b) {
        const Block columns = block_at(b, columns_of_block, matrix.columns);
        for (std::size_t k = 0; k < candidates[b].count; ++k) {
          errors[b * Candidates::most + k] += kernels().weighted_error(row.data() + columns.begin, weights.data() + columns.begin,
                                                                       columns.size(), candidates[b].values[k] / table.unit, matrix.grid);
        }
      }
    }
    for (std::size_t b = 0; b < per_row; ++b) {
      const double* of_block = errors.data() + b * Candidates::most;
      std::size_t least = 0;
      for (std::size_t k = 1; k < candidates[b].count; ++k) {
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
    for (std::size_t r = 0; r < rows; ++r) out[r] = std::min(table.values[r / block_rows * per_row + b] / table.unit, largest_scale);
    std::fill(out + rows, out + scales.stride, 1.0F);
  }
  return scales;
}

std::uint64_t scale_table_bytes(const ScaleShape& shape, std::uint64_t rows) {
  const std::uint64_t spread = shape.columns * padded_stride(static_cast<std::size_t>(rows)) * sizeof(float);
  return 2 * (shape.count() * (sizeof(float) + 1) + spread);
}

}  // namespace fp8
