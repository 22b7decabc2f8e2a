// One block a sample where a step sums over one, else one thread a value.
#include "check.h"
#include "propagation_steps.h"
#include "reduce.cuh"
#include "source.cuh"
#include "split.cuh"

namespace fp8::cuda {

namespace {

constexpr int threads = 256;
constexpr int tile = 32;
constexpr int lines = 8;

using Kind = PropagateStep::Kind;
using Activation = PropagateStep::Activation;

unsigned blocks_of(std::int64_t count) { return static_cast<unsigned>((count + threads - 1) / threads); }

dim3 tiles_of(std::int64_t columns, std::int64_t rows) {
  return {static_cast<unsigned>((columns + tile - 1) / tile), static_cast<unsigned>((rows + tile - 1) / tile)};
}

// A block for each row. Values whose own magnitude is not finite do not count for the scale.
template <SourceDtype dtype, bool only_finite>
__global__ void split_rows_kernel(const typename Source<dtype>::Bits* __restrict__ in, std::int64_t in_leading, int width, SplitRows out) {
  __shared__ float largest_of_warp[threads / 32];
  const std::int64_t row = blockIdx.x;
  const typename Source<dtype>::Bits* from = in + row * in_leading;
  const auto value_at = [&](int i) {
    const float value = Source<dtype>::decode(from[i]);
    return only_finite && !isfinite(value) ? 0.0F : value;
  };
  float largest = 0;
  for (int i = static_cast<int>(threadIdx.x); i < width; i += threads) {
    const float magnitude = fabsf(value_at(i));
    if (isfinite(magnitude)) largest = fmaxf(largest, magnitude);
  }
  for (int offset = 16; offset > 0; offset /= 2) largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFU, largest, offset));
  if (threadIdx.x % 32 == 0) largest_of_warp[threadIdx.x / 32] = largest;
  __syncthreads();
  for (int i = 0; i < threads / 32; ++i) largest = fmaxf(largest, largest_of_warp[i]);
  int exponent = 0;
  (void)frexpf(largest, &exponent);
  const int lift = largest > 0 ? min(max(8 - exponent, -120), 120) : 0;
  const float scale = ldexpf(1.0F, lift);
  if (threadIdx.x == 0) out.unscale[row] = ldexpf(1.0F, -lift);
  for (int i = static_cast<int>(threadIdx.x); i < width; i += threads) {
    const Split parts = split(value_at(i) * scale);
    out.high[row * out.leading + i] = parts.high;
    if (out.low != nullptr) out.low[row * out.leading + i] = parts.low;
  }
}

__global__ void finish_product_kernel(SampleMatrix out, int first, int count, const float* __restrict__ of_sample,
                                      const float* __restrict__ of_weight, const float* __restrict__ bias) {
  const int i = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  const std::int64_t sample = blockIdx.y;
  if (i >= count) return;
  float& value = out.data[sample * out.leading + first + i];
  value = value * of_sample[sample] * of_weight[i] + (bias == nullptr ? 0.0F : bias[first + i]);
}

__global__ void normalise_kernel(SampleMatrix in, bool centred, const float* __restrict__ gain, const float* __restrict__ bias,
                                 SampleMatrix out) {
  __shared__ double scratch[threads / 32];
  __shared__ double shared_mean;
  __shared__ double shared_factor;
  const float* from = in.data + blockIdx.x * in.leading;
  float* to = out.data + blockIdx.x * out.leading;
  const double count = in.width;
  if (centred) {
    double sum = 0;
    for (int i = static_cast<int>(threadIdx.x); i < in.width; i += threads) sum += static_cast<double>(from[i]);
    sum = block_sum<threads>(sum, scratch);
    if (threadIdx.x == 0) shared_mean = sum / count;
  } else if (threadIdx.x == 0) {
    shared_mean = 0;
  }
  __syncthreads();
  const double mean = shared_mean;
  double square = 0;
  for (int i = static_cast<int>(threadIdx.x); i < in.width; i += threads) {
    const double value = static_cast<double>(from[i]) - mean;
    square += value * value;
  }
  square = block_sum<threads>(square, scratch);
  if (threadIdx.x == 0) shared_factor = 1 / sqrt(square / count + 1e-6);
  __syncthreads();
  const double factor = shared_factor;
  for (int i = static_cast<int>(threadIdx.x); i < in.width; i += threads) {
    const auto value = static_cast<float>((static_cast<double>(from[i]) - mean) * factor);
    to[i] = value * (gain == nullptr ? 1.0F : gain[i]) + (bias == nullptr ? 0.0F : bias[i]);
  }
}

