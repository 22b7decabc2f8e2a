// CodeTarget: what codes the elements of a matrix get on the device: the grid, and the scale of each element in units of the matrix.
#pragma once

#include <cstdint>

#include "fp8/job.h"

namespace fp8::cuda {

// Inside the solver every grid's code is one byte, the sign in its highest bit and the magnitude's code below.
struct CodeTarget {
  CodeGrid grid = CodeGrid::e4m3;
  // In units; of the block in row r and column c of blocks at scales[c · blocks_down + r]. Null: E4M3, and every scale is the unit.
  const float* scales = nullptr;
  std::int32_t blocks_down = 1;
  std::int32_t rows_per_block = 1;
  std::int32_t columns_per_block = 1;
  // In which column of blocks each column is, columns in rounding order.
  const std::int32_t* block_of_column = nullptr;
  std::int32_t first_row = 0;  // of the rows at hand

  bool is_plain() const { return scales == nullptr; }
  // The same of columns from `column` on, and of rows from `row` on.
  CodeTarget from(std::int64_t column, std::int64_t row = 0) const {
    CodeTarget rest = *this;
    if (rest.block_of_column != nullptr) rest.block_of_column += column;
    rest.first_row += static_cast<std::int32_t>(row);
    return rest;
  }
};

}  // namespace fp8::cuda
