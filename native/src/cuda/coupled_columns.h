// The heart of the sweeps for tr(G E H Eᵀ): one tile of 128 rows and 128 columns, each element seeing what was changed before it.
//
//   Γ = G E H,   q' = nearest(q − Γ_ij / (G_ii H_jj)),   d = q' − q,   Γ_kl += G_ki d H_jl,   objective += d (2 Γ_ij + d G_ii H_jj)
//
// A move that does not lower the objective is not made.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "code_target.h"
#include "fp8/job.h"

namespace fp8::cuda {

inline constexpr int coupled_tile = 128;

// Pointers are to the tile's first row and column. Column-wise data (w, gamma, codes) have one row per column of W.
struct CoupledTile {
  SourceDtype dtype = SourceDtype::bf16;
  const void* w = nullptr;
  std::int64_t w_leading = 0;
  float scale = 1;  // w is divided by it
  CodeTarget target = {};
  const float* gamma = nullptr;  // leading coupled_tile
  std::uint8_t* codes = nullptr;
  std::int64_t codes_leading = 0;
  __half* errors = nullptr;  // E, row-major: the tile's 128 columns of each row
  std::int64_t errors_leading = 0;
  const __half* g = nullptr;  // G · g_scale at [row][row]
  std::int64_t g_leading = 0;
  float g_scale = 1;
  const float* g_diagonal = nullptr;
  const __half* h = nullptr;  // H · h_scale at [column][column]
  std::int64_t h_leading = 0;
  float h_scale = 1;
  const float* h_diagonal = nullptr;
  __half* moved = nullptr;      // out: G d, row-major, coupled_tile columns
  float* scratch = nullptr;     // coupled_tile² floats
  double* objective = nullptr;  // its change is added
  int rows = 0;
  int columns = 0;
};

void sweep_coupled_tile(const CoupledTile& tile, cudaStream_t stream);

}  // namespace fp8::cuda
