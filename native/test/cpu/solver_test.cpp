// Learned rounding against a naive solver in double, over shapes that fit no block and both forms of H.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/progress.h"
#include "core/thread_pool.h"
#include "cpu/blas.h"
#include "cpu/dense_solver.h"
#include "cpu/learned_rounding.h"
#include "cpu/low_rank_solver.h"
#include "cpu/principal_subspace.h"
#include "cpu/tpec.h"
#include "fp8/fp8.h"
#include "support/random.h"
#include "support/reference_solver.h"

namespace fp8 {
namespace {

class Silent : public Observer {
  void on_event(Event) override {}
};

struct Shape {
  std::size_t rows;
  std::size_t columns;
};

class Solver : public ::testing::TestWithParam<Shape> {
 protected:
  void SetUp() override { blas::use_calling_thread(); }

  struct Problem {
    std::vector<float> weights;
    float scale;
    testing::Reference reference;
    ScaledMatrix matrix;
  };

  Problem make(std::size_t rows, std::size_t columns) {
    std::vector<float> weights = testing::correlated_weights(rows, columns, 5);
    float largest = 0;
    for (const float value : weights) largest = std::max(largest, std::fabs(value));
    const float scale = e4m3_scale(largest);
    testing::Reference reference(weights, rows, columns, scale, static_cast<double>(gram_damping));
    ScaledMatrix matrix = scale_and_transpose(std::as_bytes(std::span(weights)), SourceDtype::f32, rows, columns, scale, context_);
    return {std::move(weights), scale, std::move(reference), std::move(matrix)};
  }

