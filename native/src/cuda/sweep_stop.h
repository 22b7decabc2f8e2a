// When the sweeps over a block of rows end: as on the CPU, each fixed block of rows has an objective and an end of its own.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace fp8::cuda {

// Rows of one block: a function of the matrix alone. The same as the CPU's.
constexpr std::int64_t rows_per_stop(std::int64_t rows) { return rows >= 2048 ? 256 : rows >= 512 ? 128 : 64; }

// In device memory.
struct StopState {
  double* objective = nullptr;  // one a block
  int* active = nullptr;        // one a block: 1 while its sweeps go on
  int* active_count = nullptr;
  std::int64_t rows_per_block = 0;
};

// Every block is active; its objective is the sum over its rows.
void start_sweeps(const double* row_objective, std::int64_t rows, const StopState& state, cudaStream_t stream);

// row_change: by how much each row's objective changed. A block whose objective fell by less than `smallest_gain` of it is done.
void end_sweep(const double* row_change, std::int64_t rows, double smallest_gain, const StopState& state, cudaStream_t stream);

}  // namespace fp8::cuda
