// One tile of a step of coupled sweeps: where its part of the matrix is, and its part of the buffers.
#pragma once

#include "coupled_step.cuh"

namespace fp8::cuda {

// Pointers are to the tile's first row and column, in the matrix (those that are only read) or in the buffers.
struct CoupledTile {
  __device__ CoupledTile(const CoupledMatrix& matrix, const CoupledBuffers& buffers, const CoupledStep& step, int tile)
      : first_row(step.row(tile)),
        first_column(step.column(tile)),
        rows(min(coupled_tile, matrix.rows - first_row)),
        columns(min(coupled_tile, matrix.columns - first_column)),
        gamma(buffers.gamma + static_cast<std::int64_t>(tile) * buffers.depth_parts * coupled_tile_elements),
        gamma_parts(buffers.depth_parts),
        given_codes(matrix.codes + first_column * matrix.codes_leading + first_row),
        codes_leading(matrix.codes_leading),
        g(matrix.g + first_row * matrix.g_leading + first_row),
        g_leading(matrix.g_leading),
        g_scale(matrix.g_scale),
        g_diagonal(matrix.g_diagonal + first_row),
        h(matrix.h + first_column * matrix.h_leading + first_column),
        h_leading(matrix.h_leading),
        h_scale(matrix.h_scale),
        h_diagonal(matrix.h_diagonal + first_column),
        scratch(buffers.arrived + static_cast<std::int64_t>(tile) * coupled_tile_elements),
        moves(buffers.moves + static_cast<std::int64_t>(tile) * coupled_tile_elements),
        column_moves(buffers.column_moves + static_cast<std::int64_t>(tile) * coupled_tile_elements),
        errors(buffers.errors + static_cast<std::int64_t>(tile) * coupled_tile_elements),
        codes(buffers.codes + static_cast<std::int64_t>(tile) * coupled_tile_elements) {}

  int first_row;
  int first_column;
  int rows;
  int columns;
  const float* gamma;
  int gamma_parts;
  const std::uint8_t* given_codes;
  std::int64_t codes_leading;
  const __half* g;
  std::int64_t g_leading;
  float g_scale;
  const float* g_diagonal;
  const __half* h;
  std::int64_t h_leading;
  float h_scale;
  const float* h_diagonal;
  float* scratch;
  __half* moves;
  __half* column_moves;
  __half* errors;
  std::uint8_t* codes;
};

}  // namespace fp8::cuda
