// A step of coupled sweeps around the tiles' own: Γ before it, and after it which tiles' moves are made, and what they change.
#include "check.h"
#include "coupled_step.cuh"
#include "tile_product.cuh"

namespace fp8::cuda {

namespace {

__device__ inline const std::uint16_t* bits(const __half* values) { return reinterpret_cast<const std::uint16_t*>(values); }

// Γᵀ = Yᵀ G of one tile over one part of the depth.
__global__ void __launch_bounds__(gemm_threads, 2)
    gradients_kernel(const CoupledMatrix matrix, const CoupledStep step, int depth_parts, float* __restrict__ gamma) {
  __shared__ alignas(16) GemmRing ring;
  const int tile = static_cast<int>(blockIdx.x);
  const int part = static_cast<int>(blockIdx.y);
  if (step.row(tile) >= matrix.rows) return;
  const int depth = ((matrix.rows + depth_parts - 1) / depth_parts + gemm_slice - 1) / gemm_slice * gemm_slice;
  const int begin = min(part * depth, matrix.rows);
  const int end = min(begin + depth, matrix.rows);
  float sum[4][4][4] = {};
  multiply_tile<Element::f16>(ring, {bits(matrix.products), matrix.products_leading, step.column(tile), matrix.columns},
                              {bits(matrix.g), matrix.g_leading, step.row(tile), matrix.rows}, begin, end, sum);
  const float unit = 1.0F / (matrix.products_scale * matrix.g_scale);
  float* out = gamma + (static_cast<std::int64_t>(tile) * depth_parts + part) * coupled_tile_elements;
  for_pairs(sum, [&](int row, int column, const float2(&pairs)[4]) {
    store_pairs(out + row * coupled_tile + column, coupled_tile - column, pairs, unit, 0.0F);
  });
}

// crossed[i][j] for i < j: Σ d_i ∘ (G d_j H), over the elements of tile i.
__global__ void __launch_bounds__(gemm_threads)
    crossed_kernel(const CoupledMatrix matrix, const CoupledStep step, const __half* __restrict__ moves,
                   const __half* __restrict__ column_moves, const double* __restrict__ changes, float* __restrict__ crossed) {
  __shared__ alignas(16) GemmRing ring;
  const int one = static_cast<int>(blockIdx.x);
  const int other = static_cast<int>(blockIdx.y);
  if (one >= other) return;
  float* out = crossed + one * step.count + other;
  // The same for the whole block.
  if (changes[one] == 0.0 || changes[other] == 0.0) {
    if (threadIdx.x == 0) *out = 0.0F;
    return;
  }
  // P = G d_one by rows of the other tile, Z = d_other H by columns of this one.
  float p[4][4][4] = {};
  float z[4][4][4] = {};
  const int row = step.row(one);
  const int column = step.column(other);
  const std::uint16_t* g = bits(matrix.g) + row;
  const std::uint16_t* h = bits(matrix.h) + column;
  multiply_tile<Element::f16>(ring, {g, matrix.g_leading, step.row(other), matrix.rows},
                              {bits(column_moves) + static_cast<std::int64_t>(one) * coupled_tile_elements, coupled_tile, 0, coupled_tile},
                              0, min(coupled_tile, matrix.rows - row), p);
  __syncthreads();
  multiply_tile<Element::f16>(ring, {bits(moves) + static_cast<std::int64_t>(other) * coupled_tile_elements, coupled_tile, 0, coupled_tile},
                              {h, matrix.h_leading, step.column(one), matrix.columns}, 0, min(coupled_tile, matrix.columns - column), z);
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
      for (int k = 0; k < 4; ++k) sum += p[i][j][k] * z[i][j][k];
    }
  }
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xFFFFFFFFU, sum, offset);
  // The ring takes all the shared memory that a kernel has by itself; it is free again.
  auto* parts = reinterpret_cast<float*>(&ring);
  __syncthreads();
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  float total = 0;
  for (int i = 0; i < gemm_threads / 32; ++i) total += parts[i];
  *out = total / (matrix.g_scale * matrix.h_scale);
}

// One tile after the other: its moves are made if they lower the objective together with those made before.
__global__ void accept_kernel(int count, const double* __restrict__ changes, const float* __restrict__ crossed, int* __restrict__ accepted,
                              double* objective) {
  __shared__ int decision;
  __shared__ double total;
  const int own = static_cast<int>(threadIdx.x);
  double together = own < count ? changes[own] : 0.0;
  if (own == 0) total = 0;
  for (int tile = 0; tile < count; ++tile) {
    const float cross = own > tile && own < count ? crossed[tile * count + own] : 0.0F;
    if (own == tile) {
      decision = together < 0.0 ? 1 : 0;
      accepted[tile] = decision;
      if (decision != 0) total += together;
    }
    __syncthreads();
    if (decision != 0) together += 2.0 * static_cast<double>(cross);
    __syncthreads();
  }
  if (own == 0) *objective += total;
}

