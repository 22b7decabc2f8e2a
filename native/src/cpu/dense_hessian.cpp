#include "cpu/dense_hessian.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/stop.h"
#include "cpu/blas.h"
#include "fp8/error.h"

namespace fp8 {

namespace {

// Fixed sizes: they are part of the definition of the result, since sums follow them.
constexpr std::size_t gram_tile = 384;
constexpr std::size_t panel = 256;

// Tile pairs (i, j) with i ≥ j, in the order of a triangle's rows.
std::pair<std::size_t, std::size_t> triangle_pair(std::size_t index) {
  auto row = static_cast<std::size_t>((std::sqrt(8.0 * static_cast<double>(index) + 1) - 1) / 2);
  while ((row + 1) * (row + 2) / 2 <= index) ++row;
  while (row * (row + 1) / 2 > index) --row;
  return {row, index - row * (row + 1) / 2};
}

// WᵀW on and below the diagonal (tiles on the diagonal whole).
void multiply(const ScaledMatrix& matrix, DenseHessian& hessian, Context& context) {
  const std::size_t tiles = block_count(hessian.size, gram_tile);
  const std::size_t pairs = tiles * (tiles + 1) / 2;
  context.pool.parallel_for(pairs, context.stop, [&](std::size_t index) {
    const auto [row_tile, column_tile] = triangle_pair(index);
    const Block rows = block_at(row_tile, gram_tile, hessian.size);
    const Block columns = block_at(column_tile, gram_tile, hessian.size);
    blas::gemm(blas::Op::transposed, blas::Op::plain, columns.size(), rows.size(), matrix.rows, 1.0F, matrix.column(columns.begin),
               matrix.stride, matrix.column(rows.begin), matrix.stride, 0.0F,
               hessian.square.data() + rows.begin * hessian.stride + columns.begin, hessian.stride);
    context.progress.advance(0.9 / static_cast<double>(pairs));
  });
}

}  // namespace

void finish_square(DenseHessian& hessian, float factor, float damping, Context& context) {
  constexpr std::size_t tile = DenseHessian::tile;
  const std::size_t tiles = block_count(hessian.size, tile);
  float* square = hessian.square.data();
  const std::size_t stride = hessian.stride;
  context.pool.parallel_for(tiles, context.stop, [&](std::size_t row_tile) {
    const Block rows = block_at(row_tile, tile, hessian.size);
    for (std::size_t column_tile = 0; column_tile < row_tile; ++column_tile) {
      const Block columns = block_at(column_tile, tile, hessian.size);
      for (std::size_t i = rows.begin; i < rows.end; ++i) {
        for (std::size_t j = columns.begin; j < columns.end; ++j) {
          const float value = square[i * stride + j] * factor;
          square[i * stride + j] = value;
          square[j * stride + i] = value;
        }
      }
    }
    float* diagonal_tile = hessian.diagonal_tiles.data() + row_tile * tile * tile;
    const std::size_t size = rows.size();
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        float& entry = square[(rows.begin + i) * stride + rows.begin + j];
        entry = entry * factor + (i == j ? damping : 0.0F);
        diagonal_tile[i * size + j] = entry;
        diagonal_tile[j * size + i] = entry;
      }
    }
    context.progress.advance(0.1 / static_cast<double>(tiles));
  });
}

DenseHessian make_gram_hessian(const ScaledMatrix& matrix, float damping, Context& context) {
  DenseHessian hessian;
  hessian.size = matrix.columns;
  hessian.stride = padded_stride(matrix.columns);
  hessian.square = Buffer<float>(hessian.size * hessian.stride);
  hessian.diagonal_tiles = Buffer<float>(block_count(hessian.size, DenseHessian::tile) * DenseHessian::tile * DenseHessian::tile);
  multiply(matrix, hessian, context);
  finish_square(hessian, static_cast<float>(1.0 / matrix.mean_energy), damping, context);
  return hessian;
}

// Left-looking Cholesky by panels: each tile of a panel gets all earlier columns in one product, whatever the number of threads.
// In column-major terms the lower triangle of the row-major square is an upper triangle R with H = RᵀR.
bool factorise_lower(float* square, std::size_t size, std::size_t stride, Context& context) {
  const std::size_t panels = block_count(size, panel);
  const double work = static_cast<double>(panels) * static_cast<double>(panels) * static_cast<double>(panels);
  for (std::size_t k = 0; k < panels; ++k) {
    const Block columns = block_at(k, panel, size);
    const auto at = [&](std::size_t i, std::size_t j) { return square + i * stride + j; };
    if (columns.begin > 0) {
      context.pool.parallel_for(panels - k, context.stop, [&](std::size_t offset) {
        const Block rows = block_at(k + offset, panel, size);
        if (offset == 0) {
          blas::gram_upper(columns.size(), columns.begin, -1.0F, at(columns.begin, 0), stride, 1.0F, at(columns.begin, columns.begin),
                           stride);
        } else {
          blas::gemm(blas::Op::transposed, blas::Op::plain, columns.size(), rows.size(), columns.begin, -1.0F, at(columns.begin, 0), stride,
                     at(rows.begin, 0), stride, 1.0F, at(rows.begin, columns.begin), stride);
        }
        context.progress.advance(6.0 * static_cast<double>(k) / work);
      });
    }
    throw_if_stopped(context.stop);
    if (!blas::cholesky_upper(columns.size(), at(columns.begin, columns.begin), stride)) return false;
    context.pool.parallel_for(panels - k - 1, context.stop, [&](std::size_t offset) {
      const Block rows = block_at(k + 1 + offset, panel, size);
      blas::solve_upper_transposed(columns.size(), rows.size(), at(columns.begin, columns.begin), stride, at(rows.begin, columns.begin),
                                   stride);
    });
  }
  return true;
}

void factorise(DenseHessian& hessian, Context& context) {
  if (!factorise_lower(hessian.square.data(), hessian.size, hessian.stride, context)) {
    throw Error(ErrorCode::internal, "The matrix of the objective is not positive definite.");
  }
}

std::uint64_t dense_hessian_bytes(std::size_t size) {
  return static_cast<std::uint64_t>(size) * padded_stride(size) * sizeof(float) +
         static_cast<std::uint64_t>(round_up(size, DenseHessian::tile)) * DenseHessian::tile * sizeof(float);
}

}  // namespace fp8
