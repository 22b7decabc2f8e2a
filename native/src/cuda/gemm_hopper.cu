// C = alpha · A · Bᵀ + beta · C on Hopper: 128 × 128 tiles; one warp copies operand slices of 64 columns into a ring in shared memory
// with the bulk tensor copy engine, two warpgroups multiply them (wgmma). Two blocks share a multiprocessor, so that one's loads and
// stores of C hide behind the other's products.
#include <cuda.h>

#include <cstdint>
#include <string>

#include "check.h"
#include "fp8/error.h"
#include "gemm.h"
#include "gemm_tiles.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define FP8_HOPPER_CODE 1
#else
#define FP8_HOPPER_CODE 0
#endif

namespace fp8::cuda {

namespace {

constexpr int slice = 64;  // columns of an operand a stage holds: 128 bytes, one swizzle row
constexpr int stages = 3;
constexpr int operand_bytes = gemm_tile * slice * 2;
constexpr int stage_bytes = 2 * operand_bytes;
constexpr int consumer_warps = 8;
constexpr int threads = 32 * (consumer_warps + 1);
constexpr int shared_bytes = stages * stage_bytes + 1024;  // the swizzle needs tiles aligned to 1024 bytes

#if FP8_HOPPER_CODE

__device__ inline unsigned shared_address(const void* pointer) { return static_cast<unsigned>(__cvta_generic_to_shared(pointer)); }

__device__ inline void barrier_initialise(unsigned barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

__device__ inline void barrier_expect(unsigned barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

__device__ inline void barrier_arrive(unsigned barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

__device__ inline void barrier_wait(unsigned barrier, unsigned parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra finished;\n"
      "bra again;\n"
      "finished:\n"
      "}\n" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

__device__ inline void copy_tile(unsigned destination, const CUtensorMap* map, int column, int row, unsigned barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(destination),
               "l"(reinterpret_cast<unsigned long long>(map)), "r"(column), "r"(row), "r"(barrier)
               : "memory");
}

// A K-major tile with 128-byte swizzle: groups of 8 rows are 1024 bytes apart.
__device__ inline unsigned long long tile_descriptor(unsigned address) {
  return static_cast<unsigned long long>((address & 0x3FFFFU) >> 4) | 1ULL << 16 | 64ULL << 32 | 1ULL << 62;
}

#define FP8_R4(a, i) "+f"(a[i]), "+f"(a[i + 1]), "+f"(a[i + 2]), "+f"(a[i + 3])
#define FP8_R16(a, i) FP8_R4(a, i), FP8_R4(a, i + 4), FP8_R4(a, i + 8), FP8_R4(a, i + 12)
#define FP8_WGMMA(TYPE)                                                                                                               \
  asm volatile(                                                                                                                       \
      "{\n"                                                                                                                           \
      ".reg .pred p;\n"                                                                                                               \
      "setp.ne.b32 p, %66, 0;\n"                                                                                                      \
      "wgmma.mma_async.sync.aligned.m64n128k16.f32." TYPE "." TYPE                                                                    \
      " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, "    \
      "%26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, " \
      "%51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, %64, %65, p, 1, 1, 0, 0;\n"                                  \
      "}\n"                                                                                                                           \
      : FP8_R16(sum, 0), FP8_R16(sum, 16), FP8_R16(sum, 32), FP8_R16(sum, 48)                                                         \
      : "l"(a), "l"(b), "r"(accumulate))

template <Element element>
__device__ inline void multiply_accumulate(float (&sum)[64], unsigned long long a, unsigned long long b, int accumulate) {
  if constexpr (element == Element::f16) {
    FP8_WGMMA("f16");
  } else {
    FP8_WGMMA("bf16");
  }
}

#undef FP8_WGMMA
#undef FP8_R16
#undef FP8_R4

#endif  // FP8_HOPPER_CODE

template <Element element>
__global__ void __launch_bounds__(threads, 2)
    gemm_hopper_kernel(const __grid_constant__ CUtensorMap map_a, const __grid_constant__ CUtensorMap map_b, float* __restrict__ c,
                       std::int64_t c_leading, int rows, int columns, int depth, float alpha, float beta, bool lower) {
#if FP8_HOPPER_CODE
  extern __shared__ unsigned char dynamic_shared[];
  __shared__ alignas(8) unsigned long long barriers[2 * stages];
  const unsigned tiles = (shared_address(dynamic_shared) + 1023U) & ~1023U;
  const unsigned filled = shared_address(barriers);
  const unsigned emptied = filled + 8 * stages;

  const int tile_rows = (rows + gemm_tile - 1) / gemm_tile;
  const int tile_columns = (columns + gemm_tile - 1) / gemm_tile;
  const int block = static_cast<int>(blockIdx.x);
  const TileIndex tile = lower ? lower_tile_of_block(block) : tile_of_block(block, tile_rows, tile_columns);
  const int first_row = tile.row * gemm_tile;
  const int first_column = tile.column * gemm_tile;
  const int steps = (depth + slice - 1) / slice;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;

  if (threadIdx.x == 0) {
    for (int stage = 0; stage < stages; ++stage) {
      barrier_initialise(filled + 8 * stage, 1);
      barrier_initialise(emptied + 8 * stage, consumer_warps);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  }
  __syncthreads();

  if (warp == consumer_warps) {
    if (lane != 0) return;
    for (int step = 0; step < steps; ++step) {
      const int stage = step % stages;
      const unsigned round = static_cast<unsigned>(step / stages);
      // A fresh barrier counts as completed for the parity before its first phase.
      barrier_wait(emptied + 8 * stage, (round & 1U) ^ 1U);
      const unsigned barrier = filled + 8 * stage;
      const unsigned a = tiles + stage * stage_bytes;
      barrier_expect(barrier, stage_bytes);
      copy_tile(a, &map_a, step * slice, first_row, barrier);
      copy_tile(a + operand_bytes, &map_b, step * slice, first_column, barrier);
    }
    return;
  }

  const int group = warp / 4;  // the warpgroup takes 64 rows of the tile
  float sum[64];
#pragma unroll
  for (int i = 0; i < 64; ++i) sum[i] = 0.0F;
  for (int step = 0; step < steps; ++step) {
    const int stage = step % stages;
    barrier_wait(filled + 8 * stage, static_cast<unsigned>(step / stages) & 1U);
    const unsigned a = tiles + stage * stage_bytes + group * 64 * slice * 2;
    const unsigned b = tiles + stage * stage_bytes + operand_bytes;
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int k = 0; k < slice / 16; ++k) {
      multiply_accumulate<element>(sum, tile_descriptor(a + 32 * k), tile_descriptor(b + 32 * k), 1);
    }
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    // The products of the stage before this one are done: its buffers may be filled again.
    asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
    if (step > 0 && lane == 0) barrier_arrive(emptied + 8 * ((step - 1) % stages));
  }
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");

  const int row = first_row + group * 64 + warp % 4 * 16 + lane / 4;
  const int column = first_column + lane % 4 * 2;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int r = row + 8 * half;
    if (r >= rows) continue;
    float* c_row = c + r * c_leading;
#pragma unroll
    for (int part = 0; part < 16; part += 8) {
      float2 pairs[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) pairs[i] = {sum[4 * (part + i) + 2 * half], sum[4 * (part + i) + 2 * half + 1]};
      const int first = column + 8 * part;
      store_pairs(c_row + first, columns - first, pairs, alpha, beta);
    }
  }
#endif
}

using EncodeTiled = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*, const cuuint64_t*,
                                 const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion,
                                 CUtensorMapFloatOOBfill);

// Asked of the driver at run time: the addon links no driver library, so that it loads where there is none.
EncodeTiled encode_tiled() {
  static const EncodeTiled function = [] {
    void* entry = nullptr;
    cudaDriverEntryPointQueryResult found{};
    const cudaError_t status = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, 12000, cudaEnableDefault, &found);
    if (status != cudaSuccess || found != cudaDriverEntryPointSuccess) {
      (void)cudaGetLastError();
      entry = nullptr;
    }
    return reinterpret_cast<EncodeTiled>(entry);
  }();
  return function;
}

CUtensorMap tensor_map(const Operand& operand, Element element, int rows, int depth) {
  CUtensorMap map{};
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(depth), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[1] = {static_cast<cuuint64_t>(operand.leading) * 2};
  const cuuint32_t box[2] = {slice, gemm_tile};
  const cuuint32_t steps[2] = {1, 1};
  const auto type = element == Element::f16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  const CUresult result =
      encode_tiled()(&map, type, 2, const_cast<void*>(operand.data), sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                     CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    throw Error(ErrorCode::internal, "The driver refused the description of a matrix (code " + std::to_string(result) + ").");
  }
  return map;
}

template <Element element>
void launch(const Gemm& product, cudaStream_t stream) {
  static const bool prepared = [] {
    check(cudaFuncSetAttribute(gemm_hopper_kernel<element>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes), "gemm_hopper");
    return true;
  }();
  (void)prepared;
  const bool lower = product.triangle == Triangle::lower;
  const CUtensorMap a = tensor_map(product.a, element, product.rows, product.depth);
  const CUtensorMap b = tensor_map(product.b, element, product.columns, product.depth);
  gemm_hopper_kernel<element><<<tile_count(product.rows, product.columns, lower), threads, shared_bytes, stream>>>(
      a, b, product.c, product.c_leading, product.rows, product.columns, product.depth, product.alpha, product.beta, lower);
  check_launch("gemm_hopper");
}

}  // namespace

bool hopper_gemm_available() {
  static const bool available = [] {
    cudaFuncAttributes attributes{};
    const bool has_code =
        cudaFuncGetAttributes(&attributes, gemm_hopper_kernel<Element::f16>) == cudaSuccess && attributes.binaryVersion == 90;
    (void)cudaGetLastError();
    // A build for plain 9.0 has an empty kernel, which needs next to no registers.
    return has_code && attributes.numRegs > 64 && encode_tiled() != nullptr;
  }();
  return available;
}

void gemm_hopper(const Gemm& product, cudaStream_t stream) {
  if (product.element == Element::f16) {
    launch<Element::f16>(product, stream);
  } else {
    launch<Element::bf16>(product, stream);
  }
}

}  // namespace fp8::cuda
