// Random: numbers from a seed, the same on every machine and device.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

namespace fp8 {

// SplitMix64, whose state only counts: what comes after n draws is known without them, so that threads can share one sequence.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += increment);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  Random after(std::uint64_t draws) const { return Random(state_ + draws * increment); }

  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }
  // Between 0 and 1, never either.
  double uniform() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1p-53; }
  // Standard normal. Two draws.
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  static constexpr std::uint64_t draws_of_normal = 2;

 private:
  static constexpr std::uint64_t increment = 0x9E3779B97F4A7C15U;

  std::uint64_t state_;
};

}  // namespace fp8
