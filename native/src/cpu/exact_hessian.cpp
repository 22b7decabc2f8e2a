#include "cpu/exact_hessian.h"

#include "cpu/blas.h"
#include "cpu/dense_solver.h"
#include "cpu/low_rank_solver.h"
#include "cpu/parallel_product.h"

namespace fp8 {

namespace {

std::variant<DenseHessian, LowRankHessian> make_form(const ScaledMatrix& matrix, float damping, Context& context) {
  if (ExactHessian::prefers_low_rank(matrix.rows, matrix.columns)) return make_exact_low_rank_hessian(matrix, damping);
  return make_gram_hessian(matrix, damping, context);
}

void multiply_dense(const DenseHessian& hessian, const float* in, std::size_t rank, float* out, Context& context) {
  constexpr std::size_t tile = DenseHessian::tile;
  constexpr std::size_t rank_tile = 512;
  const std::size_t tiles = block_count(hessian.size, tile);
  context.pool.parallel_for(tiles * block_count(rank, rank_tile), context.stop, [&](std::size_t index) {
    const Block columns = block_at(index % tiles, tile, hessian.size);
    const Block rows = block_at(index / tiles, rank_tile, rank);
    const std::size_t count = columns.size();
    const float* from = in + rows.begin;
    float* to = out + columns.begin * rank + rows.begin;
    blas::gemm(blas::Op::plain, blas::Op::plain, rows.size(), count, count, 1.0F, from + columns.begin * rank, rank,
               hessian.diagonal_tile(index % tiles), count, 0.0F, to, rank);
    if (columns.begin > 0) {
      blas::gemm(blas::Op::plain, blas::Op::transposed, rows.size(), count, columns.begin, 1.0F, from, rank,
                 hessian.above(0, columns.begin), hessian.stride, 1.0F, to, rank);
    }
    if (columns.end < hessian.size) {
      blas::gemm(blas::Op::plain, blas::Op::plain, rows.size(), count, hessian.size - columns.end, 1.0F, from + columns.end * rank, rank,
                 hessian.above(columns.begin, columns.end), hessian.stride, 1.0F, to, rank);
    }
  });
}

void multiply_low_rank(const LowRankHessian& hessian, const float* in, std::size_t rank, float* out, Context& context) {
  Buffer<float> projection(rank * hessian.rank);
  parallel_product(blas::Op::plain, blas::Op::transposed, rank, hessian.rank, hessian.size, hessian.factor, in, rank, hessian.basis,
                   hessian.basis_stride, 0.0F, projection.data(), rank, context);
  parallel_product(blas::Op::plain, blas::Op::plain, rank, hessian.size, hessian.rank, hessian.factor, projection.data(), rank,
                   hessian.basis, hessian.basis_stride, 0.0F, out, rank, context);
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

std::uint64_t ExactHessian::bytes(std::uint64_t rank, std::uint64_t rows, std::uint64_t columns, std::size_t threads) {
  if (!prefers_low_rank(rank, columns)) return dense_hessian_bytes(static_cast<std::size_t>(columns));
  const std::uint64_t projections = threads * solver_block_rows(rows) * rank * sizeof(float);
  return low_rank_hessian_bytes(static_cast<std::size_t>(columns), static_cast<std::size_t>(rank)) + projections;
}

}  // namespace fp8
