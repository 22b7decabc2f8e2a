// Grid: the values that a format can represent, as the solver sees them: symmetric around zero, equally spaced by `subnormal_step` below
// `smallest_normal` and with `mantissa_bits` bits of mantissa above, up to `largest`. Codes are the encoders' business.
#pragma once

#include <cmath>
#include <limits>

namespace fp8 {

struct Grid {
  float largest;
  float smallest_normal;
  float subnormal_step;
  int mantissa_bits;
};

inline constexpr Grid e4m3_grid{448.0F, 0x1p-6F, 0x1p-9F, 3};
inline constexpr Grid e5m2_grid{57344.0F, 0x1p-14F, 0x1p-16F, 2};

}  // namespace fp8
