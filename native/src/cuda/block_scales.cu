// A warp has a block: its lanes take neighbouring columns, and several rows at once where blocks are narrow.
#include "block_scales.h"
#include "check.h"
#include "code_target.cuh"
#include "core/scale_candidates.h"
#include "source.cuh"

namespace fp8::cuda {

namespace {

constexpr int threads = 256;
constexpr unsigned all_lanes = 0xFFFFFFFFU;

// The elements of a warp's block.
struct Elements {
  __device__ Elements(const BlockedMatrix& matrix, std::int64_t block)
      : first_row(block / static_cast<std::int64_t>(matrix.shape.columns) * static_cast<std::int64_t>(matrix.shape.block_rows)),
        first_column(block % static_cast<std::int64_t>(matrix.shape.columns) * static_cast<std::int64_t>(matrix.shape.block_columns)),
        end_row(min(first_row + static_cast<std::int64_t>(matrix.shape.block_rows), matrix.rows)),
        end_column(min(first_column + static_cast<std::int64_t>(matrix.shape.block_columns), matrix.columns)) {}

  // Calls body(index, column) for this lane's elements.
  template <typename Body>
  __device__ void for_each(std::int64_t columns, Body body) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    int across = 32;
    while (across > 1 && across / 2 >= end_column - first_column) across /= 2;
    const int down = 32 / across;
    for (std::int64_t row = first_row + lane / across; row < end_row; row += down) {
#pragma unroll 4
      for (std::int64_t column = first_column + lane % across; column < end_column; column += across) body(row * columns + column, column);
    }
  }

  std::int64_t first_row;
  std::int64_t first_column;
  std::int64_t end_row;
  std::int64_t end_column;
};

__device__ inline std::int64_t block_of_warp() {
  return (static_cast<std::int64_t>(blockIdx.x) * threads + static_cast<std::int64_t>(threadIdx.x)) / 32;
}

template <SourceDtype dtype>
__global__ void magnitudes_kernel(const BlockedMatrix matrix, std::int64_t blocks, float* __restrict__ largest) {
  const std::int64_t block = block_of_warp();
  if (block >= blocks) return;
  const auto* source = static_cast<const typename Source<dtype>::Bits*>(matrix.data);
  float most = 0;
  Elements(matrix, block).for_each(matrix.columns, [&](std::int64_t index, std::int64_t) {
    most = fmaxf(most, fabsf(Source<dtype>::decode(source[index])));
  });
  for (int offset = 16; offset > 0; offset /= 2) most = fmaxf(most, __shfl_xor_sync(all_lanes, most, offset));
  if (threadIdx.x % 32 == 0) largest[block] = most;
}

template <SourceDtype dtype>
__global__ void search_kernel(const BlockedMatrix matrix, const ScaleSearch search, const ScaledCodes grid, std::int64_t blocks,
                              const BlockScales own, const BlockScales best) {
  const std::int64_t block = block_of_warp();
  if (block >= blocks) return;
  const auto* source = static_cast<const typename Source<dtype>::Bits*>(matrix.data);
  const ScaleCandidates candidates =
      search.form == ScaleForm::e4m3
          ? e4m3_scale_candidates(own.codes[block], search.tensor_scale, [](std::uint8_t code) { return grid_value_of_code(code); })
          : f32_scale_candidates(own.values[block], grid.largest,
                                 [](float value) { return __uint_as_float(__float_as_uint(value) & 0xFFFF0000U); });
  float scales[ScaleCandidates::most];
  double errors[ScaleCandidates::most] = {};
#pragma unroll
  for (int k = 0; k < ScaleCandidates::most; ++k) scales[k] = k < candidates.count ? candidates.values[k] / search.unit : 1.0F;
  Elements(matrix, block).for_each(matrix.columns, [&](std::int64_t index, std::int64_t column) {
    const float value = Source<dtype>::decode(source[index]) / search.unit;
    const float weight = static_cast<float>(search.diagonal[column] * search.factor + search.damping);
#pragma unroll
    for (int k = 0; k < ScaleCandidates::most; ++k) {
      const float error = grid.nearest_of_quotient(value / scales[k]) * scales[k] - value;
      errors[k] += static_cast<double>(error * error * weight);
    }
  });
  int least = 0;
  double least_error = 0;
#pragma unroll
  for (int k = 0; k < ScaleCandidates::most; ++k) {
    for (int offset = 16; offset > 0; offset /= 2) errors[k] += __shfl_xor_sync(all_lanes, errors[k], offset);
    if (k == 0 || (k < candidates.count && errors[k] < least_error)) {
      least = k;
      least_error = errors[k];
    }
  }
  if (threadIdx.x % 32 != 0) return;
  best.values[block] = candidates.values[least];
  if (search.form == ScaleForm::e4m3) best.codes[block] = candidates.codes[least];
}

__global__ void blocks_by_order_kernel(const std::int32_t* __restrict__ position_of_column, std::int64_t columns,
                                       std::int64_t columns_per_block, std::int32_t* __restrict__ block_of_column) {
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (column < columns) block_of_column[position_of_column[column]] = static_cast<std::int32_t>(column / columns_per_block);
}

unsigned warps_for(std::int64_t blocks) { return static_cast<unsigned>((blocks * 32 + threads - 1) / threads); }

}  // namespace

void block_magnitudes(const BlockedMatrix& matrix, float* largest, cudaStream_t stream) {
  const auto blocks = static_cast<std::int64_t>(matrix.shape.count());
  with_dtype(matrix.dtype,
             [&]<SourceDtype dtype>() { magnitudes_kernel<dtype><<<warps_for(blocks), threads, 0, stream>>>(matrix, blocks, largest); });
  check_launch("block_magnitudes");
}

void search_block_scales(const BlockedMatrix& matrix, const ScaleSearch& search, const BlockScales& own, const BlockScales& best,
                         cudaStream_t stream) {
  const auto blocks = static_cast<std::int64_t>(matrix.shape.count());
  CodeTarget target;
  target.grid = search.grid;
  const ScaledCodes grid(target);
  with_dtype(matrix.dtype, [&]<SourceDtype dtype>() {
    search_kernel<dtype><<<warps_for(blocks), threads, 0, stream>>>(matrix, search, grid, blocks, own, best);
  });
  check_launch("search_block_scales");
}

void blocks_by_order(const std::int32_t* position_of_column, std::int64_t columns, std::int64_t columns_per_block,
                     std::int32_t* block_of_column, cudaStream_t stream) {
  blocks_by_order_kernel<<<static_cast<unsigned>((columns + threads - 1) / threads), threads, 0, stream>>>(
      position_of_column, columns, columns_per_block, block_of_column);
  check_launch("blocks_by_order");
}

}  // namespace fp8::cuda
