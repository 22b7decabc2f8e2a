// Both sides: learned rounding for tr(G E H Eᵀ), whose rows are coupled by G. The one-sided steps come first; then exact coordinate descent
// over tiles of rows and columns, each of which sees every change made before it.
#pragma once

#include <cstdint>

#include "cpu/exact_hessian.h"
#include "cpu/learned_rounding.h"
#include "cpu/statistics.h"

namespace fp8 {

// `hessian` is not factorised yet. Takes the progress from where it is to `progress_end`.
RoundedMatrix round_both_sides(const ScaledMatrix& matrix, DenseHessian& hessian, const OutputSquare& outputs, std::uint32_t sweep_limit,
                               double progress_end, Context& context);

// What round_both_sides needs at its peak besides the matrix and the output square.
std::uint64_t both_sides_bytes(std::uint64_t rows, std::uint64_t columns, std::size_t threads);

}  // namespace fp8
