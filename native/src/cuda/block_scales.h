// What many scales need of a matrix in device memory: the largest magnitude of each block, and the scale of each that fits it best.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "fp8/job.h"
#include "fp8/storage.h"

namespace fp8::cuda {

// A row-major matrix in device memory, cut into blocks.
struct BlockedMatrix {
  const void* data = nullptr;
  SourceDtype dtype = SourceDtype::bf16;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  ScaleShape shape;
};

// One for each block, row-major. All values must be finite.
void block_magnitudes(const BlockedMatrix& matrix, float* largest, cudaStream_t stream);

// Scales in device memory, one for each block, row-major; codes of scales of one byte.
struct BlockScales {
  float* values = nullptr;
  std::uint8_t* codes = nullptr;
};

// Of each block's candidates (core/scale_candidates.h) the one with the least Σ weight_c · (nearest(w / s) · s − w)², the first among
// equals; weight_c = diagonal_c · factor + damping. unit: a power of two near the scales, in which errors are measured.
struct ScaleSearch {
  CodeGrid grid = CodeGrid::e4m3;
  ScaleForm form = ScaleForm::f32;
  float tensor_scale = 1;
  float unit = 1;
  const double* diagonal = nullptr;
  double factor = 1;
  double damping = 1;
};
void search_block_scales(const BlockedMatrix& matrix, const ScaleSearch& search, const BlockScales& own, const BlockScales& best,
                         cudaStream_t stream);

// block_of_column[position_of_column[c]] = c / columns_per_block.
void blocks_by_order(const std::int32_t* position_of_column, std::int64_t columns, std::int64_t columns_per_block,
                     std::int32_t* block_of_column, cudaStream_t stream);

}  // namespace fp8::cuda
