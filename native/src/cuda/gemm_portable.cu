// C = alpha · A · Bᵀ + beta · C on every GPU with FP16 tensor cores (compute capability 7.5 and later); BF16 operands need 8.0.
#include <cstdint>

#include "check.h"
#include "gemm.h"
#include "tile_product.cuh"

namespace fp8::cuda {

namespace {

template <Element element>
__global__ void __launch_bounds__(gemm_threads, 2)
    gemm_portable_kernel(const std::uint16_t* __restrict__ a, std::int64_t a_leading, const std::uint16_t* __restrict__ b,
                         std::int64_t b_leading, float* __restrict__ c, std::int64_t c_leading, int rows, int columns, int depth,
                         float alpha, float beta, bool lower) {
  __shared__ alignas(16) GemmRing ring;
  const int tile_rows = (rows + gemm_tile - 1) / gemm_tile;
  const int tile_columns = (columns + gemm_tile - 1) / gemm_tile;
  const int block = static_cast<int>(blockIdx.x);
  const TileIndex tile = lower ? lower_tile_of_block(block) : tile_of_block(block, tile_rows, tile_columns);
  const int first_row = tile.row * gemm_tile;
  const int first_column = tile.column * gemm_tile;
  float sum[4][4][4] = {};
  multiply_tile<element>(ring, {a, a_leading, first_row, rows}, {b, b_leading, first_column, columns}, 0, depth, sum);
  for_pairs(sum, [&](int row, int column, const float2(&pairs)[4]) {
    if (first_row + row >= rows) return;
    store_pairs(c + (first_row + row) * c_leading + first_column + column, columns - first_column - column, pairs, alpha, beta);
  });
}

template <Element element>
void launch(const Gemm& p, cudaStream_t stream) {
  const bool lower = p.triangle == Triangle::lower;
  gemm_portable_kernel<element><<<tile_count(p.rows, p.columns, lower), gemm_threads, 0, stream>>>(
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
