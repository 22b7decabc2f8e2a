// Vectors of floats on the grids of codes: loading, rounding, encoding and adding up. Compiled once for each instruction set.
#if defined(FP8_CPU_VECTORS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef FP8_CPU_VECTORS_INL_H
#undef FP8_CPU_VECTORS_INL_H
#else
#define FP8_CPU_VECTORS_INL_H
#endif

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cpu/kernels.h"
#include "fp8/fp8.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace fp8 {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Sixteen lanes at most, so that row_quantum is a whole number of vectors for every instruction set.
using F32 = hn::CappedTag<float, row_quantum>;
using U32 = hn::RebindToUnsigned<F32>;
using I32 = hn::RebindToSigned<F32>;
using U16 = hn::Rebind<std::uint16_t, F32>;
using U8 = hn::Rebind<std::uint8_t, F32>;
using F64 = hn::Repartition<double, F32>;
using VF = hn::Vec<F32>;
using VU = hn::Vec<U32>;

constexpr std::uint32_t magnitude_bits = 0x7FFFFFFFU;
constexpr std::uint32_t sign_bit = 0x80000000U;
constexpr std::uint32_t infinity_bits = 0x7F800000U;

HWY_INLINE VF decode(hn::Vec<U16> bits, SourceDtype dtype) {
  const F32 f32;
  const U32 u32;
  const VU wide = hn::PromoteTo(u32, bits);
  if (dtype == SourceDtype::bf16) return hn::BitCast(f32, hn::ShiftLeft<16>(wide));
  // A half's exponent and mantissa, moved to a float's place, are its value times 2^-112, subnormals included.
  const VU magnitude = hn::And(wide, hn::Set(u32, 0x7FFFU));
  const VU sign = hn::ShiftLeft<16>(hn::And(wide, hn::Set(u32, 0x8000U)));
  const VF scaled = hn::Mul(hn::BitCast(f32, hn::ShiftLeft<13>(magnitude)), hn::Set(f32, 0x1p112F));
  const VU special = hn::IfThenElseZero(hn::Gt(magnitude, hn::Set(u32, 0x7BFFU)), hn::Set(u32, infinity_bits));
  return hn::BitCast(f32, hn::Or(hn::Or(hn::BitCast(u32, scaled), special), sign));
}

// Sources may lie at any address: vector loads and Highway's scalar load accept that.
template <typename Tag>
HWY_INLINE hn::Vec<Tag> load_bytes(Tag tag, const std::byte* source) {
  return hn::LoadU(tag, reinterpret_cast<const hn::TFromD<Tag>*>(source));
}

HWY_INLINE VF load_source(const std::byte* source, SourceDtype dtype, std::size_t index) {
  const F32 f32;
  const U16 u16;
  if (dtype == SourceDtype::f32) {
    return load_bytes(f32, source + index * 4);
  }
  return decode(load_bytes(u16, source + index * 2), dtype);
}

// The last, incomplete vector of a source, padded with zeros.
HWY_INLINE VF load_source_tail(const std::byte* source, SourceDtype dtype, std::size_t index, std::size_t count) {
  alignas(64) std::byte padded[row_quantum * 4] = {};
  const std::size_t size = byte_size(dtype);
  std::memcpy(padded, source + index * size, count * size);
  return load_source(padded, dtype, 0);
}

// Rounding to a grid, split into constants and the work per vector.
struct Rounder {
  explicit HWY_INLINE Rounder(const Grid& grid)
      : largest(grid.largest),
        smallest_normal(grid.smallest_normal),
        // Adding this leaves exactly the multiples of the step.
        magic(grid.subnormal_step * 0x1.8p23F),
        shift(23 - grid.mantissa_bits),
        half((1U << (shift - 1)) - 1U),
        kept(~((1U << shift) - 1U)) {}

  HWY_INLINE VF operator()(VF x) const {
    const F32 f32;
    const U32 u32;
    const VU sign = hn::And(hn::BitCast(u32, x), hn::Set(u32, sign_bit));
    const VF magnitude = hn::Min(hn::Abs(x), hn::Set(f32, largest));
    const VU bits = hn::BitCast(u32, magnitude);
    const VU odd = hn::And(hn::ShiftRightSame(bits, shift), hn::Set(u32, 1U));
    const VU normal = hn::And(hn::Add(bits, hn::Add(odd, hn::Set(u32, half))), hn::Set(u32, kept));
    const VF uniform = hn::Sub(hn::Add(magnitude, hn::Set(f32, magic)), hn::Set(f32, magic));
    const VF rounded = hn::IfThenElse(hn::Lt(magnitude, hn::Set(f32, smallest_normal)), uniform, hn::BitCast(f32, normal));
    return hn::BitCast(f32, hn::Or(hn::BitCast(u32, rounded), sign));
  }

  float largest;
  float smallest_normal;
  float magic;
  int shift;
  std::uint32_t half;
  std::uint32_t kept;
};

// nearest(x / scale) · scale with a scale for each lane, or, where kScaled is false, nearest(x).
template <bool kScaled>
struct ScaledRounder {
  explicit HWY_INLINE ScaledRounder(const Grid& grid) : nearest(grid) {}

  // `scales`: of the lanes of x.
  HWY_INLINE VF operator()(VF x, const float* scales) const {
    if constexpr (kScaled) {
      const VF scale = hn::LoadU(F32(), scales);
      return hn::Mul(nearest(hn::Div(x, scale)), scale);
    } else {
      return nearest(x);
    }
  }

