// What the kernels of one step of coupled sweeps share: the step's tiles.
#pragma once

#include "coupled_columns.h"

namespace fp8::cuda {

inline constexpr int coupled_tile_elements = coupled_tile * coupled_tile;

// The tiles of a step. Where rows are many, each column of tiles has one tile in each band of rows; the last band may have none, and its
// tile is empty.
struct CoupledStep {
  CoupledStep(const CoupledSchedule& schedule, int step)
      : is_wide(schedule.down < schedule.across),
        across(schedule.across),
        band_rows(schedule.band_rows()),
        shift(step / schedule.parts()),
        first(step % schedule.parts() * most_coupled_tiles),
        width(schedule.diagonal() - first < most_coupled_tiles ? schedule.diagonal() - first : most_coupled_tiles),
        count(width * schedule.bands) {}

  __device__ int row(int tile) const {
    const int index = first + tile % width;
    return (is_wide ? index : (index + shift) % band_rows + tile / width * band_rows) * coupled_tile;
  }
  __device__ int column(int tile) const {
    const int index = first + tile % width;
    return (is_wide ? (index + shift) % across : index) * coupled_tile;
  }

  bool is_wide;
  int across;
  int band_rows;
  int shift;
  int first;
  int width;
  int count;
};

// Γ of the step's tiles, and everything after the tiles' own sweeps.
void coupled_gradients(const CoupledMatrix& matrix, const CoupledBuffers& buffers, const CoupledStep& step, cudaStream_t stream);
void sweep_coupled_tiles(const CoupledMatrix& matrix, const CoupledBuffers& buffers, const CoupledStep& step, cudaStream_t stream);
void accept_coupled_tiles(const CoupledMatrix& matrix, const CoupledBuffers& buffers, const CoupledStep& step, cudaStream_t stream);

}  // namespace fp8::cuda
