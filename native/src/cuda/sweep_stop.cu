// objective_b = Σ rows of block b; after a sweep gain_b = −Σ change, objective_b −= gain_b, and b stays active while gain_b ≥ share ·
// before.
#include "check.h"
#include "reduce.cuh"
#include "sweep_stop.h"

namespace fp8::cuda {

namespace {

constexpr int threads = 256;

__global__ void sweep_stop_kernel(const double* __restrict__ rows_of_block, std::int64_t rows, double smallest_gain, bool first,
                                  StopState state) {
  __shared__ double scratch[threads / 32];
  const std::int64_t block = blockIdx.x;
  const std::int64_t begin = block * state.rows_per_block;
  const std::int64_t row = begin + threadIdx.x;
  const bool inside = threadIdx.x < state.rows_per_block && row < rows;
  const double sum = block_sum<threads>(inside ? rows_of_block[row] : 0.0, scratch);
  if (threadIdx.x != 0) return;
  int active = 1;
  if (first) {
    state.objective[block] = sum;
  } else {
    const double before = state.objective[block];
    const double gain = -sum;
    state.objective[block] = before - gain;
    active = state.active[block] != 0 && gain > 0 && gain >= smallest_gain * before ? 1 : 0;
  }
  state.active[block] = active;
  if (active != 0) atomicAdd(state.active_count, 1);
}

void launch(const double* rows_of_block, std::int64_t rows, double smallest_gain, bool first, const StopState& state, cudaStream_t stream) {
  check(cudaMemsetAsync(state.active_count, 0, sizeof(int), stream), "cudaMemsetAsync");
  const auto blocks = static_cast<unsigned>((rows + state.rows_per_block - 1) / state.rows_per_block);
  sweep_stop_kernel<<<blocks, threads, 0, stream>>>(rows_of_block, rows, smallest_gain, first, state);
  check_launch("sweep_stop");
}

}  // namespace

void start_sweeps(const double* row_objective, std::int64_t rows, const StopState& state, cudaStream_t stream) {
  launch(row_objective, rows, 0, true, state, stream);
}

void end_sweep(const double* row_change, std::int64_t rows, double smallest_gain, const StopState& state, cudaStream_t stream) {
  launch(row_change, rows, smallest_gain, false, state, stream);
}

}  // namespace fp8::cuda
