#include "cpu/kernels.h"

#include <functional>

// Two tables on x86-64 besides the baseline: AVX2 and AVX-512. libhwy's own chooser is not used, because Debian has it as a shared library
// only.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/kernels.cpp"
#include "hwy/foreach_target.h"  // must come before highway.h
#include "hwy/highway.h"

// Once more for each target.
#include "cpu/codec_kernels-inl.h"
#include "cpu/solver_kernels-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fp8 {
namespace HWY_NAMESPACE {

const Kernels& table() {
  static const Kernels kernels{
      hwy::TargetName(HWY_TARGET),
      scan,
      decode_scaled,
      encode,
      quantize,
      weighted_error,
      add_squares,
      sum_of_squares,
      dot,
      nearest_error,
      round_to_grid,
      finish,
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
