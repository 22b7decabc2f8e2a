// Grid: the values that a format can represent, as the solver sees them: symmetric around zero, equally spaced by `subnormal_step` below
// `smallest_normal` and with `mantissa_bits` bits of mantissa above, up to `largest`. Codes are the encoders' business.
#pragma once

#include "fp8/job.h"

namespace fp8 {

struct Grid {
  float largest;
  float smallest_normal;
  float subnormal_step;
  int mantissa_bits;
};

inline constexpr Grid e4m3_grid{448.0F, 0x1p-6F, 0x1p-9F, 3};
inline constexpr Grid e5m2_grid{57344.0F, 0x1p-14F, 0x1p-16F, 2};
inline constexpr Grid e2m1_grid{6.0F, 1.0F, 0.5F, 1};
// Whole numbers, equally spaced up to the last.
inline constexpr Grid int8_grid{127.0F, 256.0F, 1.0F, 7};

constexpr Grid grid_of(CodeGrid grid) {
  switch (grid) {
    case CodeGrid::e4m3:
      return e4m3_grid;
    case CodeGrid::e5m2:
      return e5m2_grid;
    case CodeGrid::e2m1:
      return e2m1_grid;
    case CodeGrid::int8:
      return int8_grid;
  }
  return e4m3_grid;
}

// The distance between the two largest values, which is the widest there is.
constexpr float widest_step(const Grid& grid) {
  if (grid.largest < grid.smallest_normal) return grid.subnormal_step;
  float step = grid.subnormal_step;
  for (float power = grid.smallest_normal * 2; power <= grid.largest; power *= 2) step *= 2;
  return step;
}

}  // namespace fp8
