// One step for the 128 columns K, with R the rows below them:
//   A_KK = C Cᵀ           (C lower triangular), X = C⁻¹, D_j = C_jj², L_KK = C · diag(C)⁻¹     factorise_block_kernel, one block
//   P = A_RK Xᵀ           = L_RK · diag(C)                                                     panel_kernel, FP32
//   A_RR ← A_RR − P Pᵀ    P = P_high + P_low, three products as one of depth 3 · 128           gemm
// The last is done at once for the next columns up to a multiple of 512, and for all four blocks together beyond.
#include <algorithm>
#include <cmath>

#include "check.h"
#include "factorise.h"
#include "split.cuh"

namespace fp8::cuda {

namespace {

constexpr int block = factor_block;
constexpr int sub = 32;
constexpr int block_threads = 256;
constexpr int block_shared_bytes = block * block * 4;  // 64 KiB: what the smallest supported GPU has

// Rows of 128 floats, rotated so that a column's elements lie in different banks.
__device__ inline int at(int i, int j) { return i * block + (j ^ (i & 31)); }

// A 32 × 32 diagonal sub-block by one warp: lane r holds row r. The diagonal receives 1 / C_jj, which is what everything after needs.
__device__ inline void factorise_sub_block(float* a, int first, int lane) {
  float row[sub];
#pragma unroll
  for (int j = 0; j < sub; ++j) row[j] = a[at(first + lane, first + j)];
#pragma unroll
  for (int k = 0; k < sub; ++k) {
    // Damping keeps every pivot near or above 1; the bound only stops rounding from making a root imaginary.
    const float pivot = fmaxf(__shfl_sync(0xFFFFFFFFU, row[k], k), 1e-6F);
    float inverse_root = rsqrtf(pivot);
    inverse_root *= 1.5F - 0.5F * pivot * inverse_root * inverse_root;
    row[k] = lane == k ? inverse_root : row[k] * inverse_root;
#pragma unroll
    for (int j = k + 1; j < sub; ++j) {
      const float other = __shfl_sync(0xFFFFFFFFU, row[k], j);
      row[j] -= row[k] * other;  // lanes above j compute what nobody reads
    }
  }
#pragma unroll
  for (int j = 0; j < sub; ++j) {
    if (j <= lane) a[at(first + lane, first + j)] = row[j];
  }
}

// Row `i` below the sub-block: x ← x C⁻ᵀ by substitution.
__device__ inline void solve_row(float* a, int i, int first) {
  float x[sub];
#pragma unroll
  for (int k = 0; k < sub; ++k) x[k] = a[at(i, first + k)];
#pragma unroll
  for (int k = 0; k < sub; ++k) {
    x[k] *= a[at(first + k, first + k)];
#pragma unroll
    for (int j = k + 1; j < sub; ++j) x[j] -= x[k] * a[at(first + j, first + k)];
  }
#pragma unroll
  for (int k = 0; k < sub; ++k) a[at(i, first + k)] = x[k];
}

// Column `lane` of the inverse of a diagonal sub-block, stored transposed above the diagonal: X_ij at (j, i). X_jj is there already.
__device__ inline void invert_sub_block(float* a, int first, int lane) {
  float x[sub];
#pragma unroll
  for (int i = 0; i < sub; ++i) x[i] = i == lane ? 1.0F : 0.0F;
#pragma unroll
  for (int k = 0; k < sub; ++k) {
    x[k] *= a[at(first + k, first + k)];
#pragma unroll
    for (int i = k + 1; i < sub; ++i) x[i] -= a[at(first + i, first + k)] * x[k];
  }
#pragma unroll
  for (int i = 0; i < sub; ++i) {
    if (i > lane) a[at(first + lane, first + i)] = x[i];
  }
}

// The lower triangle right of and below the sub-block, 4 × 4 elements a thread: a_ij −= Σ_k c_ik c_jk.
__device__ inline void update_triangle(float* a, int first, int thread) {
  constexpr int side = 4;
  const int below = first + sub;
  const int tiles = (block - below) / side;
  for (int index = thread; index < tiles * tiles; index += block_threads) {
    const int i = below + side * (index / tiles);
    const int j = below + side * (index % tiles);
    if (j > i) continue;
    float sum[side][side] = {};
#pragma unroll 8
    for (int k = first; k < below; ++k) {
      float left[side];
      float right[side];
#pragma unroll
      for (int e = 0; e < side; ++e) {
        left[e] = a[at(i + e, k)];
        right[e] = a[at(j + e, k)];
      }
#pragma unroll
      for (int x = 0; x < side; ++x) {
#pragma unroll
        for (int y = 0; y < side; ++y) sum[x][y] += left[x] * right[y];
      }
    }
#pragma unroll
    for (int x = 0; x < side; ++x) {
#pragma unroll
      for (int y = 0; y < side; ++y) {
        if (j + y <= i + x) a[at(i + x, j + y)] -= sum[x][y];
      }
    }
  }
}

// X_ij = −X_ii Σ_k C_ik X_kj for the 32 × 32 block (i0, j0), once those nearer to the diagonal are there. A thread has 4 rows of column
// j0 + lane; the place of X_ij holds the sum meanwhile.
__device__ inline void invert_off_diagonal(float* a, int i0, int j0, int warp, int lane) {
  const int j = j0 + lane;
  float sum[4] = {};
#pragma unroll 8
  for (int k = j0; k < i0; ++k) {
    const float x = k < j ? 0.0F : a[at(j, k)];
#pragma unroll
    for (int part = 0; part < 4; ++part) sum[part] += a[at(i0 + warp + 8 * part, k)] * x;
  }
#pragma unroll
  for (int part = 0; part < 4; ++part) a[at(j, i0 + warp + 8 * part)] = sum[part];
  __syncthreads();
#pragma unroll
  for (int part = 0; part < 4; ++part) sum[part] = 0;
#pragma unroll 8
  for (int k = i0; k < i0 + sub; ++k) {
    const float product = a[at(j, k)];
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      const int i = i0 + warp + 8 * part;
      const float x = a[at(k, i)];
      sum[part] += k <= i ? x * product : 0.0F;
    }
  }
  __syncthreads();
#pragma unroll
  for (int part = 0; part < 4; ++part) a[at(j, i0 + warp + 8 * part)] = -sum[part];
}

__global__ void __launch_bounds__(block_threads)
    factorise_block_kernel(const float* __restrict__ square, std::int64_t leading, int width, float* __restrict__ inverse,
                           float* __restrict__ unit_block, float* __restrict__ pivots) {
  extern __shared__ float a[];
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / 32;
  const int lane = thread % 32;
#pragma unroll 16
  for (int index = thread; index < block * block; index += block_threads) {
    const int i = index / block;
    const int j = index % block;
    // Beyond the edge the block continues as the identity.
    a[at(i, j)] = j <= i && i < width ? square[i * leading + j] : i == j ? 1.0F : 0.0F;
  }
  __syncthreads();
  for (int first = 0; first < block; first += sub) {
    if (warp == 0) factorise_sub_block(a, first, lane);
    __syncthreads();
    const int below = first + sub;
    if (thread < block - below) solve_row(a, below + thread, first);
    __syncthreads();
    update_triangle(a, first, thread);
    __syncthreads();
  }
  if (warp < block / sub) invert_sub_block(a, warp * sub, lane);
  __syncthreads();
  for (int distance = sub; distance < block; distance += sub) {
    for (int j0 = 0; j0 + distance < block; j0 += sub) invert_off_diagonal(a, j0 + distance, j0, warp, lane);
    __syncthreads();
  }
#pragma unroll 8
  for (int index = thread; index < block * block; index += block_threads) {
    const int i = index / block;
    const int j = index % block;
    inverse[index] = j <= i ? a[at(j, i)] : 0.0F;
    unit_block[index] = j < i ? a[at(i, j)] * a[at(j, j)] : 0.0F;
    if (i == j && i < width) pivots[i] = 1.0F / (a[at(i, i)] * a[at(i, i)]);
  }
}

constexpr int panel_rows = 64;
constexpr int panel_threads = 256;
constexpr int panel_slice = 32;
// Columns whose update of everything right of them is one product: four blocks, each in three parts.
constexpr int outer = 4 * block;
constexpr int panel_leading = 3 * outer;

// Rows [0, rows) of the panel; `square` points at A_RK. left = [high | high | low], right = [high | low | high], times `scale`; their rows
// are `panel_leading` apart.
__global__ void __launch_bounds__(panel_threads)
    panel_kernel(const float* __restrict__ square, std::int64_t leading, int rows, const float* __restrict__ inverse,
                 const float* __restrict__ pivots, float scale, __half* __restrict__ left, __half* __restrict__ right,
                 __half* __restrict__ transposed, std::int64_t transposed_leading) {
  __shared__ union {
    struct {
      float a[panel_slice][panel_rows + 4];
      float x[panel_slice][block + 4];
    } in;
    __half out[block][panel_rows + 8];
  } shared;
  const int thread = static_cast<int>(threadIdx.x);
  const int first_row = static_cast<int>(blockIdx.x) * panel_rows;
  const int row_group = thread / 16 * 4;     // 4 rows a thread
  const int column_group = thread % 16 * 8;  // 8 columns a thread
  float sum[4][8] = {};
  for (int k0 = 0; k0 < block; k0 += panel_slice) {
    for (int index = thread; index < panel_rows * panel_slice; index += panel_threads) {
      const int i = index / panel_slice;
      const int k = index % panel_slice;
      shared.in.a[k][i] = first_row + i < rows ? square[(first_row + i) * leading + k0 + k] : 0.0F;
    }
    for (int index = thread; index < block * panel_slice; index += panel_threads) {
      const int j = index / panel_slice;
      const int k = index % panel_slice;
      shared.in.x[k][j] = inverse[j * block + k0 + k];
    }
    __syncthreads();
#pragma unroll 8
    for (int k = 0; k < panel_slice; ++k) {
      const float4 a = *reinterpret_cast<const float4*>(&shared.in.a[k][row_group]);
      const float4 x0 = *reinterpret_cast<const float4*>(&shared.in.x[k][column_group]);
      const float4 x1 = *reinterpret_cast<const float4*>(&shared.in.x[k][column_group + 4]);
      const float rows_of_a[4] = {a.x, a.y, a.z, a.w};
      const float columns_of_x[8] = {x0.x, x0.y, x0.z, x0.w, x1.x, x1.y, x1.z, x1.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 8; ++j) sum[i][j] += rows_of_a[i] * columns_of_x[j];
      }
    }
    __syncthreads();
  }
  float inverse_root[8];
#pragma unroll
  for (int j = 0; j < 8; ++j) inverse_root[j] = rsqrtf(pivots[column_group + j]);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    alignas(16) __half high[8];
    alignas(16) __half low[8];
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const Split parts = split(sum[i][j] * scale);
      high[j] = parts.high;
      low[j] = parts.low;
      shared.out[column_group + j][row_group + i] = __float2half_rn(sum[i][j] * inverse_root[j]);
    }
    const std::int64_t row = first_row + row_group + i;
    if (row >= rows) continue;
    const uint4 high_bits = *reinterpret_cast<const uint4*>(high);
    const uint4 low_bits = *reinterpret_cast<const uint4*>(low);
    const auto store = [&](__half* panel, int part, uint4 bits) {
      *reinterpret_cast<uint4*>(panel + row * panel_leading + part * block + column_group) = bits;
    };
    store(left, 0, high_bits);
    store(left, 1, high_bits);
    store(left, 2, low_bits);
    store(right, 0, high_bits);
    store(right, 1, low_bits);
    store(right, 2, high_bits);
  }
  __syncthreads();
  for (int index = thread; index < block * panel_rows; index += panel_threads) {
    const int j = index / panel_rows;
    const int i = index % panel_rows;
    if (first_row + i < rows) transposed[j * transposed_leading + first_row + i] = shared.out[j][i];
  }
}

}  // namespace