  Rounder nearest;
};

// Codes of kSignBit bits below the sign.
template <int kMantissaBits, int kBias, std::uint32_t kLargest, std::uint32_t kNanCode, int kSignBit = 7>
HWY_INLINE VU encode_float(VF x) {
  const F32 f32;
  const U32 u32;
  constexpr int shift = 23 - kMantissaBits;
  constexpr float smallest_normal = std::bit_cast<float>(static_cast<std::uint32_t>(128 - kBias) << 23);
  constexpr float magic = smallest_normal / (1 << kMantissaBits) * 0x1.8p23F;
  const VU bits = hn::BitCast(u32, x);
  const VU magnitude = hn::And(bits, hn::Set(u32, magnitude_bits));
  const VU clamped = hn::Min(magnitude, hn::Set(u32, kLargest));
  const VF value = hn::BitCast(f32, clamped);
  const VU odd = hn::And(hn::ShiftRight<shift>(clamped), hn::Set(u32, 1U));
  const VU rounded = hn::ShiftRight<shift>(hn::Add(clamped, hn::Add(odd, hn::Set(u32, (1U << (shift - 1)) - 1U))));
  const VU normal = hn::Sub(rounded, hn::Set(u32, static_cast<std::uint32_t>(127 - kBias) << kMantissaBits));
  // The sum's last bits count the steps below the smallest normal value.
  const VU subnormal = hn::Sub(hn::BitCast(u32, hn::Add(value, hn::Set(f32, magic))), hn::Set(u32, std::bit_cast<std::uint32_t>(magic)));
  VU code = hn::IfThenElse(hn::RebindMask(u32, hn::Lt(value, hn::Set(f32, smallest_normal))), subnormal, normal);
  code = hn::IfThenElse(hn::Gt(magnitude, hn::Set(u32, infinity_bits)), hn::Set(u32, kNanCode), code);
  return hn::Or(code, hn::ShiftLeft<kSignBit>(hn::ShiftRight<31>(bits)));
}

template <CodeGrid kGrid>
HWY_INLINE VU encode_vector(VF x) {
  if constexpr (kGrid == CodeGrid::e4m3) {
    return encode_float<3, 7, std::bit_cast<std::uint32_t>(e4m3_max), 0x7F>(x);
  } else if constexpr (kGrid == CodeGrid::e5m2) {
    return encode_float<2, 15, std::bit_cast<std::uint32_t>(e5m2_max), 0x7F>(x);
  } else if constexpr (kGrid == CodeGrid::e2m1) {
    return encode_float<1, 1, std::bit_cast<std::uint32_t>(e2m1_max), 0x7, 3>(x);
  } else {
    const F32 f32;
    const U32 u32;
    const VF largest = hn::Set(f32, int8_max);
    const VF clamped = hn::Min(hn::Max(x, hn::Neg(largest)), largest);
    return hn::And(hn::BitCast(u32, hn::NearestInt(clamped)), hn::Set(u32, 0xFFU));
  }
}

// The code of a zero with the sign of x.
template <CodeGrid kGrid>
HWY_INLINE VU zero_code(VF x) {
  const U32 u32;
  if constexpr (kGrid == CodeGrid::int8) return hn::Zero(u32);
  return hn::ShiftLeft < kGrid == CodeGrid::e2m1 ? 3 : 7 > (hn::ShiftRight<31>(hn::BitCast(u32, x)));
}

// Calls `body` with the grid as a compile-time constant.
template <typename Body>
HWY_INLINE auto with_grid(CodeGrid grid, const Body& body) {
  switch (grid) {
    case CodeGrid::e5m2:
      return body(std::integral_constant<CodeGrid, CodeGrid::e5m2>());
    case CodeGrid::int8:
      return body(std::integral_constant<CodeGrid, CodeGrid::int8>());
    case CodeGrid::e2m1:
      return body(std::integral_constant<CodeGrid, CodeGrid::e2m1>());
    case CodeGrid::e4m3:
      break;
  }
  return body(std::integral_constant<CodeGrid, CodeGrid::e4m3>());
}

HWY_INLINE void store_codes(VU codes, std::uint8_t* out) {
  const U8 u8;
  const I32 i32;
  hn::StoreU(hn::DemoteTo(u8, hn::BitCast(i32, codes)), u8, out);
}

// Float lanes added up in double, a few hundred elements at a time, in an order that depends on the instruction set alone.
class DoubleSum {
 public:
  HWY_INLINE DoubleSum() : partial_(hn::Zero(F32())) {}
  HWY_INLINE void add_square(VF x) {
    const F32 f32;
    if (pending_ == 0) partial_ = hn::Zero(f32);
    partial_ = hn::MulAdd(x, x, partial_);
    if (++pending_ == 32) flush();
  }
  HWY_INLINE double total() {
    if (pending_ != 0) flush();
    return sum_;
  }

 private:
  HWY_INLINE void flush() {
    const F32 f32;
    alignas(64) float lanes[row_quantum];
    hn::Store(partial_, f32, lanes);
    for (std::size_t i = 0; i < hn::Lanes(f32); ++i) sum_ += lanes[i];
    pending_ = 0;
  }

  VF partial_;
  int pending_ = 0;
  double sum_ = 0;
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fp8
HWY_AFTER_NAMESPACE();

#endif
