#include "cpu/code_writer.h"

#include <algorithm>
#include <vector>

namespace fp8 {

namespace {

enum class Scales { chosen, nearest };

CodeStatistics store(const ScaledMatrix& matrix, Block rows, const RowBlockState& state, Scales scales, std::uint8_t* codes) {
  const std::size_t columns = matrix.columns;
  const std::size_t stride = state.stride;
  Buffer<std::uint8_t> transposed(columns * stride);
  CodeStatistics total;
  for (std::size_t c = 0; c < columns; ++c) {
    const float* of_rows = scales == Scales::chosen ? matrix.scales_of(c, rows.begin) : matrix.nearest_scales_of(c, rows.begin);
    const CodeStatistics part = kernels().finish(matrix.column(c) + rows.begin, state.q.data() + c * stride, rows.size(), matrix.codes,
                                                 of_rows, transposed.data() + c * stride);
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

}  // namespace

CodeStatistics store_rows(const ScaledMatrix& matrix, Block rows, const RowBlockState& state, std::uint8_t* codes) {
  return store(matrix, rows, state, Scales::chosen, codes);
}

CodeStatistics store_nearest(const ScaledMatrix& matrix, std::uint8_t* codes, Context& context) {
  const std::size_t blocks = block_count(matrix.padded_rows, solver_block_rows(matrix.rows));
  std::vector<CodeStatistics> parts(blocks);
  context.pool.parallel_for(blocks, context.stop, [&](std::size_t index) {
    const Block rows = solver_block(matrix, index);
    RowBlockState state(rows.size(), matrix.columns);
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      kernels().round_to_grid(matrix.column(c) + rows.begin, rows.size(), matrix.grid, matrix.nearest_scales_of(c, rows.begin),
                              state.q.data() + c * state.stride);
    }
    parts[index] = store(matrix, rows, state, Scales::nearest, codes);
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
