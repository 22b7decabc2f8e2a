// Learned rounding of a whole matrix: statistics, solver, and the comparison with nearest rounding that the result must win.
#pragma once

#include <cstdint>

#include "cpu/buffer.h"
#include "cpu/context.h"
#include "cpu/exact_hessian.h"
#include "cpu/kernels.h"
#include "cpu/scaled_matrix.h"

namespace fp8 {

// The damping of gram statistics, in units of the mean diagonal of H.
inline constexpr float gram_damping = 1.0F;

struct RoundedMatrix {
  Buffer<std::uint8_t> codes;  // rows × columns, row-major, one byte each
  CodeStatistics statistics;
  // tr(E H Eᵀ) with the exact H, in units².
  double objective = 0;
  double objective_nearest = 0;
  std::uint32_t sweeps = 0;
  bool kept_nearest = false;  // then codes are for the matrix's nearest_scales
};

struct LearnedOptions {
  std::uint32_t top_k = 0;  // 0: every component
  std::uint32_t sweep_limit = 500;
  std::uint64_t seed = 0;
};

// Takes the progress from where it is to `progress_end`.
RoundedMatrix round_learned(const ScaledMatrix& matrix, const LearnedOptions& options, double progress_end, Context& context);

// The same with the exact Hessian of the matrix at hand, which must not be prepared yet; it is afterwards, unless top_k has its own.
RoundedMatrix round_learned(const ScaledMatrix& matrix, ExactHessian& exact, const LearnedOptions& options, double progress_end,
                            Context& context);

// Stores nearest rounding instead where the result is no better.
void keep_nearest_if_not_better(const ScaledMatrix& matrix, RoundedMatrix& result, Context& context);

// What round_learned needs at its peak besides the matrix and the vectors that H may be made of, as many as `rank`, for `threads` threads.
std::uint64_t learned_rounding_bytes(std::uint64_t rank, std::uint64_t rows, std::uint64_t columns, std::uint32_t top_k,
                                     std::size_t threads);

}  // namespace fp8
