// What the tests of the CUDA kernels share: a skip with a reason where there is no GPU, device vectors, and seeded numbers.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "cuda/check.h"
#include "cuda/gemm.h"
#include "cuda/learned_rounding.h"

namespace fp8::cuda {

class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) GTEST_SKIP() << "no usable NVIDIA GPU: " << cudaGetErrorString(status);
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    capability_ = properties.major * 10 + properties.minor;
  }

  std::vector<GemmPath> paths() const {
    std::vector<GemmPath> result{GemmPath::portable};
    if (best_gemm_path(capability_) == GemmPath::hopper) result.push_back(GemmPath::hopper);
    return result;
  }

  int capability_ = 0;
};

template <typename T>
class DeviceVector {
 public:
  explicit DeviceVector(std::size_t count) : count_(count) {
    check(cudaMalloc(reinterpret_cast<void**>(&data_), std::max<std::size_t>(count, 1) * sizeof(T)), "cudaMalloc");
  }
  explicit DeviceVector(const std::vector<T>& values) : DeviceVector(values.size()) {
    check(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  ~DeviceVector() { cudaFree(data_); }
  DeviceVector(const DeviceVector&) = delete;
  DeviceVector& operator=(const DeviceVector&) = delete;

  T* get() const { return data_; }
  std::vector<T> host() const {
    std::vector<T> values(count_);
    check(cudaDeviceSynchronize(), "a kernel");
    check(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
    return values;
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

inline std::vector<float> normal_numbers(std::size_t count, unsigned seed, float deviation = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0.0F, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(generator);
  return values;
}

inline std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}
inline float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
inline float rounded_to_half(float value) { return __half2float(__float2half_rn(value)); }

// H = WᵀW / mean diagonal + I in double, W: rows × columns.
inline std::vector<double> gram_hessian(const std::vector<float>& w, int rows, int columns) {
  std::vector<double> h(static_cast<std::size_t>(columns) * columns, 0.0);
  for (int r = 0; r < rows; ++r) {
    for (int i = 0; i < columns; ++i) {
      const double value = w[static_cast<std::size_t>(r) * columns + i];
      for (int j = 0; j < columns; ++j)
        h[static_cast<std::size_t>(i) * columns + j] += value * static_cast<double>(w[static_cast<std::size_t>(r) * columns + j]);
    }
  }
  double trace = 0;
  for (int i = 0; i < columns; ++i) trace += h[static_cast<std::size_t>(i) * columns + i];
  for (double& value : h) value *= columns / trace;
  for (int i = 0; i < columns; ++i) h[static_cast<std::size_t>(i) * columns + i] += 1;
  return h;
}

}  // namespace fp8::cuda
