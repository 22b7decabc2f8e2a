// The steps by which samples go through a model, on the device: each the twin of a step of the CPU's propagation.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "fp8/job.h"

namespace fp8::cuda {

// samples × width, row-major.
struct SampleMatrix {
  float* data = nullptr;
  std::int64_t leading = 0;  // a multiple of 4, and data is aligned to 16 bytes
  int samples = 0;
  int width = 0;
};

// Rows of numbers as operands of products: row r is (high + low) · unscale[r], with unscale[r] the power of two that puts the row's largest
// magnitude between 2⁷ and 2⁸, so that neither small rows nor large ones leave FP16. The sum keeps 22 bits (see split.cuh); high alone is
// exact for BF16 and F16 values down to 2⁻²² of the largest.
struct SplitRows {
  __half* high = nullptr;
  __half* low = nullptr;  // or null
  std::int64_t leading = 0;
  float* unscale = nullptr;
};

// Of finite values; 0 for what is not. in: rows × width without gaps.
void split_weights(const void* in, SourceDtype dtype, std::int64_t rows, int width, const SplitRows& out, cudaStream_t stream);
// NaN and infinity stay such.
void split_samples(const SampleMatrix& in, const SplitRows& out, cudaStream_t stream);

// out[s][first + i] = out[s][first + i] · of_sample[s] · of_weight[i] + bias[first + i] for i < count; without bias, nothing is added.
void finish_product(const SampleMatrix& out, int first, int count, const float* of_sample, const float* of_weight, const float* bias,
                    cudaStream_t stream);

// out = (in − mean) / √(variance + 10⁻⁶) · gain + bias, or with the mean taken as 0; gain and bias may be null. out may be in.
void normalise_samples(const SampleMatrix& in, PropagateStep::Kind kind, const float* gain, const float* bias, const SampleMatrix& out,
                       cudaStream_t stream);

// Of activate, multiply, add and modulate, element by element; b is a where the step reads but one. out may be either.
void map_samples(const PropagateStep& step, const SampleMatrix& a, const SampleMatrix& b, const SampleMatrix& out, cudaStream_t stream);

// out[s] = in[from[s]].
void shuffle_samples(const SampleMatrix& in, const std::int32_t* from, const SampleMatrix& out, cudaStream_t stream);

// Each group of `head` values `times` times in a row.
void repeat_heads(const SampleMatrix& in, int head, int times, const SampleMatrix& out, cudaStream_t stream);

// Summed in double, in a fixed order.
void mean_of_samples(const SampleMatrix& in, float* mean, cudaStream_t stream);

// Samples [first, first + count) as BF16 without gaps, rounded to nearest.
void samples_as_bf16(const SampleMatrix& in, int first, int count, std::uint16_t* out, cudaStream_t stream);

// out: width × samples.
void transpose_samples(const SampleMatrix& in, const SampleMatrix& out, cudaStream_t stream);

// Rows [first, first + count) of the second moment, without gaps: square[i][j] · unscale[i] · unscale[j] · factor, of a square matrix whose
// lower triangle alone is there.
void finish_moment(const float* square, std::int64_t leading, int size, const float* unscale, float factor, int first, int count,
                   float* out, cudaStream_t stream);

}  // namespace fp8::cuda
