#include "cpu/code_writer.h"

#include <algorithm>
#include <vector>

namespace fp8 {

CodeStatistics store_rows(const ScaledMatrix& matrix, Block rows, const RowBlockState& state, std::uint8_t* codes) {
  const std::size_t columns = matrix.columns;
  const std::size_t stride = state.stride;
  Buffer<std::uint8_t> transposed(columns * stride);
  CodeStatistics total;
  for (std::size_t c = 0; c < columns; ++c) {
    const CodeStatistics part =
        kernels().finish_e4m3(matrix.column(c) + rows.begin, state.q.data() + c * stride, rows.size(), transposed.data() + c * stride);
    total.squared_error += part.squared_error;
    total.squared_value += part.squared_value;
    total.changed += part.changed;
  }
  const std::size_t end = std::min(rows.end, matrix.rows);
  for (std::size_t r = rows.begin; r < end; ++r) {
    std::uint8_t* row = codes + r * columns;
    const std::uint8_t* from = transposed.data() + (r - rows.begin);
    for (std::size_t c = 0; c < columns; ++c) row[matrix.order[c]] = from[c * stride];
  }
  return total;
}

CodeStatistics store_nearest(const ScaledMatrix& matrix, std::uint8_t* codes, Context& context) {
  const std::size_t blocks = block_count(matrix.padded_rows, solver_block_rows(matrix.rows));
  std::vector<CodeStatistics> parts(blocks);
  context.pool.parallel_for(blocks, context.stop, [&](std::size_t index) {
    const Block rows = solver_block(matrix, index);
    RowBlockState state(rows.size(), matrix.columns);
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      kernels().round_to_grid(matrix.column(c) + rows.begin, rows.size(), e4m3_grid, state.q.data() + c * state.stride);
    }
    parts[index] = store_rows(matrix, rows, state, codes);
  });
  CodeStatistics total;
  for (const CodeStatistics& part : parts) {
    total.squared_error += part.squared_error;
    total.squared_value += part.squared_value;
    total.changed += part.changed;
  }
  return total;
}

}  // namespace fp8
