// Kernels: the vector code of the CPU backend, one table per instruction set; `kernels()` is the table for the CPU at hand.
//
// Matrices that the solver works on are transposed: a column of W (one input) is contiguous over the rows (outputs), because the rows are
// what is independent. "rows" is always a multiple of `row_quantum`; padding rows are zero and stay zero.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/grid.h"
#include "fp8/job.h"

namespace fp8 {

inline constexpr std::size_t row_quantum = 16;
// Most columns that one feedback or sweep call takes.
inline constexpr std::size_t block_columns = 128;

struct Scan {
  float largest_magnitude = 0;  // of the finite values
  std::uint64_t non_finite = 0;
};

// Sums over elements, in units of the scale.
struct RoundingError {
  double squared_error = 0;
  double squared_value = 0;
};

struct CodeStatistics {
  double squared_error = 0;
  double squared_value = 0;
  std::uint64_t changed = 0;  // codes that differ from nearest rounding
};

// One column block of error feedback. Column c of a matrix with stride `stride` starts at c * stride.
struct FeedbackBlock {
  std::size_t rows;
  std::size_t columns;
  std::size_t stride;  // of q, e and correction
  std::size_t w_stride;
  const float* w;           // targets before any correction, in units of the scale
  float* q;                 // out: grid values
  float* e;                 // out: q − w
  const float* correction;  // Σ over the columns done before this block of e_i · u_ij, times 1 / correction_factor[j]
  const float* correction_factor;
  const float* u;  // u[j * columns + i] = u_ij for i > j: columns go from the last to the first
  const float* d;  // weight of column j in the objective
  // scales[j][r]: what a grid value of row r is multiplied by in column j; null where it is 1 everywhere. Padding rows have 1.
  const float* const* scales = nullptr;
};

// One column block of a coordinate sweep.
struct SweepBlock {
  std::size_t rows;
  std::size_t columns;
  std::size_t stride;  // of q, e, gradient and delta
  std::size_t w_stride;
  const float* w;
  float* q;
  float* e;
  const float* gradient;                 // Y = E·H of these columns, E as it is before the block
  const float* h;                        // h[j * columns + i] = H_ij inside the block; full symmetric
  float* delta;                          // out: the change of q
  const float* const* scales = nullptr;  // as in FeedbackBlock
};

struct SweepGain {
  double objective = 0;       // by how much the objective fell
  std::uint64_t changed = 0;  // elements that moved
};

struct Kernels {
  const char* instruction_set;

  // Any count; sources may be unaligned.
  Scan (*scan)(const std::byte* source, SourceDtype dtype, std::size_t count);
  // out = source / scale.
  void (*decode_scaled)(const std::byte* source, SourceDtype dtype, std::size_t count, float scale, float* out);
  // One byte for each code, also of E2M1.
  void (*encode)(const float* values, std::size_t count, CodeGrid grid, std::uint8_t* codes);
  // codes = encode(source / scale).
  RoundingError (*quantize)(const std::byte* source, SourceDtype dtype, std::size_t count, float scale, CodeGrid grid, std::uint8_t* codes);
  // Σ weight · (nearest(value / scale) · scale − value)².
  double (*weighted_error)(const float* values, const float* weights, std::size_t count, float scale, const Grid& grid);
  // sums[i] += values[i]².
  void (*add_squares)(const float* values, std::size_t count, double* sums);
  double (*sum_of_squares)(const float* values, std::size_t count);

  // Here counts are multiples of row_quantum. `scales` has one for each value, or is null where they are 1.
  // Σ a_i b_i.
  double (*dot)(const float* a, const float* b, std::size_t count);
  // e = nearest(w / scale) · scale − w.
  void (*nearest_error)(const float* w, std::size_t count, const Grid& grid, const float* scales, float* e);
  void (*round_to_grid)(const float* values, std::size_t count, const Grid& grid, const float* scales, float* out);
  // Takes grid values q, times their scales, for w; a zero gets the sign of its w, as nearest rounding has it.
  CodeStatistics (*finish)(const float* w, const float* q, std::size_t count, CodeGrid grid, const float* scales, std::uint8_t* codes);
  // Returns Σ d_j ‖target_j − q_j‖².
  double (*feedback)(const FeedbackBlock& block, const Grid& grid);
  SweepGain (*sweep)(const SweepBlock& block, const Grid& grid);
};

const Kernels& kernels();

// Every table that this CPU can run, the best last; for tests.
std::size_t kernel_tables(const Kernels** tables, std::size_t capacity);

}  // namespace fp8
