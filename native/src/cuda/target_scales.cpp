#include "target_scales.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "check.h"
#include "core/grid.h"
#include "core/scale_candidates.h"

namespace fp8::cuda {

namespace {

// Errors and moves are kept in FP16: the power of two by which units are made smaller so that a move from one end of the grid to the other,
// with the largest scale that may be chosen, stays finite, and small errors keep their bits.
float lift_of(CodeGrid grid) {
  constexpr double largest_half = 65504;
  constexpr double most = 2 * 1.75;  // scales, in units
  return static_cast<float>(std::exp2(std::floor(std::log2(largest_half / (most * 2 * static_cast<double>(grid_of(grid).largest))))));
}

template <typename T>
void to_host(const T* from, std::vector<T>& to, cudaStream_t stream) {
  check(cudaMemcpyAsync(to.data(), from, to.size() * sizeof(T), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "scales");
}

// Returns when the source may be changed.
template <typename T>
void to_device(const std::vector<T>& from, T* to, cudaStream_t stream) {
  check(cudaMemcpyAsync(to, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "scales");
}

}  // namespace

TargetScales::TargetScales(float scale) : is_plain_(true), unit_(scale) { nearest_.values = {scale}; }

TargetScales::TargetScales(Bump& bump, const CodeStorage& storage, std::int64_t rows, std::int64_t columns)
    : storage_(storage),
      rows_(rows),
      columns_(columns),
      shape_(scale_shape(storage, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns))),
      is_plain_(storage.grid == CodeGrid::e4m3 && !storage.block) {
  // No block is larger than the matrix.
  shape_.block_rows = std::min(shape_.block_rows, static_cast<std::uint64_t>(rows));
  shape_.block_columns = std::min(shape_.block_columns, static_cast<std::uint64_t>(columns));
  if (is_plain_) return;
  const auto count = static_cast<std::int64_t>(shape_.count());
  values_ = bump.take<float>(count);
  nearest_scales_ = bump.take<float>(count);
  block_of_column_ = bump.take<std::int32_t>(columns);
  if (!has_scale_candidates(storage)) return;
  codes_ = bump.take<std::uint8_t>(count);
  best_values_ = bump.take<float>(count);
  best_codes_ = bump.take<std::uint8_t>(count);
  chosen_scales_ = bump.take<float>(count);
}

void TargetScales::measure(const void* source, SourceDtype dtype, float amax, cudaStream_t stream) {
  std::vector<float> largest(static_cast<std::size_t>(shape_.count()), amax);
  if (largest.size() > 1) {
    block_magnitudes(blocked(source, dtype), values_, stream);
    to_host(values_, largest, stream);
  }
  nearest_ = nearest_scales(storage_, shape_, largest);
  if (is_plain_) {
    unit_ = nearest_.values.front();
    return;
  }
  unit_ = nearest_.unit / lift_of(storage_.grid);
  nearest_target_ = send(nearest_, nearest_scales_, stream);
  chosen_target_ = nearest_target_;
}

void TargetScales::choose(const void* source, SourceDtype dtype, const double* diagonal, double factor, double damping,
                          cudaStream_t stream) {
  if (!has_scale_candidates(storage_)) return;
  to_device(nearest_.values, values_, stream);
  if (!nearest_.codes.empty()) to_device(nearest_.codes, codes_, stream);
  search_block_scales(blocked(source, dtype),
                      {storage_.grid, storage_.scale_form, nearest_.tensor_scale, nearest_.unit, diagonal, factor, damping},
                      {values_, codes_}, {best_values_, best_codes_}, stream);
  chosen_ = nearest_;
  to_host(best_values_, chosen_.values, stream);
  if (!chosen_.codes.empty()) to_host(best_codes_, chosen_.codes, stream);
  if (chosen_.values != nearest_.values) chosen_target_ = send(chosen_, chosen_scales_, stream);
}

CodeTarget TargetScales::send(const ScaleTable& table, float* destination, cudaStream_t stream) const {
  const auto down = static_cast<std::size_t>(shape_.rows);
  const auto across = static_cast<std::size_t>(shape_.columns);
  std::vector<float> in_units(table.values.size());
  for (std::size_t r = 0; r < down; ++r) {
    for (std::size_t c = 0; c < across; ++c) {
      in_units[c * down + r] = std::min(table.values[r * across + c] / unit_, largest_scale_in_units);
    }
  }
  to_device(in_units, destination, stream);
  CodeTarget target;
  target.grid = storage_.grid;
  target.scales = destination;
  target.blocks_down = static_cast<std::int32_t>(down);
  target.rows_per_block = static_cast<std::int32_t>(shape_.block_rows);
  target.columns_per_block = static_cast<std::int32_t>(shape_.block_columns);
  target.block_of_column = block_of_column_;
  return target;
}

void TargetScales::order_columns(const std::int32_t* position_of_column, cudaStream_t stream) {
  if (is_plain_) return;
  blocks_by_order(position_of_column, columns_, static_cast<std::int64_t>(shape_.block_columns), block_of_column_, stream);
}

}  // namespace fp8::cuda
