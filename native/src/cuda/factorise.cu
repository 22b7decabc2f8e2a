// One step for the 128 columns K, with R the rows below them:
//   A_KK = C Cᵀ           (C lower triangular), X = C⁻¹, D_j = C_jj², L_KK = C · diag(C)⁻¹     factorise_block_kernel, one block
//   P = A_RK Xᵀ           = L_RK · diag(C)                                                     panel_kernel, FP32
//   A_RR ← A_RR − P Pᵀ    P = P_high + P_low, three products as one of depth 3 · 128           gemm
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

// A 32 × 32 diagonal sub-block by one warp: lane r holds row r.
__device__ inline void factorise_sub_block(float* a, int first, int lane) {
  float row[sub];
#pragma unroll
  for (int j = 0; j < sub; ++j) row[j] = a[at(first + lane, first + j)];
#pragma unroll
  for (int k = 0; k < sub; ++k) {
    // Damping keeps every pivot near or above 1; the bound only stops rounding from making a root imaginary.
    const float root = sqrtf(fmaxf(__shfl_sync(0xFFFFFFFFU, row[k], k), 1e-6F));
    row[k] = lane == k ? root : row[k] / root;
#pragma unroll
    for (int j = k + 1; j < sub; ++j) {
      const float other = __shfl_sync(0xFFFFFFFFU, row[k], j);
      if (lane >= j) row[j] -= row[k] * other;
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
    float sum = x[k];
#pragma unroll
    for (int j = 0; j < k; ++j) sum -= x[j] * a[at(first + k, first + j)];
    x[k] = sum / a[at(first + k, first + k)];
  }
#pragma unroll
  for (int k = 0; k < sub; ++k) a[at(i, first + k)] = x[k];
}

// Column `lane` of the inverse of a diagonal sub-block, stored transposed above the diagonal: X_ij at (j, i). The diagonal is implied.
__device__ inline void invert_sub_block(float* a, int first, int lane) {
  float x[sub];
#pragma unroll
  for (int i = 0; i < sub; ++i) {
    float sum = i == lane ? 1.0F : 0.0F;
#pragma unroll
    for (int k = 0; k < i; ++k) sum -= a[at(first + i, first + k)] * x[k];
    x[i] = sum / a[at(first + i, first + i)];
  }
#pragma unroll
  for (int i = 0; i < sub; ++i) {
    if (i > lane) a[at(first + lane, first + i)] = x[i];
  }
}

__device__ inline float inverse_at(const float* a, int i, int j) { return i == j ? 1.0F / a[at(i, i)] : i > j ? a[at(j, i)] : 0.0F; }

__global__ void __launch_bounds__(block_threads)
    factorise_block_kernel(const float* __restrict__ square, std::int64_t leading, int width, float* __restrict__ inverse,
                           float* __restrict__ unit_block, float* __restrict__ pivots) {
  extern __shared__ float a[];
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / 32;
  const int lane = thread % 32;
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
    // The rest of the lower triangle, two by two elements a thread.
    const int pairs = (block - below) / 2;
    for (int index = thread; index < pairs * pairs; index += block_threads) {
      const int i = below + 2 * (index / pairs);
      const int j = below + 2 * (index % pairs);
      if (j > i + 1) continue;
      float s00 = 0, s01 = 0, s10 = 0, s11 = 0;
#pragma unroll 8
      for (int k = first; k < below; ++k) {
        const float i0 = a[at(i, k)], i1 = a[at(i + 1, k)], j0 = a[at(j, k)], j1 = a[at(j + 1, k)];
        s00 += i0 * j0;
        s01 += i0 * j1;
        s10 += i1 * j0;
        s11 += i1 * j1;
      }
      a[at(i, j)] -= s00;
      a[at(i + 1, j)] -= s10;
      a[at(i + 1, j + 1)] -= s11;
      if (j < i) a[at(i, j + 1)] -= s01;
    }
    __syncthreads();
  }
  if (warp < block / sub) invert_sub_block(a, warp * sub, lane);
  __syncthreads();
  // X_ij = −X_ii Σ_k C_ik X_kj, by distance from the diagonal. Each 32 × 32 product is 4 elements a thread.
  for (int distance = 1; distance < block / sub; ++distance) {
    for (int j0 = 0; j0 + distance * sub < block; j0 += sub) {
      const int i0 = j0 + distance * sub;
      float sums[4];
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int i = i0 + warp + 8 * part;
        const int j = j0 + lane;
        float sum = 0;
        for (int k = j0; k < i0; ++k) sum += a[at(i, k)] * inverse_at(a, k, j);
        sums[part] = sum;
      }
      // The place of X_ij holds the sum meanwhile.
#pragma unroll
      for (int part = 0; part < 4; ++part) a[at(j0 + lane, i0 + warp + 8 * part)] = sums[part];
      __syncthreads();
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int i = i0 + warp + 8 * part;
        float sum = 0;
        for (int k = i0; k <= i; ++k) sum += inverse_at(a, i, k) * a[at(j0 + lane, k)];
        sums[part] = -sum;
      }
      __syncthreads();
#pragma unroll
      for (int part = 0; part < 4; ++part) a[at(j0 + lane, i0 + warp + 8 * part)] = sums[part];
    }
    __syncthreads();
  }
  for (int index = thread; index < block * block; index += block_threads) {
    const int i = index / block;
    const int j = index % block;
    inverse[index] = inverse_at(a, i, j);
    unit_block[index] = j < i ? a[at(i, j)] / a[at(j, j)] : 0.0F;
    if (i == j && i < width) pivots[i] = a[at(i, i)] * a[at(i, i)];
  }
}

constexpr int panel_rows = 64;
constexpr int panel_threads = 256;
constexpr int panel_slice = 32;

// Rows [0, rows) of the panel; `square` points at A_RK. left = [high | high | low], right = [high | low | high], times `scale`.
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
      *reinterpret_cast<uint4*>(panel + row * 3 * block + part * block + column_group) = bits;
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
  return static_cast<std::int64_t>(block) * block * 4 + 2 * static_cast<std::int64_t>(size) * 3 * block * 2;
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
  auto* left = reinterpret_cast<__half*>(inverse + block * block);
  __half* right = left + static_cast<std::int64_t>(size) * 3 * block;
  for (int first = 0; first < size; first += block) {
    between_blocks();
    const int width = std::min(block, size - first);
    float* corner = square + first * leading + first;
    factorise_block_kernel<<<1, block_threads, block_shared_bytes, stream>>>(
        corner, leading, width, inverse, factor.blocks + static_cast<std::int64_t>(first) * block, factor.pivots + first);
    check_launch("factorise_block");
    const int rows = size - first - width;
    if (rows == 0) break;
    panel_kernel<<<static_cast<unsigned>((rows + panel_rows - 1) / panel_rows), panel_threads, 0, stream>>>(
        corner + block * leading, leading, rows, inverse, factor.pivots + first, scale, left, right,
        factor.transposed + first * factor.leading + first + block, factor.leading);
    check_launch("factorise_panel");
    gemm({.rows = rows,
          .columns = rows,
          .depth = 3 * block,
          .a = {left, 3 * block},
          .b = {right, 3 * block},
          .c = corner + block * leading + block,
          .c_leading = leading,
          .alpha = -1.0F / (scale * scale),
          .beta = 1.0F,
          .triangle = Triangle::lower},
         path, stream);
  }
}

}  // namespace fp8::cuda