std::int64_t factorise_scratch_bytes(int size) {
  return static_cast<std::int64_t>(block) * block * 4 + 2 * static_cast<std::int64_t>(size) * panel_leading * 2;
}

void factorise(float* square, std::int64_t leading, int size, double largest, const Factor& factor, void* scratch, GemmPath path,
               cudaStream_t stream, const std::function<void()>& between_blocks) {
  static const bool prepared = [] {
    check(cudaFuncSetAttribute(factorise_block_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, block_shared_bytes), "factorise");
    return true;
  }();
  (void)prepared;
  // No entry of P is larger than the root of H's largest diagonal entry: below 2¹⁴ all halves are finite and the low ones keep their bits.
  const float scale = static_cast<float>(std::exp2(14 - std::ceil(0.5 * std::log2(largest))));
  auto* inverse = static_cast<float*>(scratch);
  // Row i belongs to row i of H.
  auto* left = reinterpret_cast<__half*>(inverse + block * block);
  __half* right = left + static_cast<std::int64_t>(size) * panel_leading;
  // A −= P Pᵀ for the rows from `first` on and the columns [first, end), with the parts [part, part + depth) of the panel.
  const auto update = [&](int first, int end, int part, int depth, Triangle triangle) {
    gemm({.rows = size - first,
          .columns = end - first,
          .depth = depth,
          .a = {left + static_cast<std::int64_t>(first) * panel_leading + part, panel_leading},
          .b = {right + static_cast<std::int64_t>(first) * panel_leading + part, panel_leading},
          .c = square + first * leading + first,
          .c_leading = leading,
          .alpha = -1.0F / (scale * scale),
          .beta = 1.0F,
          .triangle = triangle},
         path, stream);
  };
  for (int outer_first = 0; outer_first < size; outer_first += outer) {
    const int outer_end = std::min(outer_first + outer, size);
    between_blocks();
    for (int first = outer_first; first < outer_end; first += block) {
      const int width = std::min(block, size - first);
      const float* corner = square + first * leading + first;
      factorise_block_kernel<<<1, block_threads, block_shared_bytes, stream>>>(
          corner, leading, width, inverse, factor.blocks + static_cast<std::int64_t>(first) * block, factor.pivots + first);
      check_launch("factorise_block");
      const int below = first + width;
      const int rows = size - below;
      if (rows == 0) return;
      const int part = 3 * (first - outer_first);
      const std::int64_t offset = static_cast<std::int64_t>(below) * panel_leading + part;
      panel_kernel<<<static_cast<unsigned>((rows + panel_rows - 1) / panel_rows), panel_threads, 0, stream>>>(
          corner + block * leading, leading, rows, inverse, factor.pivots + first, scale, left + offset, right + offset,
          factor.transposed + first * factor.leading + below, factor.leading);
      check_launch("factorise_panel");
      if (below < outer_end) update(below, outer_end, part, 3 * block, Triangle::all);
    }
    update(outer_end, size, 0, panel_leading, Triangle::lower);
  }
}

}  // namespace fp8::cuda
