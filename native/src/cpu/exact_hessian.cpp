#include "cpu/exact_hessian.h"

#include <cstring>

#include "cpu/blas.h"
#include "cpu/dense_solver.h"
#include "cpu/low_rank_solver.h"

namespace fp8 {

namespace {

std::variant<DenseHessian, LowRankHessian> make_form(const ScaledMatrix& matrix, float damping, Context& context) {
  if (ExactHessian::prefers_low_rank(matrix.rows, matrix.columns)) return make_exact_low_rank_hessian(matrix, damping);
  return make_gram_hessian(matrix, damping, context);
}

void multiply_dense(const DenseHessian& hessian, const float* in, std::size_t rank, float* out, Context& context) {
  constexpr std::size_t tile = DenseHessian::tile;
  const std::size_t tiles = block_count(hessian.size, tile);
  context.pool.parallel_for(tiles, context.stop, [&](std::size_t index) {
    const Block columns = block_at(index, tile, hessian.size);
    const std::size_t count = columns.size();
    float* to = out + columns.begin * rank;
    blas::gemm(blas::Op::plain, blas::Op::plain, rank, count, count, 1.0F, in + columns.begin * rank, rank, hessian.diagonal_tile(index),
               count, 0.0F, to, rank);
    if (columns.begin > 0) {
      blas::gemm(blas::Op::plain, blas::Op::transposed, rank, count, columns.begin, 1.0F, in, rank, hessian.above(0, columns.begin),
                 hessian.stride, 1.0F, to, rank);
    }
    if (columns.end < hessian.size) {
      blas::gemm(blas::Op::plain, blas::Op::plain, rank, count, hessian.size - columns.end, 1.0F, in + columns.end * rank, rank,
                 hessian.above(columns.begin, columns.end), hessian.stride, 1.0F, to, rank);
    }
  });
}

void multiply_low_rank(const LowRankHessian& hessian, const float* in, std::size_t rank, float* out, Context& context) {
  constexpr std::size_t tile = 256;
  Buffer<float> projection(rank * hessian.rank);
  context.pool.parallel_for(block_count(hessian.rank, tile), context.stop, [&](std::size_t index) {
    const Block ranks = block_at(index, tile, hessian.rank);
    blas::gemm(blas::Op::plain, blas::Op::transposed, rank, ranks.size(), hessian.size, hessian.factor, in, rank,
               hessian.basis + ranks.begin, hessian.basis_stride, 0.0F, projection.data() + ranks.begin * rank, rank);
  });
  context.pool.parallel_for(block_count(hessian.size, tile), context.stop, [&](std::size_t index) {
    const Block columns = block_at(index, tile, hessian.size);
    blas::gemm(blas::Op::plain, blas::Op::plain, rank, columns.size(), hessian.rank, hessian.factor, projection.data(), rank,
               hessian.column(columns.begin), hessian.basis_stride, 0.0F, out + columns.begin * rank, rank);
  });
}

}  // namespace

ExactHessian::ExactHessian(const ScaledMatrix& matrix, float damping, Context& context)
    : damping_(damping), form_(make_form(matrix, damping, context)) {}

void ExactHessian::prepare(Context& context) {
  if (auto* dense = std::get_if<DenseHessian>(&form_)) {
    factorise(*dense, context);
    return;
  }
  auto& low_rank = std::get<LowRankHessian>(form_);
  prepare_feedback(low_rank, context);
  prepare_sweeps(low_rank, context);
}

RowBlockResult ExactHessian::solve_rows(const ScaledMatrix& matrix, const Grid& grid, std::uint32_t sweep_limit, Block rows,
                                        RowBlockState& state, const std::stop_token& stop) const {
  return std::visit([&](const auto& form) { return fp8::solve_rows(matrix, form, grid, sweep_limit, rows, state, stop); }, form_);
}

double ExactHessian::objective_of(RowBlockState& state, const std::stop_token& stop) const {
  return std::visit([&](const auto& form) { return fp8::objective_of(form, state, stop); }, form_);
}

void ExactHessian::multiply_undamped(const Buffer<float>& in, std::size_t rank, Buffer<float>& out, Context& context) const {
  if (const auto* dense = std::get_if<DenseHessian>(&form_)) {
    multiply_dense(*dense, in.data(), rank, out.data(), context);
    for (std::size_t i = 0; i < in.size(); ++i) out[i] -= damping_ * in[i];
    return;
  }
  multiply_low_rank(std::get<LowRankHessian>(form_), in.data(), rank, out.data(), context);
}

std::uint64_t ExactHessian::bytes(std::uint64_t rows, std::uint64_t columns, std::size_t threads) {
  if (!prefers_low_rank(rows, columns)) return dense_hessian_bytes(static_cast<std::size_t>(columns));
  const std::uint64_t projections = threads * solver_block_rows(rows) * rows * sizeof(float);
  return low_rank_hessian_bytes(static_cast<std::size_t>(columns), static_cast<std::size_t>(rows)) + projections;
}

}  // namespace fp8
