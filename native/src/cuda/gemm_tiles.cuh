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

// Two neighbouring elements of C, the second of which may lie beyond the edge.
__device__ inline void store_pair(float* c, int columns_left, float x, float y, float alpha, float beta) {
  if (columns_left >= 2) {
    float2 value = {alpha * x, alpha * y};
    if (beta != 0.0F) {
      const float2 old = *reinterpret_cast<const float2*>(c);
      value.x += beta * old.x;
      value.y += beta * old.y;
    }
    *reinterpret_cast<float2*>(c) = value;
  } else if (columns_left == 1) {
    *c = alpha * x + (beta != 0.0F ? beta * *c : 0.0F);
  }
}

}  // namespace fp8::cuda
