#include "cpu/principal_subspace.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "core/stop.h"
#include "cpu/blas.h"
#include "cpu/parallel_product.h"
#include "fp8/error.h"

namespace fp8 {

namespace {

constexpr int iterations = 4;
// Extra vectors make the last of the wanted ones converge; they are dropped at the end, which takes an eigenvalue problem of that order.
constexpr std::size_t oversampling = 16;
constexpr std::size_t largest_eigenproblem = 256;
constexpr std::size_t column_tile = 256;
constexpr std::size_t group = 32;

// Uniform in (−1, 1), a function of seed and index alone (SplitMix64).
float random_value(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed * 0xD1342543DE82EF95U + (index + 1) * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  z ^= z >> 31;
  return static_cast<float>(static_cast<double>(static_cast<std::int64_t>(z)) * 0x1p-63);
}

// Takes the components along rows [0, begin) out of rows [begin, end).
void remove_earlier(std::size_t rank, std::size_t columns, Block rows, float* vectors, Context& context) {
  if (rows.begin == 0) return;
  const std::size_t count = rows.size();
  Buffer<float> coefficients(rows.begin * count);
  context.pool.parallel_for(block_count(rows.begin, column_tile), context.stop, [&](std::size_t index) {
    const Block earlier = block_at(index, column_tile, rows.begin);
    blas::gemm(blas::Op::plain, blas::Op::transposed, earlier.size(), count, columns, 1.0F, vectors + earlier.begin, rank,
               vectors + rows.begin, rank, 0.0F, coefficients.data() + earlier.begin, rows.begin);
  });
  context.pool.parallel_for(block_count(columns, column_tile), context.stop, [&](std::size_t index) {
    const Block part = block_at(index, column_tile, columns);
    blas::gemm(blas::Op::transposed, blas::Op::plain, count, part.size(), rows.begin, -1.0F, coefficients.data(), rows.begin,
               vectors + part.begin * rank, rank, 1.0F, vectors + part.begin * rank + rows.begin, rank);
  });
}

// Gram-Schmidt inside a group, twice, in double. A row of which next to nothing of its `original` length is left becomes zero.
void orthonormalise_group(std::size_t rank, std::size_t columns, Block rows, const std::vector<double>& original, float* vectors) {
  const std::size_t count = rows.size();
  std::vector<double> work(count * columns);
  for (std::size_t j = 0; j < columns; ++j) {
    for (std::size_t i = 0; i < count; ++i) work[i * columns + j] = static_cast<double>(vectors[j * rank + rows.begin + i]);
  }
  for (std::size_t i = 0; i < count; ++i) {
    double* row = work.data() + i * columns;
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t earlier = 0; earlier < i; ++earlier) {
        const double* other = work.data() + earlier * columns;
        const double share = std::inner_product(row, row + columns, other, 0.0);
        for (std::size_t j = 0; j < columns; ++j) row[j] -= share * other[j];
      }
    }
    const double length = std::sqrt(std::inner_product(row, row + columns, row, 0.0));
    const double factor = length > 1e-5 * original[i] ? 1.0 / length : 0.0;
    for (std::size_t j = 0; j < columns; ++j) row[j] *= factor;
  }
  for (std::size_t j = 0; j < columns; ++j) {
    for (std::size_t i = 0; i < count; ++i) vectors[j * rank + rows.begin + i] = static_cast<float>(work[i * columns + j]);
  }
}

