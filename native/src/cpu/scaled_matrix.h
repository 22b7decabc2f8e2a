// ScaledMatrix: a weight matrix in units of its scale, transposed and with its columns in the order in which the solver takes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/buffer.h"
#include "cpu/context.h"
#include "fp8/job.h"

namespace fp8 {

struct ScaledMatrix {
  std::size_t rows = 0;         // outputs, M
  std::size_t padded_rows = 0;  // a multiple of row_quantum; the rows beyond `rows` are zero
  std::size_t columns = 0;      // inputs, N
  std::size_t stride = 0;       // from one column to the next
  Buffer<float> values;         // column `i` at values[i * stride], for every output row
  // order[i] is the source's column that is column i here: by increasing weight in the objective, because error feedback goes from the last
  // to the first.
  std::vector<std::uint32_t> order;
  double mean_energy = 0;  // mean over columns of Σ w², in units of scale²

  const float* column(std::size_t index) const { return values.data() + index * stride; }
};

// What decides the order of columns, up to a factor: energy_weight · Σ w² ÷ its mean over columns, plus `others` of the column.
struct ColumnWeights {
  double energy_weight = 1;
  std::vector<double> others;  // empty or one for each column of the source
};

// `source` is rows × columns, row-major, finite. By default columns are ordered by their energy.
ScaledMatrix scale_and_transpose(std::span<const std::byte> source, SourceDtype dtype, std::size_t rows, std::size_t columns, float scale,
                                 Context& context, const ColumnWeights& weights = {});

std::uint64_t scaled_matrix_bytes(std::size_t rows, std::size_t columns);

}  // namespace fp8