// Yᵀ += H dᵀ in the rows of an accepted tile, 128 columns at a time; where these are the tile's own, its codes and E too.
__global__ void __launch_bounds__(gemm_threads, 2)
    make_moves_kernel(const CoupledMatrix matrix, const CoupledStep step, const __half* __restrict__ moves,
                      const __half* __restrict__ errors, const std::uint8_t* __restrict__ codes, const int* __restrict__ accepted) {
  __shared__ alignas(16) GemmRing ring;
  const int tile = static_cast<int>(blockIdx.y);
  if (accepted[tile] == 0) return;
  const int line = static_cast<int>(blockIdx.x) * coupled_tile;
  const int first_row = step.row(tile);
  const int first_column = step.column(tile);
  const std::int64_t at = static_cast<std::int64_t>(tile) * coupled_tile_elements;
  float sum[4][4][4] = {};
  multiply_tile<Element::f16>(ring, {bits(matrix.h) + first_column, matrix.h_leading, line, matrix.columns},
                              {bits(moves) + at, coupled_tile, 0, coupled_tile}, 0, min(coupled_tile, matrix.columns - first_column), sum);
  const float unit = matrix.products_scale / matrix.h_scale;
  for_pairs(sum, [&](int row, int column, const float2(&pairs)[4]) {
    if (line + row >= matrix.columns) return;
    __half* out = matrix.products + (line + row) * matrix.products_leading + first_row + column;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      // The leading dimension is a multiple of 64: what is beyond the last row stays inside it.
      if (first_row + column + 8 * j >= matrix.products_leading) continue;
      auto* pair = reinterpret_cast<__half2*>(out + 8 * j);
      const float2 before = __half22float2(*pair);
      const float low = fminf(fmaxf(before.x + pairs[j].x * unit, -65504.0F), 65504.0F);
      const float high = fminf(fmaxf(before.y + pairs[j].y * unit, -65504.0F), 65504.0F);
      *pair = __floats2half2_rn(low, high);
    }
  });
  if (line != first_column) return;
  for (int index = static_cast<int>(threadIdx.x); index < coupled_tile_elements; index += gemm_threads) {
    const int outer = index / coupled_tile;
    const int inner = index % coupled_tile;
    if (first_column + outer < matrix.columns && first_row + inner < matrix.rows) {
      matrix.codes[(first_column + outer) * matrix.codes_leading + first_row + inner] = codes[at + index];
    }
    if (first_row + outer < matrix.rows && first_column + inner < matrix.columns) {
      matrix.errors[(first_row + outer) * matrix.errors_leading + first_column + inner] = errors[at + index];
    }
  }
}

}  // namespace

CoupledBuffers::CoupledBuffers(Bump& bump, std::int64_t rows, std::int64_t columns) {
  const CoupledSchedule schedule(rows, columns);
  const int tiles = schedule.tiles_at_once();
  // Enough products at once for any GPU, each deep enough to be worth its start.
  const auto deepest = static_cast<int>((rows + 255) / 256);
  const int wanted = (256 + tiles - 1) / tiles;
  depth_parts = wanted < deepest ? wanted : deepest;
  const std::int64_t elements = std::int64_t{tiles} * coupled_tile_elements;
  gamma = bump.take<float>(elements * depth_parts);
  arrived = bump.take<float>(elements);
  moves = bump.take<__half>(elements);
  column_moves = bump.take<__half>(elements);
  errors = bump.take<__half>(elements);
  codes = bump.take<std::uint8_t>(elements);
  changes = bump.take<double>(tiles);
  crossed = bump.take<float>(std::int64_t{tiles} * tiles);
  accepted = bump.take<int>(tiles);
}

void coupled_gradients(const CoupledMatrix& matrix, const CoupledBuffers& buffers, const CoupledStep& step, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(step.count), static_cast<unsigned>(buffers.depth_parts));
  gradients_kernel<<<grid, gemm_threads, 0, stream>>>(matrix, step, buffers.depth_parts, buffers.gamma);
  check_launch("coupled_gradients");
}

void accept_coupled_tiles(const CoupledMatrix& matrix, const CoupledBuffers& buffers, const CoupledStep& step, cudaStream_t stream) {
  const auto count = static_cast<unsigned>(step.count);
  if (count > 1) {
    crossed_kernel<<<dim3(count, count), gemm_threads, 0, stream>>>(matrix, step, buffers.moves, buffers.column_moves, buffers.changes,
                                                                    buffers.crossed);
  }
  accept_kernel<<<1, most_coupled_tiles, 0, stream>>>(step.count, buffers.changes, buffers.crossed, buffers.accepted, matrix.objective);
  const auto lines = static_cast<unsigned>((matrix.columns + coupled_tile - 1) / coupled_tile);
  make_moves_kernel<<<dim3(lines, count), gemm_threads, 0, stream>>>(matrix, step, buffers.moves, buffers.errors, buffers.codes,
                                                                     buffers.accepted);
  check_launch("accept_coupled_tiles");
}

void sweep_coupled_step(const CoupledMatrix& matrix, const CoupledBuffers& buffers, int step, cudaStream_t stream) {
  const CoupledStep tiles(CoupledSchedule(matrix.rows, matrix.columns), step);
  coupled_gradients(matrix, buffers, tiles, stream);
  sweep_coupled_tiles(matrix, buffers, tiles, stream);
  accept_coupled_tiles(matrix, buffers, tiles, stream);
}

}  // namespace fp8::cuda
