#include "core/scale_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/grid.h"
#include "fp8/fp8.h"

namespace fp8 {

namespace {

// The smallest scale of a block, in units: what is smaller would leave binary32's range in these units.
constexpr float smallest_scale = 0x1p-120F;

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

std::vector<std::byte> stored_scales(const CodeStorage& storage, const ScaleTable& table) {
  const auto size = static_cast<std::size_t>(byte_size(storage.scale_form));
  std::vector<std::byte> stored(static_cast<std::size_t>(stored_scale_count(storage, table.shape)) * size);
  for (std::uint64_t row = 0; row < table.shape.rows; ++row) {
    for (std::uint64_t column = 0; column < table.shape.columns; ++column) {
      const auto index = static_cast<std::size_t>(row * table.shape.columns + column);
      std::byte* out = stored.data() + scale_place(storage, table.shape, row, column) * size;
      if (size == 1) {
        *out = std::byte{table.codes[index]};
      } else {
        std::memcpy(out, &table.values[index], size);
      }
    }
  }
  return stored;
}

float stored_tensor_scale(const CodeStorage& storage, const ScaleTable& table) {
  return storage.tensor_scale_form == TensorScaleForm::divisor ? 1 / table.tensor_scale : table.tensor_scale;
}

}  // namespace fp8