  Silent observer_;
  TaskProgress progress_{observer_, 0};
  ThreadPool pool_{2};
  Context context_{pool_, progress_, {}};
};

INSTANTIATE_TEST_SUITE_P(Shapes, Solver,
                         ::testing::Values(Shape{1, 1}, Shape{1, 40}, Shape{40, 1}, Shape{17, 23}, Shape{130, 257}, Shape{300, 129},
                                           Shape{33, 400}, Shape{600, 64}),
                         [](const auto& shape) { return std::to_string(shape.param.rows) + "x" + std::to_string(shape.param.columns); });

TEST_P(Solver, ReportsTheTrueObjectiveOfWhatItWrites) {
  const auto [rows, columns] = GetParam();
  Problem problem = make(rows, columns);
  const RoundedMatrix rounded = round_learned(problem.matrix, {}, 1.0, context_);
  const double nearest = problem.reference.objective_of_nearest();
  EXPECT_NEAR(rounded.objective_nearest, nearest, 1e-4 * nearest);
  const double written = problem.reference.objective_of_codes(rounded.codes.data());
  EXPECT_NEAR(rounded.objective, written, 1e-4 * written);
  EXPECT_LE(rounded.objective, rounded.objective_nearest);
}

TEST_P(Solver, IsAsGoodAsTheNaiveSolver) {
  const auto [rows, columns] = GetParam();
  Problem problem = make(rows, columns);
  const RoundedMatrix rounded = round_learned(problem.matrix, {}, 1.0, context_);
  const double naive = problem.reference.objective(problem.reference.solve(static_cast<int>(rounded.sweeps)));
  // Few weights leave much to chance.
  const double tolerance = rows * columns > 10000 ? 0.005 : 0.05;
  EXPECT_LE(rounded.objective, std::min(naive, problem.reference.objective_of_nearest()) * (1 + tolerance));
}

TEST_P(Solver, BothExactFormsOfHAgree) {
  const auto [rows, columns] = GetParam();
  Problem problem = make(rows, columns);
  DenseHessian dense = make_gram_hessian(problem.matrix, gram_damping, context_);
  factorise(dense, context_);
  LowRankHessian low_rank = make_exact_low_rank_hessian(problem.matrix, gram_damping);
  prepare_feedback(low_rank, context_);
  prepare_sweeps(low_rank, context_);
  double dense_objective = 0;
  double low_rank_objective = 0;
  double dense_nearest = 0;
  double low_rank_nearest = 0;
  for (std::size_t index = 0; index < block_count(problem.matrix.padded_rows, solver_block_rows(rows)); ++index) {
    const Block block = solver_block(problem.matrix, index);
    RowBlockState state(block.size(), columns);
    const RowBlockResult a = solve_rows(problem.matrix, dense, e4m3_grid, 500, block, state, {});
    EXPECT_NEAR(objective_of(dense, state, {}), a.objective, 1e-4 * a.objective);
    const RowBlockResult b = solve_rows(problem.matrix, low_rank, e4m3_grid, 500, block, state, {});
    EXPECT_NEAR(objective_of(low_rank, state, {}), b.objective, 1e-4 * b.objective);
    EXPECT_NEAR(objective_of(dense, state, {}), b.objective, 1e-4 * b.objective);
    dense_objective += a.objective;
    low_rank_objective += b.objective;
    dense_nearest += a.objective_nearest;
    low_rank_nearest += b.objective_nearest;
  }
  EXPECT_NEAR(low_rank_nearest, dense_nearest, 1e-4 * dense_nearest);
  EXPECT_NEAR(low_rank_objective, dense_objective, (rows * columns > 10000 ? 0.005 : 0.05) * dense_objective);
}

TEST_P(Solver, FactorTimesItsTransposeIsH) {
  const auto [rows, columns] = GetParam();
  Problem problem = make(rows, columns);
  DenseHessian hessian = make_gram_hessian(problem.matrix, gram_damping, context_);
  factorise(hessian, context_);
  for (std::size_t i = 0; i < columns; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double product = 0;
      for (std::size_t k = 0; k <= j; ++k)
        product += static_cast<double>(*hessian.factor(i, k)) * static_cast<double>(*hessian.factor(j, k));
      const double expected = problem.reference.h[problem.matrix.order[i] * columns + problem.matrix.order[j]];
      const double size = std::sqrt(problem.reference.h[problem.matrix.order[i] * (columns + 1)] *
                                    problem.reference.h[problem.matrix.order[j] * (columns + 1)]);
      ASSERT_NEAR(product, expected, 1e-4 * size) << i << ", " << j;
    }
  }
}

TEST_P(Solver, TopKIsNeverWorseThanNearestAndGainsWithTheRank) {
  const auto [rows, columns] = GetParam();
  Problem problem = make(rows, columns);
  const double full = round_learned(problem.matrix, {}, 1.0, context_).objective;
  const double nearest = problem.reference.objective_of_nearest();
  for (const std::uint32_t rank : {1U, 4U, 20U, 100U, 250U}) {
    const RoundedMatrix rounded = round_learned(problem.matrix, {.top_k = rank, .sweep_limit = 500, .seed = 3}, 1.0, context_);
    const double written = problem.reference.objective_of_codes(rounded.codes.data());
    EXPECT_NEAR(rounded.objective, written, 1e-4 * written) << rank;
    EXPECT_LE(rounded.objective, rounded.objective_nearest) << rank;
    // The weights have min(rows, columns) / 4 strong directions.
    if (rank >= std::min(rows, columns) / 2 && std::min(rows, columns) > 60) {
      EXPECT_LE(rounded.objective, full + 0.15 * (nearest - full)) << rank;
    }
  }
}

TEST_P(Solver, TpecReportsTheTrueObjective) {
  const auto [rows, columns] = GetParam();
  Problem problem = make(rows, columns);
  ExactHessian exact(problem.matrix, gram_damping, context_);
  const RoundedMatrix rounded =
      round_tpec(problem.matrix, exact, {.top_k = 2, .step_limit = 500, .seed = 1, .scale = problem.scale}, 1.0, context_);
  const double written = problem.reference.objective_of_codes(rounded.codes.data());
  EXPECT_NEAR(rounded.objective, written, 1e-4 * written);
  EXPECT_NEAR(rounded.objective_nearest, problem.reference.objective_of_nearest(), 1e-4 * rounded.objective_nearest);
  // A single weight lies on the grid: there is no error to correct.
  EXPECT_EQ(rounded.sweeps > 0, rows * columns > 1);
}

TEST(Tpec, PathFollowsTheStepByStepOptimiser) {
  for (const double scale : {0.0005, 0.1, 0.6, 3.0}) {
    // The optimiser with a 1 × 1 projection, kept as a number.
    const double first = 0.3;
    double p = scale * first;
    double moved = 0;
    double rate = 4;
    double best_loss = 1e300;
    double best_moved = 0;
    unsigned worse = 0;
    unsigned steps = 0;
    for (;; ++steps) {
      if (p * p < best_loss) {
        best_loss = p * p;
        best_moved = moved;
        worse = 0;
        if (steps > 0) rate = std::min(4.0, rate * 2);
      } else {
        ++worse;
        rate /= 2;
      }
      if (steps == 500 || p * p < 1e-8 || worse >= 40) break;
      moved += rate * p;
      p = scale * (first - moved);
    }
    const TpecPath path = follow_tpec(scale, first * first, 500);
    EXPECT_EQ(path.steps, steps) << scale;
    EXPECT_NEAR(path.distance * first, best_moved, 1e-9 + 1e-6 * std::fabs(best_moved)) << scale;
  }
}

TEST(PrincipalSubspace, FindsTheLeadingEigenvectors) {
  blas::use_calling_thread();
  Silent observer;
  TaskProgress progress(observer, 0);
  ThreadPool pool(2);
  Context context{pool, progress, {}};
  const std::size_t rows = 200;
  const std::size_t columns = 150;
  const std::vector<float> weights = testing::correlated_weights(rows, columns, 9);
  const ScaledMatrix matrix = scale_and_transpose(std::as_bytes(std::span(weights)), SourceDtype::f32, rows, columns, 0.001F, context);
  const ExactHessian exact(matrix, gram_damping, context);
  const testing::Reference reference(weights, rows, columns, 0.001F, 0.0);
  const Eigen truth = symmetric_eigen(reference.h, columns, {});
  const PrincipalSubspace found = find_principal_subspace(exact, columns, 12, 1, context);
  for (std::size_t i = 0; i < 12; ++i) {
    // The spectrum is nearly flat here, so that the last ones converge slowly.
    EXPECT_NEAR(found.compressed[i * 12 + i], truth.values[i], (i < 6 ? 2e-3 : 1e-2) * truth.values[i]) << i;
  }
  for (std::size_t a = 0; a < 12; ++a) {
    for (std::size_t b = 0; b <= a; ++b) {
      double product = 0;
      for (std::size_t j = 0; j < columns; ++j) {
        product += static_cast<double>(found.vectors[j * 12 + a]) * static_cast<double>(found.vectors[j * 12 + b]);
      }
      EXPECT_NEAR(product, a == b ? 1 : 0, 1e-5);
    }
  }
}

}  // namespace
}  // namespace fp8
