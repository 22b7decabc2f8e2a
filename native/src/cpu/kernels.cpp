#include "cpu/kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/half_float.h"
#include "fp8/fp8.h"

// Two tables on x86-64 besides the baseline: AVX2 and AVX-512. libhwy's own chooser is not used, because Debian has it as a shared library
// only.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels.cpp"
#include "hwy/foreach_target.h"  // must come before highway.h
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

template <int kMantissaBits, int kBias, std::uint32_t kLargest, std::uint32_t kNanCode>
HWY_INLINE VU encode(VF x) {
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
  return hn::Or(code, hn::ShiftLeft<7>(hn::ShiftRight<31>(bits)));
}

HWY_INLINE VU encode_e4m3_vector(VF x) { return encode<3, 7, std::bit_cast<std::uint32_t>(e4m3_max), 0x7F>(x); }
HWY_INLINE VU encode_e5m2_vector(VF x) { return encode<2, 15, std::bit_cast<std::uint32_t>(e5m2_max), 0x7F>(x); }

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

// ---- codecs

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

void encode_e4m3(const float* values, std::size_t count, std::uint8_t* codes) {
  encode_all(values, count, codes, [](VF x) HWY_ATTR { return encode_e4m3_vector(x); });
}

void encode_e5m2(const float* values, std::size_t count, std::uint8_t* codes) {
  encode_all(values, count, codes, [](VF x) HWY_ATTR { return encode_e5m2_vector(x); });
}

