#include "cpu/low_rank_hessian.h"

#include <cmath>
#include <cstring>

#include "core/stop.h"
#include "cpu/blas.h"
#include "fp8/error.h"

namespace fp8 {

namespace {

constexpr std::size_t rank_tile = 256;

}  // namespace

LowRankHessian make_exact_low_rank_hessian(const ScaledMatrix& matrix, float damping) {
  LowRankHessian hessian;
  hessian.size = matrix.columns;
  hessian.rank = matrix.rows;
  hessian.tau = damping;
  hessian.factor = static_cast<float>(1.0 / std::sqrt(matrix.mean_energy));
  hessian.basis = matrix.values.data();
  hessian.basis_stride = matrix.stride;
  return hessian;
}

// P = S⁻¹ grows by blocks of columns J: with Z = P B_J, G = I + B_JᵀZ = RᵀR and X = Z R⁻¹, the block's c_j are the columns of X divided by
// R_jj, D_j is τ R_jj², and P becomes P − XXᵀ (Woodbury's identity for every leading part of the block at once).
void prepare_feedback(LowRankHessian& hessian, Context& context) {
  constexpr std::size_t tile = LowRankHessian::tile;
  const std::size_t rank = hessian.rank;
  const std::size_t tiles = block_count(hessian.size, tile);
  const std::size_t rank_tiles = block_count(rank, rank_tile);
  hessian.feedback_columns = Buffer<float>(rank * hessian.size);
  hessian.feedback_tiles = Buffer<float>(tiles * tile * tile);
  hessian.feedback_weights = Buffer<float>(hessian.size);

  Buffer<float> inverse(rank * rank);
  std::memset(inverse.data(), 0, inverse.size() * sizeof(float));
  for (std::size_t i = 0; i < rank; ++i) inverse[i * rank + i] = 1.0F / hessian.tau;
  Buffer<float> g(tile * tile);
  for (std::size_t index = 0; index < tiles; ++index) {
    const Block columns = block_at(index, tile, hessian.size);
    const std::size_t count = columns.size();
    // Z lives where C will be; the same rows turn into X and then, once P has been updated, into C.
    float* z = hessian.feedback_columns.data() + columns.begin * rank;
    context.pool.parallel_for(rank_tiles, context.stop, [&](std::size_t part) {
      const Block rows = block_at(part, rank_tile, rank);
      blas::gemm(blas::Op::transposed, blas::Op::plain, rows.size(), count, rank, hessian.factor, inverse.data() + rows.begin * rank, rank,
                 hessian.column(columns.begin), hessian.basis_stride, 0.0F, z + rows.begin, rank);
    });
    throw_if_stopped(context.stop);
    blas::gemm(blas::Op::transposed, blas::Op::plain, count, count, rank, hessian.factor, hessian.column(columns.begin),
               hessian.basis_stride, z, rank, 0.0F, g.data(), count);
    for (std::size_t i = 0; i < count; ++i) g[i * count + i] += 1.0F;
    if (!blas::cholesky_upper(count, g.data(), count)) {
      throw Error(ErrorCode::internal, "The low-rank matrix of the objective is not positive definite.");
    }
    context.pool.parallel_for(rank_tiles, context.stop, [&](std::size_t part) {
      const Block rows = block_at(part, rank_tile, rank);
      blas::solve_upper_from_right(rows.size(), count, g.data(), count, z + rows.begin, rank);
    });
    context.pool.parallel_for(rank_tiles, context.stop, [&](std::size_t part) {
      const Block rows = block_at(part, rank_tile, rank);
      blas::gemm(blas::Op::plain, blas::Op::transposed, rank, rows.size(), count, -1.0F, z, rank, z + rows.begin, rank, 1.0F,
                 inverse.data() + rows.begin * rank, rank);
    });
    for (std::size_t j = 0; j < count; ++j) {
      const float root = g[j * count + j];
      hessian.feedback_weights[columns.begin + j] = hessian.tau * root * root;
      for (std::size_t i = 0; i < rank; ++i) z[j * rank + i] /= root;
    }
    blas::gemm(blas::Op::transposed, blas::Op::plain, count, count, rank, hessian.factor, hessian.column(columns.begin),
               hessian.basis_stride, z, rank, 0.0F, hessian.feedback_tiles.data() + index * tile * tile, count);
    context.progress.advance(1.0 / static_cast<double>(tiles));
  }
}

void prepare_sweeps(LowRankHessian& hessian, Context& context) {
  constexpr std::size_t tile = LowRankHessian::tile;
  const std::size_t tiles = block_count(hessian.size, tile);
  hessian.diagonal_tiles = Buffer<float>(tiles * tile * tile);
  context.pool.parallel_for(tiles, context.stop, [&](std::size_t index) {
    const Block columns = block_at(index, tile, hessian.size);
    const std::size_t count = columns.size();
    float* out = hessian.diagonal_tiles.data() + index * tile * tile;
    blas::gemm(blas::Op::transposed, blas::Op::plain, count, count, hessian.rank, hessian.factor * hessian.factor,
               hessian.column(columns.begin), hessian.basis_stride, hessian.column(columns.begin), hessian.basis_stride, 0.0F, out, count);
    for (std::size_t i = 0; i < count; ++i) out[i * count + i] += hessian.tau;
  });
}

std::uint64_t low_rank_hessian_bytes(std::size_t size, std::size_t rank) {
  constexpr std::size_t tile = LowRankHessian::tile;
  return (static_cast<std::uint64_t>(rank) * size + static_cast<std::uint64_t>(rank) * rank +
          2 * static_cast<std::uint64_t>(round_up(size, tile)) * tile) *
         sizeof(float);
}

}  // namespace fp8