template <Activation activation>
struct Activate {
  __device__ float operator()(float x, float) const {
    if constexpr (activation == Activation::silu) return x / (1.0F + expf(-x));
    if constexpr (activation == Activation::gelu) return 0.5F * x * (1.0F + erff(x * 0.70710678F));
    if constexpr (activation == Activation::gelu_tanh) return 0.5F * x * (1.0F + tanhf(0.79788456F * (x + 0.044715F * x * x * x)));
    if constexpr (activation == Activation::quick_gelu) return x / (1.0F + expf(-1.702F * x));
  }
};
struct Multiply {
  __device__ float operator()(float a, float b) const { return a * b; }
};
struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Modulate {
  __device__ float operator()(float a, float b) const { return a * (1.0F + b); }
};

// Over whole rows, what is between them included.
template <typename Function>
__global__ void map_kernel(const float4* a, const float4* b, std::int64_t count, Function function, float4* out) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (i >= count) return;
  const float4 x = a[i];
  const float4 y = b[i];
  out[i] = {function(x.x, y.x), function(x.y, y.y), function(x.z, y.z), function(x.w, y.w)};
}

template <typename Function>
void map(const SampleMatrix& a, const SampleMatrix& b, const SampleMatrix& out, Function function, cudaStream_t stream) {
  const std::int64_t count = out.samples * out.leading / 4;
  map_kernel<<<blocks_of(count), threads, 0, stream>>>(reinterpret_cast<const float4*>(a.data), reinterpret_cast<const float4*>(b.data),
                                                       count, function, reinterpret_cast<float4*>(out.data));
}

__global__ void shuffle_kernel(SampleMatrix in, const std::int32_t* __restrict__ from, SampleMatrix out) {
  const int i = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  const std::int64_t sample = blockIdx.y;
  if (i < out.width) out.data[sample * out.leading + i] = in.data[from[sample] * in.leading + i];
}

__global__ void repeat_heads_kernel(SampleMatrix in, int head, int times, SampleMatrix out) {
  const int i = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  const std::int64_t sample = blockIdx.y;
  if (i < out.width) out.data[sample * out.leading + i] = in.data[sample * in.leading + i / head / times * head + i % head];
}

// A block for 32 elements; each of its lines sums every eighth sample.
__global__ void mean_kernel(SampleMatrix in, float* __restrict__ mean) {
  __shared__ double sums[lines][tile];
  const int x = static_cast<int>(threadIdx.x);
  const int y = static_cast<int>(threadIdx.y);
  const int i = static_cast<int>(blockIdx.x) * tile + x;
  double sum = 0;
  if (i < in.width) {
    for (std::int64_t s = y; s < in.samples; s += lines) sum += static_cast<double>(in.data[s * in.leading + i]);
  }
  sums[y][x] = sum;
  __syncthreads();
  if (y != 0 || i >= in.width) return;
  for (int line = 1; line < lines; ++line) sum += sums[line][x];
  mean[i] = static_cast<float>(sum / in.samples);
}

