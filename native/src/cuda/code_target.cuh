// A CodeTarget as kernels use it. PlainCodes is E4M3 in units of the scale, known when kernels are compiled; ScaledCodes is any grid with
// any scales, its constants in the kernel's parameters. Both agree with fp8/fp8.h.
#pragma once

#include <bit>
#include <cstdint>

#include "code_target.h"
#include "core/grid.h"
#include "grid.cuh"

namespace fp8::cuda {

struct PlainCodes {
  explicit PlainCodes(const CodeTarget&) {}

  // Of a column in rounding order, and of a row's block.
  __device__ static float scale_at(int, int) { return 1.0F; }
  __device__ static float scale_of_source_column(int, int) { return 1.0F; }
  __device__ static int block_of_row(int) { return 0; }
  // The grid value nearest to x ÷ scale; times the scale it is what the code stands for.
  __device__ static float nearest(float x, float) { return round_to_grid(x); }
  __device__ static float nearest_of_quotient(float x) { return round_to_grid(x); }
  // The grid value of which `value` is the scale's multiple.
  __device__ static float grid_value_of(float value, float) { return value; }
  __device__ static std::uint8_t code_of(float grid_value) { return code_of_grid_value(grid_value); }
  __device__ static float value_of(std::uint8_t code) { return grid_value_of_code(code); }
  __device__ static std::uint8_t stored(std::uint8_t code) { return code; }
};

struct ScaledCodes {
  explicit ScaledCodes(const CodeTarget& of) : target(of) {
    const Grid grid = grid_of(of.grid);
    const bool is_uniform = grid.largest < grid.smallest_normal;
    const float first_normal = is_uniform ? grid.smallest_normal / 2 : grid.smallest_normal;
    smallest_exponent = std::bit_cast<unsigned>(first_normal);
    largest = grid.largest;
    code_shift = 23 - grid.mantissa_bits;
    to_shift = static_cast<unsigned>(code_shift) << 23 | 0x400000U;
    first_normal_code = (smallest_exponent >> code_shift) - (1U << grid.mantissa_bits);
    steps = 1.0F / grid.subnormal_step;
    // A code's bits as those of a float, subnormal where the code is, times this in two factors are its value.
    const int power = 149 - code_shift;
    const int exponent_of_step = static_cast<int>(std::bit_cast<unsigned>(grid.subnormal_step) >> 23) - 127;
    lift = power_of_two((power + exponent_of_step) / 2);
    lift_again = power_of_two(power + exponent_of_step - (power + exponent_of_step) / 2);
  }

  __device__ int block_of_row(int row) const { return (target.first_row + row) / target.rows_per_block; }
  __device__ float scale_at(int column, int block_row) const {
    return target.scales[static_cast<std::int64_t>(target.block_of_column[column]) * target.blocks_down + block_row];
  }
  // By the column of the source, not in rounding order.
  __device__ float scale_of_source_column(int column, int block_row) const {
    return target.scales[static_cast<std::int64_t>(column / target.columns_per_block) * target.blocks_down + block_row];
  }
  // Steering needs no exact quotient.
  __device__ float nearest(float x, float scale) const { return nearest_of_quotient(__fdividef(x, scale)); }
  __device__ float grid_value_of(float value, float scale) const { return nearest(value, scale); }
  // As round_to_grid, for any grid.
  __device__ float nearest_of_quotient(float x) const {
    const float clamped = fminf(fmaxf(x, -largest), largest);
    const unsigned exponent = max(__float_as_uint(clamped) & 0x7F800000U, smallest_exponent);
    const float shift = __uint_as_float(exponent + to_shift);
    return __fsub_rn(__fadd_rn(clamped, shift), shift);
  }
  __device__ std::uint8_t code_of(float grid_value) const {
    const unsigned bits = __float_as_uint(grid_value);
    const unsigned magnitude = bits & 0x7FFFFFFFU;
    const unsigned code = magnitude >= smallest_exponent ? (magnitude >> code_shift) - first_normal_code
                                                         : static_cast<unsigned>(__uint_as_float(magnitude) * steps);
    return static_cast<std::uint8_t>(bits >> 24 & 0x80U | code);
  }
  __device__ float value_of(std::uint8_t code) const {
    const float magnitude = __uint_as_float(static_cast<unsigned>(code & 0x7FU) << code_shift) * lift * lift_again;
    return __uint_as_float(__float_as_uint(magnitude) | static_cast<unsigned>(code & 0x80U) << 24);
  }
  // From the solver's codes to the file's, one byte each.
  __device__ std::uint8_t stored(std::uint8_t code) const {
    switch (target.grid) {
      case CodeGrid::e4m3:
      case CodeGrid::e5m2:
        return code;
      case CodeGrid::e2m1:
        return static_cast<std::uint8_t>((code & 7U) | (code & 0x80U) >> 4);
      case CodeGrid::int8:
        return static_cast<std::uint8_t>((code & 0x80U) != 0 ? 0U - (code & 0x7FU) : code);
    }
    return code;
  }

  CodeTarget target;
  unsigned smallest_exponent;
  unsigned to_shift;
  unsigned first_normal_code;
  int code_shift;
  float largest;
  float steps;
  float lift;
  float lift_again;

 private:
  static float power_of_two(int exponent) { return std::bit_cast<float>(static_cast<unsigned>(exponent + 127) << 23); }
};

// Calls `body` with the codes of the target as kernels are compiled for them.
template <typename Body>
void with_codes(const CodeTarget& target, Body body) {
  if (target.is_plain()) {
    body(PlainCodes(target));
  } else {
    body(ScaledCodes(target));
  }
}

}  // namespace fp8::cuda
