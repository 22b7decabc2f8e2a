// Storage: how many bytes a matrix takes as codes and scales, and where in them each scale is.
#pragma once

#include <cstdint>

#include "fp8/job.h"

namespace fp8 {

// What has one scale: `rows` × `columns` of them, each for a rectangle of block_rows × block_columns elements, less at the edges.
struct ScaleShape {
  std::uint64_t rows = 1;
  std::uint64_t columns = 1;
  std::uint64_t block_rows = 0;
  std::uint64_t block_columns = 0;

  constexpr std::uint64_t count() const { return rows * columns; }
};

constexpr ScaleShape scale_shape(const CodeStorage& storage, std::uint64_t rows, std::uint64_t columns) {
  if (!storage.block) return {1, 1, rows, columns};
  const ScaleBlock& block = *storage.block;
  return {(rows + block.rows - 1) / block.rows, (columns + block.columns - 1) / block.columns, block.rows, block.columns};
}

constexpr std::uint64_t stored_rows(const CodeStorage& storage, std::uint64_t rows) {
  return storage.stored_rows != 0 ? storage.stored_rows : rows;
}

constexpr std::uint64_t stored_columns(const CodeStorage& storage, std::uint64_t columns) {
  return storage.stored_columns != 0 ? storage.stored_columns : columns;
}

// Of a row of codes, which begins at a whole byte.
constexpr std::uint64_t code_row_bytes(const CodeStorage& storage, std::uint64_t columns) {
  const std::uint64_t stored = stored_columns(storage, columns);
  return storage.grid == CodeGrid::e2m1 ? stored / 2 : stored;
}

constexpr std::uint64_t code_bytes(const CodeStorage& storage, std::uint64_t rows, std::uint64_t columns) {
  return stored_rows(storage, rows) * code_row_bytes(storage, columns);
}

constexpr std::uint64_t byte_size(ScaleForm form) {
  switch (form) {
    case ScaleForm::f32:
      return 4;
    case ScaleForm::f16:
    case ScaleForm::bf16:
      return 2;
    case ScaleForm::e8m0:
    case ScaleForm::e4m3:
      return 1;
  }
  return 1;
}

// Places for scales, padding included.
constexpr std::uint64_t stored_scale_count(const CodeStorage& storage, const ScaleShape& shape) {
  if (storage.scale_order == ScaleOrder::plain) return shape.count();
  return (shape.rows + 127) / 128 * 128 * ((shape.columns + 3) / 4 * 4);
}

constexpr std::uint64_t scale_bytes(const CodeStorage& storage, std::uint64_t rows, std::uint64_t columns) {
  return stored_scale_count(storage, scale_shape(storage, rows, columns)) * byte_size(storage.scale_form);
}

// The place of a scale. Swizzled, a tile of 128 × 4 scales is contiguous: 32 groups of 16, group r holding rows r, r + 32, r + 64 and r +
// 96, four columns each. Source: the layout of block scaling factors in NVIDIA's cuBLAS documentation.
constexpr std::uint64_t scale_place(const CodeStorage& storage, const ScaleShape& shape, std::uint64_t row, std::uint64_t column) {
  if (storage.scale_order == ScaleOrder::plain) return row * shape.columns + column;
  const std::uint64_t tile = row / 128 * ((shape.columns + 3) / 4) + column / 4;
  return tile * 512 + row % 32 * 16 + row % 128 / 32 * 4 + column % 4;
}

}  // namespace fp8