__global__ void bf16_kernel(SampleMatrix in, int first, std::uint16_t* __restrict__ out) {
  const int i = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  const std::int64_t row = blockIdx.y;
  if (i >= in.width) return;
  const unsigned bits = __float_as_uint(in.data[(first + row) * in.leading + i]);
  const bool is_nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
  out[row * in.width + i] = static_cast<std::uint16_t>(is_nan ? bits >> 16 | 0x40U : (bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

__global__ void transpose_kernel(SampleMatrix in, SampleMatrix out) {
  __shared__ float values[tile][tile + 1];
  const int x = static_cast<int>(threadIdx.x);
  const int first_column = static_cast<int>(blockIdx.x) * tile;
  const int first_row = static_cast<int>(blockIdx.y) * tile;
  for (int y = static_cast<int>(threadIdx.y); y < tile; y += lines) {
    const std::int64_t row = first_row + y;
    const int column = first_column + x;
    if (row < in.samples && column < in.width) values[y][x] = in.data[row * in.leading + column];
  }
  __syncthreads();
  for (int y = static_cast<int>(threadIdx.y); y < tile; y += lines) {
    const std::int64_t row = first_column + y;
    const int column = first_row + x;
    if (row < out.samples && column < out.width) out.data[row * out.leading + column] = values[x][y];
  }
}

__global__ void finish_moment_kernel(const float* __restrict__ square, std::int64_t leading, int size, const float* __restrict__ unscale,
                                     float factor, int first, float* __restrict__ out) {
  const int j = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  const std::int64_t row = blockIdx.y;
  if (j >= size) return;
  const int i = first + static_cast<int>(row);
  out[row * size + j] = square[max(i, j) * leading + min(i, j)] * unscale[i] * unscale[j] * factor;
}

}  // namespace

void split_weights(const void* in, SourceDtype dtype, std::int64_t rows, int width, const SplitRows& out, cudaStream_t stream) {
  with_dtype(dtype, [&]<SourceDtype d>() {
    split_rows_kernel<d, true>
        <<<static_cast<unsigned>(rows), threads, 0, stream>>>(static_cast<const typename Source<d>::Bits*>(in), width, width, out);
  });
  check_launch("split_weights");
}

void split_samples(const SampleMatrix& in, const SplitRows& out, cudaStream_t stream) {
  split_rows_kernel<SourceDtype::f32, false><<<static_cast<unsigned>(in.samples), threads, 0, stream>>>(
      reinterpret_cast<const std::uint32_t*>(in.data), in.leading, in.width, out);
  check_launch("split_samples");
}

void finish_product(const SampleMatrix& out, int first, int count, const float* of_sample, const float* of_weight, const float* bias,
                    cudaStream_t stream) {
  finish_product_kernel<<<dim3(blocks_of(count), static_cast<unsigned>(out.samples)), threads, 0, stream>>>(out, first, count, of_sample,
                                                                                                            of_weight, bias);
  check_launch("finish_product");
}

void normalise_samples(const SampleMatrix& in, PropagateStep::Kind kind, const float* gain, const float* bias, const SampleMatrix& out,
                       cudaStream_t stream) {
  normalise_kernel<<<static_cast<unsigned>(in.samples), threads, 0, stream>>>(in, kind == Kind::layer_norm, gain, bias, out);
  check_launch("normalise_samples");
}

void map_samples(const PropagateStep& step, const SampleMatrix& a, const SampleMatrix& b, const SampleMatrix& out, cudaStream_t stream) {
  if (step.kind == Kind::multiply) {
    map(a, b, out, Multiply{}, stream);
  } else if (step.kind == Kind::add) {
    map(a, b, out, Add{}, stream);
  } else if (step.kind == Kind::modulate) {
    map(a, b, out, Modulate{}, stream);
  } else {
    switch (step.activation) {
      case Activation::silu:
        map(a, b, out, Activate<Activation::silu>{}, stream);
        break;
      case Activation::gelu:
        map(a, b, out, Activate<Activation::gelu>{}, stream);
        break;
      case Activation::gelu_tanh:
        map(a, b, out, Activate<Activation::gelu_tanh>{}, stream);
        break;
      case Activation::quick_gelu:
        map(a, b, out, Activate<Activation::quick_gelu>{}, stream);
        break;
    }
  }
  check_launch("map_samples");
}

void shuffle_samples(const SampleMatrix& in, const std::int32_t* from, const SampleMatrix& out, cudaStream_t stream) {
  shuffle_kernel<<<dim3(blocks_of(out.width), static_cast<unsigned>(out.samples)), threads, 0, stream>>>(in, from, out);
  check_launch("shuffle_samples");
}

void repeat_heads(const SampleMatrix& in, int head, int times, const SampleMatrix& out, cudaStream_t stream) {
  repeat_heads_kernel<<<dim3(blocks_of(out.width), static_cast<unsigned>(out.samples)), threads, 0, stream>>>(in, head, times, out);
  check_launch("repeat_heads");
}

void mean_of_samples(const SampleMatrix& in, float* mean, cudaStream_t stream) {
  mean_kernel<<<static_cast<unsigned>((in.width + tile - 1) / tile), dim3(tile, lines), 0, stream>>>(in, mean);
  check_launch("mean_of_samples");
}

void samples_as_bf16(const SampleMatrix& in, int first, int count, std::uint16_t* out, cudaStream_t stream) {
  bf16_kernel<<<dim3(blocks_of(in.width), static_cast<unsigned>(count)), threads, 0, stream>>>(in, first, out);
  check_launch("samples_as_bf16");
}

void transpose_samples(const SampleMatrix& in, const SampleMatrix& out, cudaStream_t stream) {
  transpose_kernel<<<tiles_of(in.width, in.samples), dim3(tile, lines), 0, stream>>>(in, out);
  check_launch("transpose_samples");
}

void finish_moment(const float* square, std::int64_t leading, int size, const float* unscale, float factor, int first, int count,
                   float* out, cudaStream_t stream) {
  finish_moment_kernel<<<dim3(blocks_of(size), static_cast<unsigned>(count)), threads, 0, stream>>>(square, leading, size, unscale, factor,
                                                                                                    first, out);
  check_launch("finish_moment");
}

}  // namespace fp8::cuda