RoundingError quantize_e4m3(const std::byte* source, SourceDtype dtype, std::size_t count, float scale, std::uint8_t* codes) {
  const F32 f32;
  const Rounder nearest(e4m3_grid);
  const VF divisor = hn::Set(f32, scale);
  const std::size_t lanes = hn::Lanes(f32);
  DoubleSum error;
  DoubleSum value;
  std::size_t i = 0;
  const auto step = [&](VF x, std::uint8_t* out) HWY_ATTR {
    const VF scaled = hn::Div(x, divisor);
    store_codes(encode_e4m3_vector(scaled), out);
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

// ---- solver

void nearest_error(const float* w, std::size_t count, const Grid& grid, float* e) {
  const F32 f32;
  const Rounder nearest(grid);
  for (std::size_t i = 0; i < count; i += hn::Lanes(f32)) {
    const VF x = hn::LoadU(f32, w + i);
    hn::StoreU(hn::Sub(nearest(x), x), f32, e + i);
  }
}

void round_to_grid(const float* values, std::size_t count, const Grid& grid, float* out) {
  const F32 f32;
  const Rounder nearest(grid);
  for (std::size_t i = 0; i < count; i += hn::Lanes(f32)) hn::StoreU(nearest(hn::LoadU(f32, values + i)), f32, out + i);
}

CodeStatistics finish_e4m3(const float* w, const float* q, std::size_t count, std::uint8_t* codes) {
  const F32 f32;
  const U32 u32;
  DoubleSum error;
  DoubleSum value;
  std::uint64_t changed = 0;
  for (std::size_t i = 0; i < count; i += hn::Lanes(f32)) {
    const VF x = hn::LoadU(f32, w + i);
    const VF chosen = hn::LoadU(f32, q + i);
    const VU nearest_code = encode_e4m3_vector(x);
    const VU code = hn::IfThenElse(hn::RebindMask(u32, hn::Eq(chosen, hn::Zero(f32))),
                                   hn::ShiftLeft<7>(hn::ShiftRight<31>(hn::BitCast(u32, x))), encode_e4m3_vector(chosen));
    changed += hn::CountTrue(u32, hn::Ne(code, nearest_code));
    store_codes(code, codes + i);
    error.add_square(hn::Sub(chosen, x));
    value.add_square(x);
  }
  return {error.total(), value.total(), changed};
}

// Rows [first, first + kVectors vectors) through all columns of the block. Several vectors at once hide the latency of a column's rounding,
// on which the next column depends.
template <int kVectors>
HWY_INLINE void feedback_rows(const FeedbackBlock& block, const Rounder& nearest, std::size_t first, DoubleSum& objective) {
  const F32 f32;
  const std::size_t lanes = hn::Lanes(f32);
  for (std::size_t j = block.columns; j-- > 0;) {
    VF sum[kVectors];
    const VF factor = hn::Set(f32, block.correction_factor[j]);
    const float* correction = block.correction + j * block.stride + first;
    for (int v = 0; v < kVectors; ++v) sum[v] = hn::Mul(hn::LoadU(f32, correction + v * lanes), factor);
    const float* u = block.u + j * block.columns;
    for (std::size_t i = j + 1; i < block.columns; ++i) {
      const VF weight = hn::Set(f32, u[i]);
      const float* e = block.e + i * block.stride + first;
      for (int v = 0; v < kVectors; ++v) sum[v] = hn::MulAdd(hn::LoadU(f32, e + v * lanes), weight, sum[v]);
    }
    const VF root = hn::Set(f32, std::sqrt(block.d[j]));
    for (int v = 0; v < kVectors; ++v) {
      const std::size_t at = j * block.stride + first + v * lanes;
      const VF w = hn::LoadU(f32, block.w + j * block.w_stride + first + v * lanes);
      const VF target = hn::Sub(w, sum[v]);
      const VF q = nearest(target);
      hn::StoreU(q, f32, block.q + at);
      hn::StoreU(hn::Sub(q, w), f32, block.e + at);
      objective.add_square(hn::Mul(hn::Sub(q, target), root));
    }
  }
}

double feedback(const FeedbackBlock& block, const Grid& grid) {
  const Rounder nearest(grid);
  const std::size_t lanes = hn::Lanes(F32());
  DoubleSum objective;
  std::size_t first = 0;
  for (; first + 4 * lanes <= block.rows; first += 4 * lanes) feedback_rows<4>(block, nearest, first, objective);
  for (; first < block.rows; first += lanes) feedback_rows<1>(block, nearest, first, objective);
  return objective.total();
}

template <int kVectors>
HWY_INLINE void sweep_rows(const SweepBlock& block, const Rounder& nearest, std::size_t first, SweepGain& gain) {
  const F32 f32;
  const std::size_t lanes = hn::Lanes(f32);
  VF fall[kVectors];
  for (int v = 0; v < kVectors; ++v) fall[v] = hn::Zero(f32);
  for (std::size_t j = 0; j < block.columns; ++j) {
    VF y[kVectors];
    for (int v = 0; v < kVectors; ++v) y[v] = hn::LoadU(f32, block.gradient + j * block.stride + first + v * lanes);
    const float* h = block.h + j * block.columns;
    for (std::size_t i = 0; i < j; ++i) {
      const VF weight = hn::Set(f32, h[i]);
      const float* delta = block.delta + i * block.stride + first;
      for (int v = 0; v < kVectors; ++v) y[v] = hn::MulAdd(hn::LoadU(f32, delta + v * lanes), weight, y[v]);
    }
    const VF curvature = hn::Set(f32, h[j]);
    const VF inverse = hn::Set(f32, 1.0F / h[j]);
    for (int v = 0; v < kVectors; ++v) {
      const std::size_t at = j * block.stride + first + v * lanes;
      const VF q = hn::LoadU(f32, block.q + at);
      const VF moved = nearest(hn::NegMulAdd(y[v], inverse, q));
      VF delta = hn::Sub(moved, q);
      // By how much the objective falls: −(2δY + δ²H). Moves that do not lower it, which only rounding can cause, are not made.
      const VF change = hn::Mul(delta, hn::MulAdd(delta, curvature, hn::Add(y[v], y[v])));
      const auto better = hn::Lt(change, hn::Zero(f32));
      delta = hn::IfThenElseZero(better, delta);
      fall[v] = hn::Sub(fall[v], hn::IfThenElseZero(better, change));
      gain.changed += hn::CountTrue(f32, better);
      const VF chosen = hn::IfThenElse(better, moved, q);
      hn::StoreU(delta, f32, block.delta + at);
      hn::StoreU(chosen, f32, block.q + at);
      hn::StoreU(hn::Sub(chosen, hn::LoadU(f32, block.w + j * block.w_stride + first + v * lanes)), f32, block.e + at);
    }
  }
  alignas(64) float lane[row_quantum];
  for (int v = 0; v < kVectors; ++v) {
    hn::Store(fall[v], f32, lane);
    for (std::size_t i = 0; i < lanes; ++i) gain.objective += lane[i];
  }
}

SweepGain sweep(const SweepBlock& block, const Grid& grid) {
  const Rounder nearest(grid);
  const std::size_t lanes = hn::Lanes(F32());
  SweepGain gain;
  std::size_t first = 0;
  for (; first + 4 * lanes <= block.rows; first += 4 * lanes) sweep_rows<4>(block, nearest, first, gain);
  for (; first < block.rows; first += lanes) sweep_rows<1>(block, nearest, first, gain);
  return gain;
}

}  // namespace

const Kernels& table() {
  static const Kernels kernels{
      hwy::TargetName(HWY_TARGET),
      scan,
      decode_scaled,
      encode_e4m3,
      encode_e5m2,
      quantize_e4m3,
      add_squares,
      sum_of_squares,
      dot,
      nearest_error,
      round_to_grid,
      finish_e4m3,
      feedback,
      sweep,
  };
  return kernels;
}

}  // namespace HWY_NAMESPACE
}  // namespace fp8
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fp8 {

std::size_t kernel_tables(const Kernels** tables, std::size_t capacity) {
  std::size_t count = 0;
  const auto add = [&](const Kernels& table) {
    if (count < capacity) tables[count++] = &table;
  };
  add(HWY_STATIC_DISPATCH(table)());
#if defined(__x86_64__)
  __builtin_cpu_init();
#if (HWY_TARGETS & HWY_AVX2) && HWY_STATIC_TARGET != HWY_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) add(N_AVX2::table());
#endif
#if (HWY_TARGETS & HWY_AVX3) && HWY_STATIC_TARGET != HWY_AVX3
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd")) {
    add(N_AVX3::table());
  }
#endif
#endif
  return count;
}

const Kernels& kernels() {
  static const Kernels& best = [] {
    const Kernels* tables[8];
    return std::ref(*tables[kernel_tables(tables, 8) - 1]);
  }();
  return best;
}

}  // namespace fp8
#endif
