// Kernels of learned rounding, whose lanes are rows: error feedback and sweeps through a block of columns. Compiled once for each
// instruction set.
#if defined(FP8_CPU_SOLVER_KERNELS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef FP8_CPU_SOLVER_KERNELS_INL_H
#undef FP8_CPU_SOLVER_KERNELS_INL_H
#else
#define FP8_CPU_SOLVER_KERNELS_INL_H
#endif

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "cpu/kernels.h"
#include "cpu/vectors-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace fp8 {
namespace HWY_NAMESPACE {
namespace {

template <bool kScaled>
HWY_INLINE void nearest_error_as(const float* w, std::size_t count, const Grid& grid, const float* scales, float* e) {
  const F32 f32;
  const ScaledRounder<kScaled> nearest(grid);
  for (std::size_t i = 0; i < count; i += hn::Lanes(f32)) {
    const VF x = hn::LoadU(f32, w + i);
    hn::StoreU(hn::Sub(nearest(x, scales + i), x), f32, e + i);
  }
}

void nearest_error(const float* w, std::size_t count, const Grid& grid, const float* scales, float* e) {
  if (scales == nullptr) {
    nearest_error_as<false>(w, count, grid, w, e);
  } else {
    nearest_error_as<true>(w, count, grid, scales, e);
  }
}

template <bool kScaled>
HWY_INLINE void round_to_grid_as(const float* values, std::size_t count, const Grid& grid, const float* scales, float* out) {
  const F32 f32;
  const ScaledRounder<kScaled> nearest(grid);
  for (std::size_t i = 0; i < count; i += hn::Lanes(f32)) {
    hn::StoreU(nearest(hn::LoadU(f32, values + i), scales + i), f32, out + i);
  }
}

void round_to_grid(const float* values, std::size_t count, const Grid& grid, const float* scales, float* out) {
  if (scales == nullptr) {
    round_to_grid_as<false>(values, count, grid, values, out);
  } else {
    round_to_grid_as<true>(values, count, grid, scales, out);
  }
}

template <CodeGrid kGrid>
HWY_INLINE CodeStatistics finish_as(const float* w, const float* q, std::size_t count, const float* scales, std::uint8_t* codes) {
  const F32 f32;
  const U32 u32;
  DoubleSum error;
  DoubleSum value;
  std::uint64_t changed = 0;
  for (std::size_t i = 0; i < count; i += hn::Lanes(f32)) {
    const VF x = hn::LoadU(f32, w + i);
    const VF chosen = hn::LoadU(f32, q + i);
    VF x_in_steps = x;
    VF chosen_in_steps = chosen;
    if (scales != nullptr) {
      const VF scale = hn::LoadU(f32, scales + i);
      x_in_steps = hn::Div(x, scale);
      chosen_in_steps = hn::Div(chosen, scale);
    }
    const VU nearest_code = encode_vector<kGrid>(x_in_steps);
    const VU code =
        hn::IfThenElse(hn::RebindMask(u32, hn::Eq(chosen, hn::Zero(f32))), zero_code<kGrid>(x), encode_vector<kGrid>(chosen_in_steps));
    changed += hn::CountTrue(u32, hn::Ne(code, nearest_code));
    store_codes(code, codes + i);
    error.add_square(hn::Sub(chosen, x));
    value.add_square(x);
  }
  return {error.total(), value.total(), changed};
}

CodeStatistics finish(const float* w, const float* q, std::size_t count, CodeGrid grid, const float* scales, std::uint8_t* codes) {
  return with_grid(grid, [&](auto kind) HWY_ATTR { return finish_as<decltype(kind)::value>(w, q, count, scales, codes); });
}

// Rows [first, first + kVectors vectors) through all columns of the block. Several vectors at once hide the latency of a column's rounding,
// on which the next column depends.
template <int kVectors, bool kScaled>
HWY_INLINE void feedback_rows(const FeedbackBlock& block, const ScaledRounder<kScaled>& nearest, std::size_t first, DoubleSum& objective) {
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
    const float* scales = kScaled ? block.scales[j] + first : block.w;
    for (int v = 0; v < kVectors; ++v) {
      const std::size_t at = j * block.stride + first + v * lanes;
      const VF w = hn::LoadU(f32, block.w + j * block.w_stride + first + v * lanes);
      const VF target = hn::Sub(w, sum[v]);
      const VF q = nearest(target, scales + (kScaled ? v * lanes : 0));
      hn::StoreU(q, f32, block.q + at);
      hn::StoreU(hn::Sub(q, w), f32, block.e + at);
      objective.add_square(hn::Mul(hn::Sub(q, target), root));
    }
  }
}

template <bool kScaled>
HWY_INLINE double feedback_as(const FeedbackBlock& block, const Grid& grid) {
  const ScaledRounder<kScaled> nearest(grid);
  const std::size_t lanes = hn::Lanes(F32());
  DoubleSum objective;
  std::size_t first = 0;
  for (; first + 4 * lanes <= block.rows; first += 4 * lanes) feedback_rows<4>(block, nearest, first, objective);
  for (; first < block.rows; first += lanes) feedback_rows<1>(block, nearest, first, objective);
  return objective.total();
}

double feedback(const FeedbackBlock& block, const Grid& grid) {
  return block.scales == nullptr ? feedback_as<false>(block, grid) : feedback_as<true>(block, grid);
}

template <int kVectors, bool kScaled>
HWY_INLINE void sweep_rows(const SweepBlock& block, const ScaledRounder<kScaled>& nearest, std::size_t first, SweepGain& gain) {
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
    const float* scales = kScaled ? block.scales[j] + first : block.w;
    for (int v = 0; v < kVectors; ++v) {
      const std::size_t at = j * block.stride + first + v * lanes;
      const VF q = hn::LoadU(f32, block.q + at);
      const VF moved = nearest(hn::NegMulAdd(y[v], inverse, q), scales + (kScaled ? v * lanes : 0));
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

template <bool kScaled>
HWY_INLINE SweepGain sweep_as(const SweepBlock& block, const Grid& grid) {
  const ScaledRounder<kScaled> nearest(grid);
  const std::size_t lanes = hn::Lanes(F32());
  SweepGain gain;
  std::size_t first = 0;
  for (; first + 4 * lanes <= block.rows; first += 4 * lanes) sweep_rows<4>(block, nearest, first, gain);
  for (; first < block.rows; first += lanes) sweep_rows<1>(block, nearest, first, gain);
  return gain;
}

SweepGain sweep(const SweepBlock& block, const Grid& grid) {
  return block.scales == nullptr ? sweep_as<false>(block, grid) : sweep_as<true>(block, grid);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fp8
HWY_AFTER_NAMESPACE();

#endif
