// A large matrix product on the pool, in tiles of fixed size.
#pragma once

#include <cstddef>

#include "cpu/blas.h"
#include "cpu/context.h"

namespace fp8 {

// C (m × n) = alpha · op(A) · op(B) + beta · C, column-major.
inline void parallel_product(blas::Op op_a, blas::Op op_b, std::size_t m, std::size_t n, std::size_t k, float alpha, const float* a,
                             std::size_t stride_a, const float* b, std::size_t stride_b, float beta, float* c, std::size_t stride_c,
                             Context& context) {
  constexpr std::size_t tile = 256;
  const std::size_t row_tiles = block_count(m, tile);
  context.pool.parallel_for(row_tiles * block_count(n, tile), context.stop, [&](std::size_t index) {
    const Block rows = block_at(index % row_tiles, tile, m);
    const Block columns = block_at(index / row_tiles, tile, n);
    const float* from_a = a + (op_a == blas::Op::plain ? rows.begin : rows.begin * stride_a);
    const float* from_b = b + (op_b == blas::Op::plain ? columns.begin * stride_b : columns.begin);
    blas::gemm(op_a, op_b, rows.size(), columns.size(), k, alpha, from_a, stride_a, from_b, stride_b, beta,
               c + columns.begin * stride_c + rows.begin, stride_c);
  });
}

}  // namespace fp8
