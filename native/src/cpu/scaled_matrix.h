// ScaledMatrix: a weight matrix in units of its scale, transposed and with its columns in the order in which the solver takes them. Where
// it has many scales, the unit is a power of two, and every element has a scale of its own in these units.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/grid.h"
#include "cpu/buffer.h"
#include "cpu/context.h"
#include "cpu/kernels.h"
#include "fp8/job.h"

namespace fp8 {

// The scales of a matrix's elements in units of the matrix, spread over its rows: columns of one block share a vector. Empty where every
// scale is the unit.
struct ElementScales {
  std::size_t stride = 0;
  std::size_t block_columns = 0;
  Buffer<float> values;  // padding rows have 1

  bool is_unit() const { return values.size() == 0; }
  // For each row, in a column of the source; null where all are 1.
  const float* of_column(std::size_t source_column) const {
    return is_unit() ? nullptr : values.data() + source_column / block_columns * stride;
  }
};

struct ScaledMatrix {
  std::size_t rows = 0;         // outputs, M
  std::size_t padded_rows = 0;  // a multiple of row_quantum; the rows beyond `rows` are zero
  std::size_t columns = 0;      // inputs, N
  std::size_t stride = 0;       // from one column to the next
  Buffer<float> values;         // column `i` at values[i * stride], for every output row
  // order[i] is the source's column that is column i here: by increasing weight in the objective, because error feedback goes from the last
  // to the first.
  std::vector<std::uint32_t> order;
  double mean_energy = 0;  // mean over columns of Σ w², in units²
  // The weight of each of the source's columns in the objective before damping: the diagonal of H, with mean 1.
  std::vector<double> column_weights;
  CodeGrid codes = CodeGrid::e4m3;
  Grid grid = e4m3_grid;
  ElementScales scales;          // that codes are chosen for
  ElementScales nearest_scales;  // of nearest rounding, where they are others; else unit

  const float* column(std::size_t index) const { return values.data() + index * stride; }
  // For each row from `row` on, in column `index` of the matrix; null where all are 1.
  const float* scales_of(std::size_t index, std::size_t row) const { return at(scales, index, row); }
  const float* nearest_scales_of(std::size_t index, std::size_t row) const {
    return at(nearest_scales.is_unit() ? scales : nearest_scales, index, row);
  }

 private:
  const float* at(const ElementScales& of, std::size_t index, std::size_t row) const {
    const float* found = of.of_column(order[index]);
    return found == nullptr ? nullptr : found + row;
  }
};

// The scales of up to block_columns columns, as the kernels take them.
class ColumnScales {
 public:
  ColumnScales(const ScaledMatrix& matrix, Block columns, std::size_t row) : are_units_(matrix.scales.is_unit()) {
    if (are_units_) return;
    for (std::size_t c = columns.begin; c < columns.end; ++c) pointers_[c - columns.begin] = matrix.scales_of(c, row);
  }
  const float* const* get() const { return are_units_ ? nullptr : pointers_; }

 private:
  bool are_units_;
  const float* pointers_[block_columns];
};

// What decides the order of columns, up to a factor: energy_weight · Σ w² ÷ its mean over columns, plus `others` of the column.
struct ColumnWeights {
  double energy_weight = 1;
  std::vector<double> others;  // empty or one for each column of the source
};

// `source` is rows × columns, row-major, finite, and divided by `scale`. By default columns are ordered by their energy. The grid is E4M3's
// and every scale the unit.
ScaledMatrix scale_and_transpose(std::span<const std::byte> source, SourceDtype dtype, std::size_t rows, std::size_t columns, float scale,
                                 Context& context, const ColumnWeights& weights = {});

std::uint64_t scaled_matrix_bytes(std::size_t rows, std::size_t columns);

}  // namespace fp8
