// Sweeps for tr(G E H Eᵀ), a step at a time: some tiles of 128 rows and 128 columns, no two of which share a row, and few a column.
//
//   Γ = G Y,  Y = E H;   in a tile, one element after the other:
//   q' = nearest(q − Γ_ij / (G_ii H_jj)),   d = q' − q,   Γ_kl += G_ki d H_jl,   objective += d (2 Γ_ij + d G_ii H_jj)
//
// A move that does not lower the objective is not made. What the tiles of a step do not see of each other is weighted by G_ik H_jl, i ≠ k
// and, as a rule, j ≠ l, which is small; before their moves are made, what they do together is added up, and a tile whose moves would undo
// what the tiles before it gain stays as it is. So every step lowers the objective.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>

#include "bump.h"
#include "code_target.h"
#include "fp8/job.h"

namespace fp8::cuda {

inline constexpr int coupled_tile = 128;
// Tiles of one step.
inline constexpr int most_coupled_tiles = 128;

// The tiles of a matrix by step: every tile is in one of them.
struct CoupledSchedule {
  CoupledSchedule(std::int64_t rows, std::int64_t columns)
      : down(static_cast<int>((rows + coupled_tile - 1) / coupled_tile)),
        across(static_cast<int>((columns + coupled_tile - 1) / coupled_tile)),
        bands(std::max(1, std::min({down / across, 64 / across, down / 24}))) {}

  int down;    // rows of tiles
  int across;  // columns of tiles
  // Where rows are many, a step has this many tiles in each column of tiles, far apart. What they do not see of each other is weighted by
  // G_ik H_jj, and more than M / 24 rows of a column at a time would lose by it. What 64 tiles mean to each other is soon found out.
  int bands;

  int band_rows() const { return (down + bands - 1) / bands; }
  int diagonal() const { return down < across ? down : across; }
  int shifts() const { return down < across ? across : band_rows(); }
  int parts() const { return (diagonal() + most_coupled_tiles - 1) / most_coupled_tiles; }
  int steps() const { return shifts() * parts(); }
  int tiles_at_once() const { return bands * (diagonal() < most_coupled_tiles ? diagonal() : most_coupled_tiles); }
};

// Of a step's tiles.
struct CoupledBuffers {
  CoupledBuffers(Bump& bump, std::int64_t rows, std::int64_t columns);
  int depth_parts;       // of Γ, a function of the matrix alone
  float* gamma;          // Γ of each tile in depth_parts parts, one row for each column
  float* arrived;        // G d of each tile, one row for each column
  __half* moves;         // d, row-major
  __half* column_moves;  // dᵀ
  __half* errors;        // E afterwards, row-major
  std::uint8_t* codes;   // afterwards, one row for each column
  double* changes;       // of the objective by each tile alone
  float* crossed;        // what two tiles' moves mean to each other: tiles × tiles
  int* accepted;
};

// Column-wise data (w, codes, products) have one row per column of W, `…_leading` apart.
struct CoupledMatrix {
  SourceDtype dtype = SourceDtype::bf16;
  const void* w = nullptr;
  std::int64_t w_leading = 0;
  float scale = 1;  // w is divided by it
  CodeTarget target = {};
  std::uint8_t* codes = nullptr;
  std::int64_t codes_leading = 0;
  __half* errors = nullptr;  // E, row-major
  std::int64_t errors_leading = 0;
  __half* products = nullptr;  // Yᵀ · products_scale
  std::int64_t products_leading = 0;
  float products_scale = 1;
  const __half* g = nullptr;  // G · g_scale
  std::int64_t g_leading = 0;
  float g_scale = 1;
  const float* g_diagonal = nullptr;
  const __half* h = nullptr;  // H · h_scale
  std::int64_t h_leading = 0;
  float h_scale = 1;
  const float* h_diagonal = nullptr;
  double* objective = nullptr;  // its change is added
  int rows = 0;
  int columns = 0;
};

// Codes, E and Y afterwards are those of the moves made.
void sweep_coupled_step(const CoupledMatrix& matrix, const CoupledBuffers& buffers, int step, cudaStream_t stream);

}  // namespace fp8::cuda
