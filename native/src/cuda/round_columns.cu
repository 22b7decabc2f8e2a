// A thread has a row. 32 columns at a time are in registers, their coefficients in shared memory, where one address serves the whole warp;
// what earlier columns of the block contribute is added first.
#include <type_traits>

#include "check.h"
#include "code_target.cuh"
#include "round_columns.h"
#include "source.cuh"

namespace fp8::cuda {

namespace {

constexpr int sub = 32;
constexpr int threads = 64;

struct FeedbackCoefficients {
  const float* unit;
  const float* pivots;
  __device__ float4 at(int j, int i) const { return *reinterpret_cast<const float4*>(unit + j * round_block + i); }
};

struct SweepCoefficients {
  const __half* hessian;
  std::int64_t leading;
  float inverse_scale;
  const float* diagonal;
  __half* changes;
  const int* active;
  std::int64_t rows_per_block;
  __device__ float4 at(int j, int i) const {
    const uint2 bits = *reinterpret_cast<const uint2*>(hessian + j * leading + i);
    const float2 low = __half22float2(*reinterpret_cast<const __half2*>(&bits.x));
    const float2 high = __half22float2(*reinterpret_cast<const __half2*>(&bits.y));
    return {low.x * inverse_scale, low.y * inverse_scale, high.x * inverse_scale, high.y * inverse_scale};
  }
};

__device__ inline void store_halves(__half* destination, const float (&values)[sub]) {
#pragma unroll
  for (int part = 0; part < sub / 8; ++part) {
    __half2 pairs[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) pairs[i] = __floats2half2_rn(values[8 * part + 2 * i], values[8 * part + 2 * i + 1]);
    reinterpret_cast<uint4*>(destination)[part] = *reinterpret_cast<const uint4*>(pairs);
  }
}

template <SourceDtype dtype, bool sweep, typename Coefficients, typename Codes>
__global__ void __launch_bounds__(threads)
    round_columns_kernel(const RoundBlock block, const Coefficients coefficients, const Codes target) {
  __shared__ float moves[round_block][threads];  // e (feedback) or d (sweep) of the columns done
  __shared__ alignas(16) float factors[round_block][sub];
  const int thread = static_cast<int>(threadIdx.x);
  const int row = static_cast<int>(blockIdx.x) * threads + thread;
  const bool active = row < block.rows;
  const int block_row = target.block_of_row(active ? row : 0);
  const auto* w = static_cast<const typename Source<dtype>::Bits*>(block.w) + (active ? row : 0);
  // Steering needs no exact quotient: what is reported is computed from the codes again.
  // The power of two in front keeps the reciprocal of the smallest scales finite.
  const float lift = block.scale < 0x1p-64F ? 0x1p64F : 1.0F;
  const float inverse_scale = 1.0F / (block.scale * lift);
  double objective = 0;

  if constexpr (sweep) {
    // All rows of a thread block belong to one block of rows.
    if (coefficients.active[static_cast<std::int64_t>(blockIdx.x) * threads / coefficients.rows_per_block] == 0) {
      if (active) {
        const float none[sub] = {};
        for (int first = 0; first < round_block; first += sub) {
          store_halves(coefficients.changes + static_cast<std::int64_t>(row) * round_block + first, none);
        }
      }
      return;
    }
  }
  const int parts = (block.columns + sub - 1) / sub;
  for (int step = 0; step < parts; ++step) {
    const int first = (sweep ? step : parts - 1 - step) * sub;
    const int width = min(sub, block.columns - first);
    // Columns that are done, whose moves count here: those before (sweep) or after (feedback) these.
    const int done_begin = sweep ? 0 : first + sub;
    const int done_end = sweep ? first : block.columns;
    // Unrolled, so that all loads are in flight at once.
#pragma unroll
    for (int part = 0; part < round_block * sub / 4 / threads; ++part) {
      const int index = thread + part * threads;
      const int j = (sweep ? 0 : first) + index / (sub / 4);
      const int i = index % (sub / 4) * 4;
      if (j >= (sweep ? first + sub : round_block)) continue;
      // Zero beyond the edge, whatever is in memory there.
      float4 factor = {0.0F, 0.0F, 0.0F, 0.0F};
      if (j < block.columns) {
        const float4 loaded = coefficients.at(j, first + i);
        factor.x = i < width ? loaded.x : 0.0F;
        factor.y = i + 1 < width ? loaded.y : 0.0F;
        factor.z = i + 2 < width ? loaded.z : 0.0F;
        factor.w = i + 3 < width ? loaded.w : 0.0F;
      }
      *reinterpret_cast<float4*>(&factors[j][i]) = factor;
    }
    float y[sub];
    float value[sub];  // w, then e
    float moved[sub];
    float scale[sub];
#pragma unroll
    for (int c = 0; c < sub; ++c) {
      const bool inside = active && c < width;
      scale[c] = inside ? target.scale_at(first + c, block_row) : 1.0F;
      y[c] = inside ? block.y[(first + c) * block.y_leading + row] : 0.0F;
      value[c] = inside ? Source<dtype>::decode(w[(first + c) * block.w_leading]) * lift * inverse_scale : 0.0F;
      if constexpr (sweep) {
        moved[c] = inside ? target.value_of(block.codes[(first + c) * block.codes_leading + row]) * scale[c] : 0.0F;
      }
    }
    __syncthreads();
#pragma unroll 2
    for (int j = done_begin; j < done_end; ++j) {
      const float move = sweep ? moves[j][thread] : -moves[j][thread];
#pragma unroll
      for (int c = 0; c < sub; c += 4) {
        const float4 factor = *reinterpret_cast<const float4*>(&factors[j][c]);
        y[c] += move * factor.x;
        y[c + 1] += move * factor.y;
        y[c + 2] += move * factor.z;
        y[c + 3] += move * factor.w;
      }
    }
    float part = 0;
#pragma unroll
    for (int turn = 0; turn < sub; ++turn) {
      const int c = sweep ? turn : sub - 1 - turn;
      // Columns beyond the edge see w = y = q = 0 and stay there, with zero factors.
      float grid_value;
      float chosen;
      float move;
      if constexpr (sweep) {
        const float curvature = c < width ? coefficients.diagonal[first + c] : 1.0F;
        grid_value = target.nearest(moved[c] - __fdividef(y[c], curvature), scale[c]);
        chosen = grid_value * scale[c];
        move = chosen - moved[c];
        const float change = move * (2.0F * y[c] + move * curvature);
        if (change >= 0.0F) {
          chosen = moved[c];
          grid_value = target.grid_value_of(chosen, scale[c]);
          move = 0.0F;
        } else {
          part += change;
        }
        value[c] = chosen - value[c];
        moves[first + c][thread] = move;
      } else {
        const float wanted = value[c] + y[c];
        grid_value = target.nearest(wanted, scale[c]);
        chosen = grid_value * scale[c];
        value[c] = chosen - value[c];
        const float miss = wanted - chosen;
        if (c < width) part += coefficients.pivots[first + c] * miss * miss;
        move = -value[c];
        moves[first + c][thread] = value[c];
      }
      moved[c] = sweep ? move : chosen;
      if (active && c < width) block.codes[(first + c) * block.codes_leading + row] = target.code_of(grid_value);
#pragma unroll
      for (int i = 0; i < sub; i += 4) {
        if (sweep ? i + 3 <= c : i >= c) continue;
        const float4 factor = *reinterpret_cast<const float4*>(&factors[first + c][i]);
        if (sweep ? i > c : i < c) y[i] += move * factor.x;
        if (sweep ? i + 1 > c : i + 1 < c) y[i + 1] += move * factor.y;
        if (sweep ? i + 2 > c : i + 2 < c) y[i + 2] += move * factor.z;
        if (sweep ? i + 3 > c : i + 3 < c) y[i + 3] += move * factor.w;
      }
    }
    objective += static_cast<double>(part);
    if (active) {
      store_halves(block.errors + row * block.errors_leading + first, value);
      if constexpr (sweep) store_halves(coefficients.changes + static_cast<std::int64_t>(row) * round_block + first, moved);
    }
    __syncthreads();
  }
  if (active) block.row_objective[row] += objective;
}

template <bool sweep, typename Coefficients>
void launch(const RoundBlock& block, const Coefficients& coefficients, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((block.rows + threads - 1) / threads);
  with_dtype(block.dtype, [&]<SourceDtype dtype>() {
    with_codes(block.target, [&](const auto& target) {
      using Codes = std::decay_t<decltype(target)>;
      round_columns_kernel<dtype, sweep, Coefficients, Codes><<<blocks, threads, 0, stream>>>(block, coefficients, target);
    });
  });
  check_launch(sweep ? "sweep_block" : "feed_back_block");
}

}  // namespace

void feed_back_block(const RoundBlock& block, const float* unit, const float* pivots, cudaStream_t stream) {
  launch<false>(block, FeedbackCoefficients{unit, pivots}, stream);
}

void sweep_block(const RoundBlock& block, const __half* hessian, std::int64_t hessian_leading, float hessian_scale, const float* diagonal,
                 __half* changes, const int* active, std::int64_t rows_per_block, cudaStream_t stream) {
  launch<true>(block, SweepCoefficients{hessian, hessian_leading, 1.0F / hessian_scale, diagonal, changes, active, rows_per_block}, stream);
}

}  // namespace fp8::cuda
