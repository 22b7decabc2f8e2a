// The heart of matrix products on every GPU with FP16 tensor cores (compute capability 7.5 and later): a tile of 128 × 128, 8 warps of
// 64 × 32, operand slices of 32 columns in a ring in shared memory, filled by asynchronous copies where the GPU has them (8.0).
#pragma once

#include <cstdint>

#include "gemm.h"
#include "gemm_tiles.cuh"

namespace fp8::cuda {

inline constexpr int gemm_slice = 32;  // 64 bytes of a row: four 16-byte chunks
inline constexpr int gemm_stages = 3;
inline constexpr int gemm_threads = 256;
inline constexpr int gemm_operand_bytes = gemm_tile * gemm_slice * 2;

// Chunk `chunk` of row `row`: two rows share 128 bytes, and neighbouring pairs of rows are rotated, so that the 8 rows that one
// ldmatrix phase reads lie in different banks.
__device__ inline int chunk_offset(int row, int chunk) { return row * 64 + ((chunk ^ (row >> 1 & 3)) << 4); }

__device__ inline void copy_chunk(unsigned char* destination, const std::uint16_t* source, int bytes) {
#if __CUDA_ARCH__ >= 800
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(destination));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(source), "r"(bytes) : "memory");
#else
  uint4 value = {0, 0, 0, 0};
  if (bytes == 16) {
    value = *reinterpret_cast<const uint4*>(source);
  } else {
    std::uint16_t parts[8] = {};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (2 * i < bytes) parts[i] = source[i];
    }
    value = {static_cast<unsigned>(parts[0] | parts[1] << 16), static_cast<unsigned>(parts[2] | parts[3] << 16),
             static_cast<unsigned>(parts[4] | parts[5] << 16), static_cast<unsigned>(parts[6] | parts[7] << 16)};
  }
  *reinterpret_cast<uint4*>(destination) = value;
#endif
}

__device__ inline void copies_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int pending>
__device__ inline void copies_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

// 128 rows × 32 columns from (first_row, first_column); zeros beyond `rows` and `depth`.
__device__ inline void copy_operand(unsigned char* tile, const std::uint16_t* data, std::int64_t leading, int first_row, int rows,
                                    int first_column, int depth) {
#pragma unroll
  for (int i = 0; i < gemm_tile * 4 / gemm_threads; ++i) {
    const int index = static_cast<int>(threadIdx.x) + i * gemm_threads;
    const int row = index / 4;
    const int chunk = index % 4;
    const int column = first_column + chunk * 8;
    const bool inside = first_row + row < rows && column < depth;
    const int bytes = inside ? min(16, 2 * (depth - column)) : 0;
    copy_chunk(tile + chunk_offset(row, chunk), data + (inside ? (first_row + row) * leading + column : 0), bytes);
  }
}

__device__ inline void load_matrices(unsigned (&part)[4], const unsigned char* address) {
  const auto shared = static_cast<unsigned>(__cvta_generic_to_shared(address));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(part[0]), "=r"(part[1]), "=r"(part[2]), "=r"(part[3])
               : "r"(shared)
               : "memory");
}

template <Element element>
__device__ inline void multiply_accumulate(float (&sum)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if __CUDA_ARCH__ >= 800
  if constexpr (element == Element::f16) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
#else
  if constexpr (element == Element::f16) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
                 : "r"(a[2]), "r"(a[3]), "r"(b1));
  } else {
    __trap();
  }
#endif
}

// What operands pass through, in shared memory.
using GemmRing = unsigned char[gemm_stages][2][gemm_operand_bytes];

// 128 rows of one operand of a product.
struct TileOperand {
  const std::uint16_t* data;
  std::int64_t leading;
  int first_row;
  int rows;  // of the whole; zeros beyond
};

// sum[i][j]: the thread's share of A · Bᵀ over the columns [begin, end) of both: rows 16 i and columns 8 j of its warp's 64 × 32, see
// for_pairs. Ends with all warps' copies complete, not with a barrier.
template <Element element>
__device__ inline void multiply_tile(GemmRing& ring, const TileOperand& a, const TileOperand& b, int begin, int end,
                                     float (&sum)[4][4][4]) {
  const int steps = (end - begin + gemm_slice - 1) / gemm_slice;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp_row = warp % 2 * 64;
  const int warp_column = warp / 2 * 32;

  auto fill = [&](int step) {
    if (step < steps) {
      copy_operand(ring[step % gemm_stages][0], a.data, a.leading, a.first_row, a.rows, begin + step * gemm_slice, end);
      copy_operand(ring[step % gemm_stages][1], b.data, b.leading, b.first_row, b.rows, begin + step * gemm_slice, end);
    }
    copies_commit();
  };

#pragma unroll
  for (int step = 0; step < gemm_stages - 1; ++step) fill(step);
  for (int step = 0; step < steps; ++step) {
    copies_wait<gemm_stages - 2>();
    __syncthreads();
    // The stage filled here was read in the step before this one, which the barrier has closed.
    fill(step + gemm_stages - 1);
    const unsigned char* tile_a = ring[step % gemm_stages][0];
    const unsigned char* tile_b = ring[step % gemm_stages][1];
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      unsigned part_a[4][4];
      unsigned part_b[2][4];
#pragma unroll
      for (int i = 0; i < 4; ++i) load_matrices(part_a[i], tile_a + chunk_offset(warp_row + 16 * i + lane % 16, 2 * k + lane / 16));
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int row = warp_column + 16 * i + lane % 8 + lane / 16 * 8;
        load_matrices(part_b[i], tile_b + chunk_offset(row, 2 * k + lane / 8 % 2));
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j)
          multiply_accumulate<element>(sum[i][j], part_a[i], part_b[j / 2][j % 2 * 2], part_b[j / 2][j % 2 * 2 + 1]);
      }
    }
  }
}

// Calls body(row, column, pairs) for each row of the tile in which the thread has sums: four pairs of neighbours, 8 columns apart.
template <typename Body>
__device__ inline void for_pairs(const float (&sum)[4][4][4], Body body) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float2 pairs[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) pairs[j] = {sum[i][j][2 * half], sum[i][j][2 * half + 1]};
      body(warp % 2 * 64 + 16 * i + lane / 4 + 8 * half, warp / 2 * 32 + lane % 4 * 2, pairs);
    }
  }
}

}  // namespace fp8::cuda
