// DenseHessian: H of the objective tr(E H Eᵀ) and its factor H = U D Uᵀ, in one square.
//
// The columns are those of a ScaledMatrix, and error feedback takes them from the last to the first. With that order U is L·diag(L)⁻¹ and D
// is diag(L)² of the ordinary Cholesky factor H = L Lᵀ: u_ij = L_ij / L_jj for i > j.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/buffer.h"
#include "cpu/context.h"
#include "cpu/scaled_matrix.h"

namespace fp8 {

struct DenseHessian {
  // Rows and columns of one tile on the diagonal; also the columns that feedback and sweeps take at a time.
  static constexpr std::size_t tile = 128;

  std::size_t size = 0;
  std::size_t stride = 0;
  // Row-major. Above the diagonal tiles: H. On and below the diagonal, once factorised: L.
  Buffer<float> square;
  // Tile t of H's diagonal, whole: b × b, contiguous, at t * tile * tile, where b is tile, or less for the last.
  Buffer<float> diagonal_tiles;

  const float* diagonal_tile(std::size_t index) const { return diagonal_tiles.data() + index * tile * tile; }
  // H_ij for i in a tile before j's.
  const float* above(std::size_t i, std::size_t j) const { return square.data() + i * stride + j; }
  // L_ij for i ≥ j.
  const float* factor(std::size_t i, std::size_t j) const { return square.data() + i * stride + j; }
};

// H = WᵀW normalised to mean diagonal 1, plus damping · I. Not factorised yet. Takes one unit of progress.
DenseHessian make_gram_hessian(const ScaledMatrix& matrix, float damping, Context& context);

// Multiplies what is on and below the diagonal by `factor`, damps it, mirrors it above, and fills the tiles on the diagonal. Takes a tenth
// of a unit of progress.
void finish_square(DenseHessian& hessian, float factor, float damping, Context& context);

// Replaces the part on and below the diagonal by L. Throws Error{internal} when H is not positive definite, which damping rules out.
// Takes one unit of progress.
void factorise(DenseHessian& hessian, Context& context);

// Row-major Cholesky factor L of a symmetric matrix, in place of its part on and below the diagonal; what is above stays as it is. False
// when the matrix is not positive definite. Takes one unit of progress.
bool factorise_lower(float* square, std::size_t size, std::size_t stride, Context& context);

std::uint64_t dense_hessian_bytes(std::size_t size);

}  // namespace fp8
