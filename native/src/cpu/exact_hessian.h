// ExactHessian: H of a matrix, in whichever of the two exact forms is cheaper: its square, or, where it is the sum of the squares of few
// vectors, these. It also is what results are judged by, whatever steered them.
#pragma once

#include <utility>
#include <variant>

#include "cpu/dense_hessian.h"
#include "cpu/low_rank_hessian.h"
#include "cpu/row_solver.h"

namespace fp8 {

class ExactHessian {
 public:
  // H = WᵀW normalised to mean diagonal 1, plus damping · I. Takes one unit of progress.
  ExactHessian(const ScaledMatrix& matrix, float damping, Context& context);

  // Any statistics with a mean diagonal of 1 before their damping; `hessian` is not prepared yet.
  ExactHessian(DenseHessian hessian, float damping) : damping_(damping), form_(std::move(hessian)) {}
  explicit ExactHessian(LowRankHessian hessian) : damping_(hessian.tau), form_(std::move(hessian)) {}

  float damping() const { return damping_; }

  // Makes it ready for solve_rows. Takes one unit of progress.
  void prepare(Context& context);
  RowBlockResult solve_rows(const ScaledMatrix& matrix, const Grid& grid, std::uint32_t sweep_limit, Block rows, RowBlockState& state,
                            const std::stop_token& stop) const;
  // tr(E H Eᵀ) of the errors in state.e; overwrites state.gradient. Does not need prepare.
  double objective_of(RowBlockState& state, const std::stop_token& stop) const;
  // out (k × N) = in (k × N) · H without its damping. Column j of both at j * rank.
  void multiply_undamped(const Buffer<float>& in, std::size_t rank, Buffer<float>& out, Context& context) const;

  // For H = τI + BᵀB with B rank × N: the full form takes M·N² a pass and N³/6 once, the low-rank form 2·M·N·rank a pass.
  static bool prefers_low_rank(std::uint64_t rank, std::uint64_t columns) { return 5 * rank <= 2 * columns; }
  // Without B. `threads` blocks of rows are solved at a time.
  static std::uint64_t bytes(std::uint64_t rank, std::uint64_t rows, std::uint64_t columns, std::size_t threads);

 private:
  float damping_;
  std::variant<DenseHessian, LowRankHessian> form_;
};

}  // namespace fp8
