// What learned rounding may take for a block's scale: its own first, then larger ones up to nearly twice as much. Never less: to cut off a
// block's largest weights lowers the sum of squared errors of a block of whole numbers, but moves the model's predictions further than it
// gains.
#pragma once

#include <cstdint>

#include "fp8/fp8.h"
#include "fp8/job.h"

namespace fp8 {

struct ScaleCandidates {
  static constexpr int most = 8;
  int count = 0;
  float values[most] = {};
  std::uint8_t codes[most] = {};  // of E4M3 scales

  FP8_HOST_DEVICE void add(float value, std::uint8_t code) {
    values[count] = value;
    codes[count++] = code;
  }
};

// A larger scale of whole numbers or of a power of two is only coarser.
constexpr bool has_scale_candidates(const CodeStorage& storage) {
  return storage.block && storage.grid != CodeGrid::int8 && storage.scale_form != ScaleForm::e8m0;
}

// Of a scale E4M3 × tensor_scale. decode: of E4M3.
template <typename Decode>
FP8_HOST_DEVICE inline ScaleCandidates e4m3_scale_candidates(std::uint8_t own, float tensor_scale, Decode decode) {
  ScaleCandidates out;
  for (int code = own; code <= 0x7E && code <= own + 5; ++code) {
    out.add(decode(static_cast<std::uint8_t>(code)) * tensor_scale, static_cast<std::uint8_t>(code));
  }
  return out;
}

// Of an F32 scale, in BF16; only such with which the grid's largest value stays finite. truncate: to BF16.
template <typename Truncate>
FP8_HOST_DEVICE inline ScaleCandidates f32_scale_candidates(float own, float grid_largest, Truncate truncate) {
  constexpr float largest_finite = 0x1.fffffep127F;
  const float factors[] = {1.0F, 1.1F, 1.2F, 1.32F, 1.45F, 1.6F, 1.75F};
  ScaleCandidates out;
  for (const float factor : factors) {
    const float scaled = truncate(own * factor);
    if (scaled * grid_largest <= largest_finite) out.add(scaled, 0);
  }
  return out;
}

}  // namespace fp8
