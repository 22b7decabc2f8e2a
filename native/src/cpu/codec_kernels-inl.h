// Kernels that pass once over values: scan, decode, encode, nearest rounding, and sums. Compiled once for each instruction set.
#if defined(FP8_CPU_CODEC_KERNELS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef FP8_CPU_CODEC_KERNELS_INL_H
#undef FP8_CPU_CODEC_KERNELS_INL_H
#else
#define FP8_CPU_CODEC_KERNELS_INL_H
#endif

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/half_float.h"
#include "cpu/kernels.h"
#include "cpu/vectors-inl.h"
#include "fp8/fp8.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace fp8 {
namespace HWY_NAMESPACE {
namespace {

template <SourceDtype kDtype>
Scan scan_as(const std::byte* source, std::size_t count) {
  // Magnitudes order like their bits, so the largest finite one is found without decoding.
  using T = std::conditional_t<kDtype == SourceDtype::f32, std::uint32_t, std::uint16_t>;
  using Tag = hn::CappedTag<T, 64 / sizeof(T)>;
  const Tag tag;
  constexpr T infinity = kDtype == SourceDtype::f32 ? T(infinity_bits) : kDtype == SourceDtype::bf16 ? T(0x7F80U) : T(0x7C00U);
  constexpr T mask = static_cast<T>(~T(0)) >> 1;
  auto largest = hn::Zero(tag);
  std::uint64_t non_finite = 0;
  const std::size_t lanes = hn::Lanes(tag);
  std::size_t i = 0;
  const auto step = [&](auto bits) HWY_ATTR {
    const auto magnitude = hn::And(bits, hn::Set(tag, mask));
    const auto finite = hn::Lt(magnitude, hn::Set(tag, infinity));
    largest = hn::Max(largest, hn::IfThenElseZero(finite, magnitude));
    if (HWY_UNLIKELY(!hn::AllTrue(tag, finite))) non_finite += hn::CountTrue(tag, hn::Not(finite));
  };
  for (; i + lanes <= count; i += lanes) {
    step(load_bytes(tag, source + i * sizeof(T)));
  }
  if (i < count) {
    alignas(64) std::byte padded[64] = {};
    std::memcpy(padded, source + i * sizeof(T), (count - i) * sizeof(T));
    step(load_bytes(tag, padded));
  }
  alignas(64) T found[64 / sizeof(T)];
  hn::Store(largest, tag, found);
  const T bits = *std::max_element(found, found + lanes);
  Scan scan;
  if constexpr (kDtype == SourceDtype::f32) {
    scan.largest_magnitude = std::bit_cast<float>(bits);
  } else {
    scan.largest_magnitude = kDtype == SourceDtype::bf16 ? decode_bf16(bits) : decode_f16(bits);
  }
  scan.non_finite = non_finite;
  return scan;
}

Scan scan(const std::byte* source, SourceDtype dtype, std::size_t count) {
  switch (dtype) {
    case SourceDtype::f32:
      return scan_as<SourceDtype::f32>(source, count);
    case SourceDtype::f16:
      return scan_as<SourceDtype::f16>(source, count);
    case SourceDtype::bf16:
      return scan_as<SourceDtype::bf16>(source, count);
  }
  return {};
}

void decode_scaled(const std::byte* source, SourceDtype dtype, std::size_t count, float scale, float* out) {
  const F32 f32;
  const VF divisor = hn::Set(f32, scale);
  const std::size_t lanes = hn::Lanes(f32);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(hn::Div(load_source(source, dtype, i), divisor), f32, out + i);
  if (i < count) {
    alignas(64) float last[row_quantum];
    hn::Store(hn::Div(load_source_tail(source, dtype, i, count - i), divisor), f32, last);
    std::memcpy(out + i, last, (count - i) * sizeof(float));
  }
}

template <typename Encoder>
HWY_INLINE void encode_all(const float* values, std::size_t count, std::uint8_t* codes, const Encoder& encoder) {
  const F32 f32;
  const std::size_t lanes = hn::Lanes(f32);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) store_codes(encoder(hn::LoadU(f32, values + i)), codes + i);
  if (i < count) {
    std::uint8_t last[row_quantum];
    store_codes(encoder(load_source_tail(reinterpret_cast<const std::byte*>(values), SourceDtype::f32, i, count - i)), last);
    std::memcpy(codes + i, last, count - i);
  }
}

void encode(const float* values, std::size_t count, CodeGrid grid, std::uint8_t* codes) {
  with_grid(grid, [&](auto kind) HWY_ATTR {
    encode_all(values, count, codes, [](VF x) HWY_ATTR { return encode_vector<decltype(kind)::value>(x); });
  });
}

template <CodeGrid kGrid>
HWY_INLINE RoundingError quantize_as(const std::byte* source, SourceDtype dtype, std::size_t count, float scale, std::uint8_t* codes) {
  const F32 f32;
  const Rounder nearest(grid_of(kGrid));
  const VF divisor = hn::Set(f32, scale);
  const std::size_t lanes = hn::Lanes(f32);
  DoubleSum error;
  DoubleSum value;
  std::size_t i = 0;
  const auto step = [&](VF x, std::uint8_t* out) HWY_ATTR {
    const VF scaled = hn::Div(x, divisor);
    store_codes(encode_vector<kGrid>(scaled), out);
    value.add_square(scaled);
    error.add_square(hn::Sub(nearest(scaled), scaled));
  };
  for (; i + lanes <= count; i += lanes) step(load_source(source, dtype, i), codes + i);
  if (i < count) {
    std::uint8_t last[row_quantum];
    step(load_source_tail(source, dtype, i, count - i), last);
    std::memcpy(codes + i, last, count - i);
  }
  return {error.total(), value.total()};
}

RoundingError quantize(const std::byte* source, SourceDtype dtype, std::size_t count, float scale, CodeGrid grid, std::uint8_t* codes) {
  return with_grid(grid, [&](auto kind) HWY_ATTR { return quantize_as<decltype(kind)::value>(source, dtype, count, scale, codes); });
}

double weighted_error(const float* values, const float* weights, std::size_t count, float scale, const Grid& grid) {
  const F32 f32;
  const Rounder nearest(grid);
  const VF factor = hn::Set(f32, scale);
  const std::size_t lanes = hn::Lanes(f32);
  double total = 0;
  alignas(64) float lane[row_quantum];
  const auto squares = [&](VF x, VF weight) HWY_ATTR {
    const VF error = hn::Sub(hn::Mul(nearest(hn::Div(x, factor)), factor), x);
    return hn::Mul(hn::Mul(error, error), weight);
  };
  for (std::size_t begin = 0; begin < count; begin += 32 * lanes) {
    const std::size_t end = std::min(count, begin + 32 * lanes);
    VF partial = hn::Zero(f32);
    std::size_t i = begin;
    for (; i + lanes <= end; i += lanes) partial = hn::Add(partial, squares(hn::LoadU(f32, values + i), hn::LoadU(f32, weights + i)));
    if (i < end) {
      alignas(64) float last[2 * row_quantum] = {};
      std::memcpy(last, values + i, (end - i) * sizeof(float));
      std::memcpy(last + row_quantum, weights + i, (end - i) * sizeof(float));
      partial = hn::Add(partial, squares(hn::Load(f32, last), hn::Load(f32, last + row_quantum)));
    }
    hn::Store(partial, f32, lane);
    for (std::size_t k = 0; k < lanes; ++k) total += lane[k];
  }
  return total;
}

double dot(const float* a, const float* b, std::size_t count) {
  const F32 f32;
  const std::size_t lanes = hn::Lanes(f32);
  double total = 0;
  alignas(64) float lane[row_quantum];
  for (std::size_t begin = 0; begin < count; begin += 32 * lanes) {
    const std::size_t end = std::min(count, begin + 32 * lanes);
    VF partial = hn::Zero(f32);
    for (std::size_t i = begin; i < end; i += lanes) partial = hn::MulAdd(hn::LoadU(f32, a + i), hn::LoadU(f32, b + i), partial);
    hn::Store(partial, f32, lane);
    for (std::size_t i = 0; i < lanes; ++i) total += lane[i];
  }
  return total;
}

void add_squares(const float* values, std::size_t count, double* sums) {
  for (std::size_t i = 0; i < count; ++i) sums[i] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
}

double sum_of_squares(const float* values, std::size_t count) {
  const F32 f32;
  const std::size_t lanes = hn::Lanes(f32);
  DoubleSum sum;
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) sum.add_square(hn::LoadU(f32, values + i));
  double total = sum.total();
  for (; i < count; ++i) total += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return total;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fp8
HWY_AFTER_NAMESPACE();

#endif
