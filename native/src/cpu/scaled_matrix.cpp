#include "cpu/scaled_matrix.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "cpu/kernels.h"

namespace fp8 {

namespace {

// Rows that one block of the energy pass takes; part of the definition of the result, since sums follow it.
constexpr std::size_t energy_rows = 256;

std::vector<double> column_energies(std::span<const std::byte> source, SourceDtype dtype, std::size_t rows, std::size_t columns,
                                    float scale, Context& context) {
  const std::size_t blocks = block_count(rows, energy_rows);
  std::vector<double> partial(blocks * columns, 0.0);
  context.pool.parallel_for(blocks, context.stop, [&](std::size_t index) {
    const Block block = block_at(index, energy_rows, rows);
    std::vector<float> row(columns);
    for (std::size_t r = block.begin; r < block.end; ++r) {
      kernels().decode_scaled(source.data() + r * columns * byte_size(dtype), dtype, columns, scale, row.data());
      kernels().add_squares(row.data(), columns, partial.data() + index * columns);
    }
  });
  std::vector<double> energies(columns, 0.0);
  for (std::size_t index = 0; index < blocks; ++index) {
    for (std::size_t c = 0; c < columns; ++c) energies[c] += partial[index * columns + c];
  }
  return energies;
}

}  // namespace

ScaledMatrix scale_and_transpose(std::span<const std::byte> source, SourceDtype dtype, std::size_t rows, std::size_t columns, float scale,
                                 Context& context, const ColumnWeights& weights) {
  ScaledMatrix matrix;
  matrix.rows = rows;
  matrix.padded_rows = round_up(rows, row_quantum);
  matrix.columns = columns;
  matrix.stride = padded_stride(rows);

  std::vector<double> energies = column_energies(source, dtype, rows, columns, scale, context);
  matrix.mean_energy = std::accumulate(energies.begin(), energies.end(), 0.0) / static_cast<double>(columns);
  if (!weights.others.empty()) {
    for (std::size_t c = 0; c < columns; ++c) energies[c] = weights.energy_weight * energies[c] / matrix.mean_energy + weights.others[c];
  }
  const double total = std::accumulate(energies.begin(), energies.end(), 0.0);
  matrix.column_weights.assign(columns, 1.0);
  if (total > 0) {
    for (std::size_t c = 0; c < columns; ++c) matrix.column_weights[c] = energies[c] * static_cast<double>(columns) / total;
  }
  matrix.order.resize(columns);
  std::iota(matrix.order.begin(), matrix.order.end(), 0U);
  // Among equals the column with the smaller index is rounded first, which is last here.
  std::sort(matrix.order.begin(), matrix.order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return energies[a] != energies[b] ? energies[a] < energies[b] : a > b; });

  matrix.values = Buffer<float>(matrix.stride * columns);
  std::vector<std::uint32_t> position(columns);
  for (std::size_t i = 0; i < columns; ++i) position[matrix.order[i]] = static_cast<std::uint32_t>(i);
  // A group of rows fills one cache line of every column.
  context.pool.parallel_for(block_count(rows, row_quantum), context.stop, [&](std::size_t index) {
    const Block block = block_at(index, row_quantum, rows);
    Buffer<float> decoded(row_quantum * columns);
    if (block.size() < row_quantum) std::memset(decoded.data(), 0, decoded.size() * sizeof(float));
    for (std::size_t r = 0; r < block.size(); ++r) {
      kernels().decode_scaled(source.data() + (block.begin + r) * columns * byte_size(dtype), dtype, columns, scale,
                              decoded.data() + r * columns);
    }
    for (std::size_t c = 0; c < columns; ++c) {
      float* out = matrix.values.data() + position[c] * matrix.stride + block.begin;
      for (std::size_t r = 0; r < row_quantum; ++r) out[r] = decoded[r * columns + c];
    }
  });
  return matrix;
}

std::uint64_t scaled_matrix_bytes(std::size_t rows, std::size_t columns) {
  return static_cast<std::uint64_t>(padded_stride(rows)) * columns * sizeof(float);
}

}  // namespace fp8
