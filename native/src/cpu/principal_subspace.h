// The leading eigenvectors of H by randomised subspace iteration: what `top_k` keeps of the statistics, and what `tpec` projects on.
// Source: Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 53 (2011), section 4.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/exact_hessian.h"

namespace fp8 {

struct PrincipalSubspace {
  std::size_t rank = 0;
  Buffer<float> vectors;  // k × N, column j at j * rank: row i is the i-th vector; orthonormal rows, or zero where H has no more directions
  // VHVᵀ, k × k without damping. Diagonal, in falling order, where `diagonal` is true.
  Buffer<float> compressed;
  bool diagonal = false;
};

// `rank` is below N. The same seed gives the same subspace.
PrincipalSubspace find_principal_subspace(const ExactHessian& hessian, std::size_t columns, std::size_t rank, std::uint64_t seed,
                                          Context& context);

// H ≈ τI + BᵀB with B k × N on that subspace: τ is the mean of the eigenvalues that are left out, plus the damping.
LowRankHessian make_top_k_hessian(PrincipalSubspace&& subspace, std::size_t columns, float damping, Context& context);

// Makes the rows of a k × n matrix (column j at j * k) orthonormal, in order; rows that depend on earlier ones become zero.
void orthonormalise_rows(std::size_t rank, std::size_t columns, Buffer<float>& vectors, Context& context);

// Eigenvalues of a symmetric matrix in falling order, and the eigenvectors as rows; by cyclic Jacobi rotations. For orders of a few
// hundred.
struct Eigen {
  std::vector<double> values;
  std::vector<double> vectors;  // row-major
};
Eigen symmetric_eigen(std::vector<double> matrix, std::size_t order, const std::stop_token& stop);

}  // namespace fp8