// Turns the vectors into eigenvectors and keeps the leading `rank` of them.
PrincipalSubspace rotate(const Buffer<float>& vectors, const Buffer<float>& compressed, std::size_t all, std::size_t rank,
                         std::size_t columns, Context& context) {
  std::vector<double> symmetric(all * all);
  for (std::size_t i = 0; i < all; ++i) {
    for (std::size_t j = 0; j < all; ++j) {
      symmetric[i * all + j] = 0.5 * (static_cast<double>(compressed[i * all + j]) + static_cast<double>(compressed[j * all + i]));
    }
  }
  const Eigen eigen = symmetric_eigen(std::move(symmetric), all, context.stop);
  Buffer<float> rotation(rank * all);
  for (std::size_t i = 0; i < rank * all; ++i) rotation[i] = static_cast<float>(eigen.vectors[i]);
  PrincipalSubspace result;
  result.rank = rank;
  result.diagonal = true;
  result.vectors = Buffer<float>(rank * columns);
  parallel_product(blas::Op::transposed, blas::Op::plain, rank, columns, all, 1.0F, rotation.data(), all, vectors.data(), all, 0.0F,
                   result.vectors.data(), rank, context);
  result.compressed = Buffer<float>(rank * rank);
  std::memset(result.compressed.data(), 0, result.compressed.size() * sizeof(float));
  for (std::size_t i = 0; i < rank; ++i) result.compressed[i * rank + i] = static_cast<float>(std::max(0.0, eigen.values[i]));
  return result;
}

}  // namespace

Eigen symmetric_eigen(std::vector<double> a, std::size_t n, const std::stop_token& stop) {
  std::vector<double> v(n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) v[i * n + i] = 1;
  double norm = 0;
  for (const double value : a) norm += value * value;
  for (int sweep = 0; sweep < 50; ++sweep) {
    throw_if_stopped(stop);
    double off = 0;
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) off += a[p * n + q] * a[p * n + q];
    }
    if (off <= 1e-22 * norm) break;
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        const double apq = a[p * n + q];
        if (apq == 0) continue;
        const double theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
        const double t = (theta >= 0 ? 1.0 : -1.0) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1);
        const double s = t * c;
        // Rows of a symmetric matrix, then the two columns that mirror them.
        for (std::size_t k = 0; k < n; ++k) {
          const double akp = a[p * n + k];
          const double akq = a[q * n + k];
          a[p * n + k] = c * akp - s * akq;
          a[q * n + k] = s * akp + c * akq;
          const double vkp = v[p * n + k];
          const double vkq = v[q * n + k];
          v[p * n + k] = c * vkp - s * vkq;
          v[q * n + k] = s * vkp + c * vkq;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double akp = a[k * n + p];
          const double akq = a[k * n + q];
          a[k * n + p] = c * akp - s * akq;
          a[k * n + q] = s * akp + c * akq;
        }
      }
    }
  }
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) { return a[x * n + x] > a[y * n + y]; });
  Eigen eigen;
  for (const std::size_t index : order) {
    eigen.values.push_back(a[index * n + index]);
    eigen.vectors.insert(eigen.vectors.end(), v.begin() + static_cast<std::ptrdiff_t>(index * n),
                         v.begin() + static_cast<std::ptrdiff_t>((index + 1) * n));
  }
  return eigen;
}

void orthonormalise_rows(std::size_t rank, std::size_t columns, Buffer<float>& vectors, Context& context) {
  for (std::size_t index = 0; index < block_count(rank, group); ++index) {
    const Block rows = block_at(index, group, rank);
    std::vector<double> original(rows.size(), 0.0);
    for (std::size_t j = 0; j < columns; ++j) {
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto value = static_cast<double>(vectors[j * rank + rows.begin + i]);
        original[i] += value * value;
      }
    }
    for (double& length : original) length = std::sqrt(length);
    // Twice is enough (Kahan and Parlett): the first pass may cancel, the second cannot.
    for (int pass = 0; pass < 2; ++pass) remove_earlier(rank, columns, rows, vectors.data(), context);
    throw_if_stopped(context.stop);
    orthonormalise_group(rank, columns, rows, original, vectors.data());
  }
}

