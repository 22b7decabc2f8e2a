// What the kernels of one step of coupled sweeps share: the step's tiles.
#pragma once

#include "coupled_columns.h"

namespace fp8::cuda {

inline constexpr int coupled_tile_elements = coupled_tile * coupled_tile;

// Tile t of a step is in row (t + row_shift) mod down and column (t + column_shift) mod across of tiles; one of the shifts is 0 for all t.
struct CoupledStep {
  int down;
  int across;
  int row_shift;
  int column_shift;
  int first;
  int count;

  CoupledStep(const CoupledSchedule& schedule, int step)
      : down(schedule.down),
        across(schedule.across),
        row_shift(schedule.down < schedule.across ? 0 : step / schedule.parts()),
        column_shift(schedule.down < schedule.across ? step / schedule.parts() : 0),
        first(step % schedule.parts() * most_coupled_tiles),
        count(schedule.diagonal() - first < most_coupled_tiles ? schedule.diagonal() - first : most_coupled_tiles) {}

  __device__ int row(int tile) const { return (first + tile + row_shift) % down * coupled_tile; }
  __device__ int column(int tile) const { return (first + tile + column_shift) % across * coupled_tile; }
};

// Γ of the step's tiles, and everything after the tiles' own sweeps.
void coupled_gradients(const CoupledMatrix& matrix, const CoupledBuffers& buffers, const CoupledStep& step, cudaStream_t stream);
void sweep_coupled_tiles(const CoupledMatrix& matrix, const CoupledBuffers& buffers, const CoupledStep& step, cudaStream_t stream);
void accept_coupled_tiles(const CoupledMatrix& matrix, const CoupledBuffers& buffers, const CoupledStep& step, cudaStream_t stream);

}  // namespace fp8::cuda
