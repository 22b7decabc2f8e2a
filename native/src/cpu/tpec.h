// The reference optimiser (TPEC), kept for comparison: it moves a continuous copy of the weights until the error in the top singular
// directions is gone, and rounds that copy.
//
// With U, V the top k singular vectors of W and P = Uᵀ(s·W_q − W)V, a step is W_q ← W_q − lr·U P Vᵀ. Then P ← (1 − s·lr)·P: all iterates
// lie on one line, W_q = W_q⁰ − a·U P⁰ Vᵀ with P⁰ in units of the scale, and the whole optimisation is a recurrence in two numbers.
#pragma once

#include "cpu/exact_hessian.h"
#include "cpu/learned_rounding.h"

namespace fp8 {

struct TpecOptions {
  std::uint32_t top_k = 1;
  std::uint32_t step_limit = 500;
  std::uint64_t seed = 0;
  float scale = 1;
};

// The matrix has one scale. `sweeps` of the result counts steps. Takes the progress from where it is to `progress_end`.
RoundedMatrix round_tpec(const ScaledMatrix& matrix, const ExactHessian& exact, const TpecOptions& options, double progress_end,
                         Context& context);

std::uint64_t tpec_bytes(std::uint64_t rows, std::uint64_t columns, std::uint32_t top_k);

// How far the best iterate is along the line, and after how many steps the optimiser stops.
struct TpecPath {
  double distance = 0;  // a
  std::uint32_t steps = 0;
};
TpecPath follow_tpec(double scale, double squared_projection, std::uint32_t step_limit);

}  // namespace fp8