PrincipalSubspace find_principal_subspace(const ExactHessian& hessian, std::size_t columns, std::size_t rank, std::uint64_t seed,
                                          Context& context) {
  const bool rotates = rank + oversampling <= largest_eigenproblem;
  const std::size_t all = std::min(columns, rotates ? rank + oversampling : rank);
  Buffer<float> vectors(all * columns);
  Buffer<float> product(all * columns);
  for (std::size_t i = 0; i < vectors.size(); ++i) vectors[i] = random_value(seed, i);
  orthonormalise_rows(all, columns, vectors, context);
  for (int iteration = 0; iteration < iterations; ++iteration) {
    hessian.multiply_undamped(vectors, all, product, context);
    std::swap(vectors, product);
    orthonormalise_rows(all, columns, vectors, context);
    context.progress.advance(1.0 / (iterations + 1));
  }
  hessian.multiply_undamped(vectors, all, product, context);
  Buffer<float> compressed(all * all);
  parallel_product(blas::Op::plain, blas::Op::transposed, all, all, columns, 1.0F, product.data(), all, vectors.data(), all, 0.0F,
                   compressed.data(), all, context);
  context.progress.advance(1.0 / (iterations + 1));
  if (rotates) return rotate(vectors, compressed, all, rank, columns, context);
  PrincipalSubspace result;
  result.rank = all;
  result.vectors = std::move(vectors);
  result.compressed = std::move(compressed);
  return result;
}

LowRankHessian make_top_k_hessian(PrincipalSubspace&& subspace, std::size_t columns, float damping, Context& context) {
  const std::size_t rank = subspace.rank;
  double kept = 0;
  for (std::size_t i = 0; i < rank; ++i) kept += static_cast<double>(subspace.compressed[i * rank + i]);
  // The trace of the normalised H is N.
  const double rest = std::max(0.0, (static_cast<double>(columns) - kept) / static_cast<double>(columns - rank));

  LowRankHessian hessian;
  hessian.size = columns;
  hessian.rank = rank;
  hessian.tau = static_cast<float>(rest) + damping;
  hessian.basis_stride = rank;
  if (subspace.diagonal) {
    for (std::size_t i = 0; i < rank; ++i) {
      const auto root = static_cast<float>(std::sqrt(std::max(0.0, static_cast<double>(subspace.compressed[i * rank + i]) - rest)));
      for (std::size_t j = 0; j < columns; ++j) subspace.vectors[j * rank + i] *= root;
    }
    hessian.owned_basis = std::move(subspace.vectors);
    hessian.basis = hessian.owned_basis.data();
    return hessian;
  }
  // VHVᵀ − τI = RᵀR, so B = R·V. The last of the found directions may lie below the mean of the rest: then less is taken off.
  Buffer<float> root(rank * rank);
  bool found = false;
  for (const double share : {1.0, 0.9, 0.7, 0.4, 0.0}) {
    for (std::size_t i = 0; i < rank; ++i) {
      for (std::size_t j = 0; j < rank; ++j) {
        const double value =
            0.5 * (static_cast<double>(subspace.compressed[i * rank + j]) + static_cast<double>(subspace.compressed[j * rank + i]));
        const double jitter = 1e-5 * kept / static_cast<double>(rank);
        root[i * rank + j] = static_cast<float>(value + (i == j ? jitter - share * rest : 0.0));
      }
    }
    found = factorise_lower(root.data(), rank, rank, context);
    if (found) break;
  }
  if (!found) throw Error(ErrorCode::internal, "The principal components could not be separated.");
  for (std::size_t j = 0; j < rank; ++j) {
    for (std::size_t i = j + 1; i < rank; ++i) root[j * rank + i] = 0;
  }
  hessian.owned_basis = Buffer<float>(rank * columns);
  parallel_product(blas::Op::plain, blas::Op::plain, rank, columns, rank, 1.0F, root.data(), rank, subspace.vectors.data(), rank, 0.0F,
                   hessian.owned_basis.data(), rank, context);
  hessian.basis = hessian.owned_basis.data();
  return hessian;
}

}  // namespace fp8
