// Which tile of C a block computes: shared by the matrix products.
#pragma once

namespace fp8::cuda {

inline constexpr int gemm_tile = 128;

struct TileIndex {
  int row;
  int column;
};

// Blocks walk down 8 tile rows before they move to the next tile column, so that those in flight share both operands in L2.
__device__ inline TileIndex tile_of_block(int block, int tile_rows, int tile_columns) {
  constexpr int group = 8;
  const int per_group = group * tile_columns;
  const int first_row = block / per_group * group;
  const int height = min(group, tile_rows - first_row);
  const int inside = block % per_group;
  return {first_row + inside % height, inside / height};
}

// The tiles of the lower triangle, row after row.
__device__ inline TileIndex lower_tile_of_block(int block) {
  int row = static_cast<int>((sqrtf(8.0F * static_cast<float>(block) + 1.0F) - 1.0F) * 0.5F);
  while (row * (row + 1) / 2 > block) --row;
  while ((row + 1) * (row + 2) / 2 <= block) ++row;
  return {row, block - row * (row + 1) / 2};
}

inline int tile_count(int rows, int columns, bool lower) {
  const int tile_rows = (rows + gemm_tile - 1) / gemm_tile;
  const int tile_columns = (columns + gemm_tile - 1) / gemm_tile;
  return lower ? tile_rows * (tile_rows + 1) / 2 : tile_rows * tile_columns;
}

// Pairs of neighbouring elements of one row of C, 8 columns apart: C = alpha · sum + beta · C. All are read before the first is written, so
// that their latencies overlap. `columns_left` counts from c; the second of a pair may lie beyond the edge.
template <int pairs>
__device__ inline void store_pairs(float* c, int columns_left, const float2 (&sum)[pairs], float alpha, float beta) {
  float2 value[pairs];
  if (beta != 0.0F) {
#pragma unroll
    for (int i = 0; i < pairs; ++i) {
      const int left = columns_left - 8 * i;
      value[i] = {0.0F, 0.0F};
      if (left >= 2) {
        value[i] = *reinterpret_cast<const float2*>(c + 8 * i);
      } else if (left == 1) {
        value[i].x = c[8 * i];
      }
    }
#pragma unroll
    for (int i = 0; i < pairs; ++i) value[i] = {alpha * sum[i].x + beta * value[i].x, alpha * sum[i].y + beta * value[i].y};
  } else {
#pragma unroll
    for (int i = 0; i < pairs; ++i) value[i] = {alpha * sum[i].x, alpha * sum[i].y};
  }
#pragma unroll
  for (int i = 0; i < pairs; ++i) {
    const int left = columns_left - 8 * i;
    if (left >= 2) {
      *reinterpret_cast<float2*>(c + 8 * i) = value[i];
    } else if (left == 1) {
      c[8 * i] = value[i].x;
    }
  }
}

}  // namespace fp8::cuda
