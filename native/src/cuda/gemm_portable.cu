// C = alpha · A · Bᵀ + beta · C on every GPU with FP16 tensor cores (compute capability 7.5 and later): 128 × 128 tiles, 8 warps of
// 64 × 32, operand slices of 32 columns in a ring in shared memory, filled by asynchronous copies where the GPU has them (8.0).
// BF16 operands need 8.0 too.
#include <cstdint>

#include "check.h"
#include "gemm.h"
#include "gemm_tiles.cuh"

namespace fp8::cuda {

namespace {

constexpr int slice = 32;  // 64 bytes of a row: four 16-byte chunks
constexpr int stages = 3;
constexpr int threads = 256;
constexpr int operand_bytes = gemm_tile * slice * 2;

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
  for (int i = 0; i < gemm_tile * 4 / threads; ++i) {
    const int index = static_cast<int>(threadIdx.x) + i * threads;
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

template <Element element>
__global__ void __launch_bounds__(threads, 2)
    gemm_portable_kernel(const std::uint16_t* __restrict__ a, std::int64_t a_leading, const std::uint16_t* __restrict__ b,
                         std::int64_t b_leading, float* __restrict__ c, std::int64_t c_leading, int rows, int columns, int depth,
                         float alpha, float beta, bool lower) {
  __shared__ alignas(16) unsigned char ring[stages][2][operand_bytes];
  const int tile_rows = (rows + gemm_tile - 1) / gemm_tile;
  const int tile_columns = (columns + gemm_tile - 1) / gemm_tile;
  const int block = static_cast<int>(blockIdx.x);
  const TileIndex tile = lower ? lower_tile_of_block(block) : tile_of_block(block, tile_rows, tile_columns);
  const int first_row = tile.row * gemm_tile;
  const int first_column = tile.column * gemm_tile;
  const int steps = (depth + slice - 1) / slice;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp_row = warp % 2 * 64;
  const int warp_column = warp / 2 * 32;

  auto fill = [&](int step) {
    if (step < steps) {
      copy_operand(ring[step % stages][0], a, a_leading, first_row, rows, step * slice, depth);
      copy_operand(ring[step % stages][1], b, b_leading, first_column, columns, step * slice, depth);
    }
    copies_commit();
  };

  float sum[4][4][4] = {};
#pragma unroll
  for (int step = 0; step < stages - 1; ++step) fill(step);
  for (int step = 0; step < steps; ++step) {
    copies_wait<stages - 2>();
    __syncthreads();
    // The stage filled here was read in the step before this one, which the barrier has closed.
    fill(step + stages - 1);
    const unsigned char* tile_a = ring[step % stages][0];
    const unsigned char* tile_b = ring[step % stages][1];
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

#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = first_row + warp_row + 16 * i + lane / 4 + 8 * half;
      if (row >= rows) continue;
      float* c_row = c + row * c_leading;
      float2 pairs[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) pairs[j] = {sum[i][j][2 * half], sum[i][j][2 * half + 1]};
      const int column = first_column + warp_column + lane % 4 * 2;
      store_pairs(c_row + column, columns - column, pairs, alpha, beta);
    }
  }
}

template <Element element>
void launch(const Gemm& p, cudaStream_t stream) {
  const bool lower = p.triangle == Triangle::lower;
  gemm_portable_kernel<element><<<tile_count(p.rows, p.columns, lower), threads, 0, stream>>>(
      static_cast<const std::uint16_t*>(p.a.data), p.a.leading, static_cast<const std::uint16_t*>(p.b.data), p.b.leading, p.c, p.c_leading,
      p.rows, p.columns, p.depth, p.alpha, p.beta, lower);
  check_launch("gemm_portable");
}

}  // namespace

bool has_code_for_current_device() {
  cudaFuncAttributes attributes{};
  const bool found = cudaFuncGetAttributes(&attributes, gemm_portable_kernel<Element::f16>) == cudaSuccess;
  (void)cudaGetLastError();
  return found;
}

void gemm_portable(const Gemm& product, cudaStream_t stream) {
  if (product.element == Element::f16) {
    launch<Element::f16>(product, stream);
  } else {
    launch<Element::bf16>(product, stream);
  }
}

}  // namespace fp8::cuda
