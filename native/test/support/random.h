// Reproducible test data.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace fp8::testing {

// Weights like those of a trained layer: correlated columns of different sizes, so that there is something to learn.
inline std::vector<float> correlated_weights(std::size_t rows, std::size_t columns, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  const std::size_t factors = std::max<std::size_t>(1, std::min(rows, columns) / 4);
  std::vector<float> left(rows * factors);
  std::vector<float> right(factors * columns);
  for (float& value : left) value = normal(generator);
  for (float& value : right) value = normal(generator);
  std::vector<float> size(columns);
  for (float& value : size) value = std::exp(0.3F * normal(generator));
  std::vector<float> weights(rows * columns);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      float sum = normal(generator);
      for (std::size_t f = 0; f < factors; ++f)
        sum += left[r * factors + f] * right[f * columns + c] / std::sqrt(static_cast<float>(factors));
      weights[r * columns + c] = 0.02F * size[c] * sum;
    }
  }
  return weights;
}

// Rounded towards zero, which is as good as any for a test's data.
inline std::vector<std::uint16_t> to_bf16(const std::vector<float>& values) {
  std::vector<std::uint16_t> bits;
  bits.reserve(values.size());
  for (const float value : values) bits.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
  return bits;
}

}  // namespace fp8::testing
