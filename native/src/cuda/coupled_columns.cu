// One block of threads sweeps a tile, 32 columns at a time in shared memory; what the columns before them moved is added first.
//
// A step has four warps of 32 rows decide, one column apart: at step t, warp g decides about its rows of column t − g. There, rows that
// want to move do so one after the other, each only as far as it still helps. What the warps do not see of each other within a step is G_ik
// H_jl with i ≠ k and j ≠ l, which is small as a rule. Where it is not, they would undo each other's work: so their moves are made only as
// far as they lower the objective together, the first warp's first. Four more warps bring the moves of the step before to columns that are
// not due yet.
#include <type_traits>

#include "check.h"
#include "code_target.cuh"
#include "coupled_step.cuh"
#include "coupled_tile.cuh"
#include "source.cuh"

namespace fp8::cuda {

namespace {

constexpr int sub = 32;
constexpr int warps = coupled_tile / 32;  // that decide
constexpr int threads = 2 * coupled_tile;
// Columns that the deciding warps bring up to date themselves.
constexpr int near = 8;
constexpr unsigned all_lanes = 0xFFFFFFFFU;

struct Shared {
  __half g[coupled_tile][coupled_tile];
  float gamma[sub][coupled_tile];
  float h[sub][sub];
  std::uint8_t codes[sub][coupled_tile];
  float arrived[warps][coupled_tile];
  // Of the step before and of this one: a barrier lies between.
  float steps[2][warps][32];
  unsigned movers[2][warps];
  float changes[warps];
  float crossed[warps][warps];
};

// Σ over the lanes of three values, in all of them.
__device__ inline float3 warp_sums(float3 value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    value.x += __shfl_xor_sync(all_lanes, value.x, offset);
    value.y += __shfl_xor_sync(all_lanes, value.y, offset);
    value.z += __shfl_xor_sync(all_lanes, value.z, offset);
  }
  return value;
}

// Σ g[mover][row] · steps[mover] over the movers of one warp; `g` starts at its first row.
__device__ inline float arriving(const __half (*g)[coupled_tile], const float* steps, unsigned movers, int row) {
  float sum = 0;
  if (__popc(movers) > 8) {
#pragma unroll
    for (int first = 0; first < 32; first += 4) {
      const float4 move = *reinterpret_cast<const float4*>(steps + first);
      sum += move.x * __half2float(g[first][row]) + move.y * __half2float(g[first + 1][row]) + move.z * __half2float(g[first + 2][row]) +
             move.w * __half2float(g[first + 3][row]);
    }
    return sum;
  }
  // Four at a time, so that their loads are in flight together.
  while (movers != 0) {
    float part = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int mover = movers == 0 ? 0 : __ffs(static_cast<int>(movers)) - 1;
      const float move = movers == 0 ? 0.0F : steps[mover];
      part += move * __half2float(g[mover][row]);
      movers &= movers - 1;
    }
    sum += part;
  }
  return sum;
}

// Γ of a row's columns [begin, end) += what arrived of the columns step, step − 1, …; begin is a multiple of 4, and so many are written.
__device__ inline void bring(Shared& shared, const float (&arrived)[warps], int step, int row, int begin, int end) {
#pragma unroll 2
  for (int column = begin; column < end; column += 4) {
    float sum[4] = {};
#pragma unroll
    for (int from = 0; from < warps; ++from) {
      const float4 factor = *reinterpret_cast<const float4*>(&shared.h[max(0, step - from) % sub][column]);
      sum[0] += arrived[from] * factor.x;
      sum[1] += arrived[from] * factor.y;
      sum[2] += arrived[from] * factor.z;
      sum[3] += arrived[from] * factor.w;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) shared.gamma[column + i][row] += sum[i];
  }
}

// H of rows [first_row, + sub) and columns [first_column, + sub), zero beyond the tile; the diagonal in full precision.
__device__ inline void load_h(Shared& shared, const CoupledTile& tile, int first_row, int first_column) {
  const float inverse = 1.0F / tile.h_scale;
#pragma unroll
  for (int part = 0; part < sub * sub / threads; ++part) {
    const int index = static_cast<int>(threadIdx.x) + part * threads;
    const int row = first_row + index / sub;
    const int column = first_column + index % sub;
    float value = 0;
    if (row < tile.columns && column < tile.columns)
      value = row == column ? tile.h_diagonal[row] : __half2float(tile.h[row * tile.h_leading + column]) * inverse;
    shared.h[index / sub][index % sub] = value;
  }
}

// What a row wants to do in one column.
struct Row {
  float value;      // of its code
  float gradient;   // Γ
  float curvature;  // G_ii H_jj

  __device__ float change(float move) const { return move * (2.0F * gradient + move * curvature); }
};

template <SourceDtype dtype, typename Codes>
__global__ void __launch_bounds__(threads)
    coupled_tile_kernel(const CoupledMatrix matrix, const CoupledBuffers buffers, const CoupledStep step_of_tiles, const Codes target) {
  const CoupledTile tile(matrix, buffers, step_of_tiles, static_cast<int>(blockIdx.x));
  extern __shared__ uint4 memory[];
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  if (tile.rows <= 0) {
    if (threadIdx.x == 0) buffers.changes[blockIdx.x] = 0;
    return;
  }
  const int row = static_cast<int>(threadIdx.x) % coupled_tile;
  const int side = static_cast<int>(threadIdx.x) / coupled_tile;  // 0 decides, 1 helps
  const int warp = row / 32;
  const int lane = row % 32;
  const bool active = row < tile.rows;
  const int block_row = target.block_of_row(tile.first_row + (active ? row : 0));
  const float g_inverse = 1.0F / tile.g_scale;
  const float own = active ? tile.g_diagonal[row] : 1.0F;
  const auto* w = static_cast<const typename Source<dtype>::Bits*>(matrix.w) + tile.first_column * matrix.w_leading + tile.first_row +
                  (active ? row : 0);
  const float lift = matrix.scale < 0x1p-64F ? 0x1p64F : 1.0F;
  const float inverse_scale = 1.0F / (matrix.scale * lift);
  double objective = 0;

#pragma unroll 32
  for (int k = side; k < coupled_tile; k += 2) {
    shared.g[k][row] = active && k < tile.rows ? tile.g[k * tile.g_leading + row] : __half{};
  }
  const int parts = (tile.columns + sub - 1) / sub;
  for (int part = 0; part < parts; ++part) {
    const int first = part * sub;
    const int width = min(sub, tile.columns - first);
    // Half of the columns each.
    constexpr int share = sub / 2;
    const int mine = side * share;
    float y[share];
#pragma unroll
    for (int c = 0; c < share; ++c) {
      const bool inside = active && mine + c < width;
      y[c] = 0;
      shared.codes[mine + c][row] = inside ? tile.given_codes[(first + mine + c) * tile.codes_leading + row] : std::uint8_t{0};
    }
    for (int of_depth = 0; of_depth < tile.gamma_parts; ++of_depth) {
      const float* gamma = tile.gamma + static_cast<std::int64_t>(of_depth) * coupled_tile_elements + (first + mine) * coupled_tile + row;
#pragma unroll
      for (int c = 0; c < share; ++c) y[c] += gamma[c * coupled_tile];
    }
    for (int before = 0; before < first; before += sub) {
      __syncthreads();
      load_h(shared, tile, before, first);
      __syncthreads();
#pragma unroll 8
      for (int j = 0; j < sub; ++j) {
        const float moved = tile.scratch[(before + j) * coupled_tile + row];
#pragma unroll
        for (int c = 0; c < share; c += 4) {
          const float4 factor = *reinterpret_cast<const float4*>(&shared.h[j][mine + c]);
          y[c] += moved * factor.x;
          y[c + 1] += moved * factor.y;
          y[c + 2] += moved * factor.z;
          y[c + 3] += moved * factor.w;
        }
      }
    }
    __syncthreads();
    load_h(shared, tile, first, first);
#pragma unroll
    for (int c = 0; c < share; ++c) shared.gamma[mine + c][row] = y[c];
    __syncthreads();

    // What the columns t − 1 … t − 3 moved at this row so far; the last is complete at step t.
    float moved[warps] = {};
    float arrived[warps] = {};
    for (int step = 0; step < width + warps - 1; ++step) {
      const int parity = step & 1;
      const int column = step - warp;
      float value = 0;
      float scale = 1;
      float gained = 0;
      if (side == 1) {
        const int done = max(0, column) & ~3;
        bring(shared, arrived, step - 1, row, done + near, width);
      } else {
        float taken = 0;
        if (column >= 0 && column < width) {  // the same for the whole warp
          const float h = shared.h[column][column];
          const float push = h * g_inverse;
          scale = target.scale_at(tile.first_column + first + column, block_row);
          value = target.value_of(shared.codes[column][row]) * scale;
          Row state{value, shared.gamma[column][row], own * h};
          const float inverse_curvature = __fdividef(1.0F, state.curvature);
          // Twice: what the others did may call for a move that was not wanted before.
#pragma unroll
          for (int round = 0; round < 2; ++round) {
            const float move =
                active ? target.nearest(state.value - state.gradient * inverse_curvature, scale) * scale - state.value : 0.0F;
            unsigned wish = __ballot_sync(all_lanes, state.change(move) < 0.0F);
            while (wish != 0) {
              const int mover = __ffs(static_cast<int>(wish)) - 1;
              wish &= wish - 1;
              const float factor = push * __half2float(shared.g[warp * 32 + mover][row]);
              const float change = state.change(move);
              const float accepted = __shfl_sync(all_lanes, change < 0.0F ? move : 0.0F, mover);
              if (lane == mover && change < 0.0F) {
                state.value += move;
                gained += change;
              }
              state.gradient += accepted * factor;
            }
          }
          taken = state.value - value;
        }
        const unsigned movers = __ballot_sync(all_lanes, taken != 0.0F);
        shared.steps[parity][warp][lane] = taken;
        if (lane == 0) shared.movers[parity][warp] = movers;
      }
      __syncthreads();
      const auto* moves = &shared.movers[parity][0];
      const bool anyone = (moves[0] | moves[1] | moves[2] | moves[3]) != 0;
      if (anyone) {  // the same for the whole block
        // Each side sums up two warps' moves, and what they mean to the moves of the warps after them.
        const float taken = shared.steps[parity][warp][lane];
        const int here = min(max(column, 0), sub - 1);
        float3 crossing = {0.0F, 0.0F, gained};
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int from = 2 * side + i;
          const float sum = g_inverse * arriving(&shared.g[from * 32], shared.steps[parity][from], moves[from], row);
          shared.arrived[from][row] = sum;
          const float product = taken == 0.0F ? 0.0F : 2.0F * taken * sum * shared.h[max(0, step - from) % sub][here];
          (i == 0 ? crossing.x : crossing.y) = product;
        }
        crossing = warp_sums(crossing);
        if (lane == 0) {
          shared.crossed[2 * side][warp] = crossing.x;
          shared.crossed[2 * side + 1][warp] = crossing.y;
          if (side == 0) shared.changes[warp] = crossing.z;
        }
        __syncthreads();
        unsigned accepted = 0;
        float change = 0;
#pragma unroll
        for (int to = 0; to < warps; ++to) {
          float together = shared.changes[to];
#pragma unroll
          for (int from = 0; from < to; ++from) together += (accepted >> from & 1U) != 0 ? shared.crossed[from][to] : 0.0F;
          if (together < 0.0F) {
            accepted |= 1U << to;
            change += together;
          }
        }
        objective += static_cast<double>(change);
#pragma unroll
        for (int from = 0; from < warps; ++from) arrived[from] = (accepted >> from & 1U) != 0 ? shared.arrived[from][row] : 0.0F;
        if (side == 0) {
          if (taken != 0.0F && (accepted >> warp & 1U) != 0)
            shared.codes[column][row] = target.code_of(target.nearest(value + taken, scale));
          // Columns that are done get their part too: nobody reads it, and four at a time are aligned.
          const int due = max(0, column + 1) & ~3;
          bring(shared, arrived, step, row, due, min(due + near, width));
        }
      } else {
#pragma unroll
        for (int from = 0; from < warps; ++from) arrived[from] = 0;
      }
      if (side == 0) {
        if (step >= warps - 1) tile.scratch[(first + step - (warps - 1)) * coupled_tile + row] = moved[warps - 2] + arrived[warps - 1];
#pragma unroll
        for (int age = warps - 2; age > 0; --age) moved[age] = moved[age - 1] + arrived[age];
        moved[0] = arrived[0];
      }
    }
    __syncthreads();

    // What E and the codes of these columns would be, and the moves, half of them each.
#pragma unroll
    for (int chunk = 0; chunk < share / 8; ++chunk) {
      __half2 errors[4];
      __half2 moves[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float error[2];
        float move[2];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int c = mine + 8 * chunk + 2 * i + half;
          const bool inside = active && c < width;
          const float weight = inside ? Source<dtype>::decode(w[(first + c) * matrix.w_leading]) * lift * inverse_scale : 0.0F;
          const float scale = inside ? target.scale_at(tile.first_column + first + c, block_row) : 1.0F;
          const std::uint8_t code = shared.codes[c][row];
          const float value = target.value_of(code) * scale;
          const float before = inside ? target.value_of(tile.given_codes[(first + c) * tile.codes_leading + row]) * scale : value;
          error[half] = inside ? value - weight : 0.0F;
          move[half] = value - before;
          tile.codes[(first + c) * coupled_tile + row] = code;
          tile.column_moves[(first + c) * coupled_tile + row] = __float2half_rn(move[half]);
        }
        errors[i] = __floats2half2_rn(error[0], error[1]);
        moves[i] = __floats2half2_rn(move[0], move[1]);
      }
      const int at = row * coupled_tile + first + mine + 8 * chunk;
      *reinterpret_cast<uint4*>(tile.errors + at) = *reinterpret_cast<const uint4*>(errors);
      *reinterpret_cast<uint4*>(tile.moves + at) = *reinterpret_cast<const uint4*>(moves);
    }
  }
  // Products read all of the moves.
  for (int column = parts * sub + side; column < coupled_tile; column += 2) {
    tile.column_moves[column * coupled_tile + row] = __half{};
    tile.moves[row * coupled_tile + column] = __half{};
  }
  if (threadIdx.x == 0) buffers.changes[blockIdx.x] = objective;
}

}  // namespace

void sweep_coupled_tiles(const CoupledMatrix& matrix, const CoupledBuffers& buffers, const CoupledStep& step, cudaStream_t stream) {
  with_dtype(matrix.dtype, [&]<SourceDtype dtype>() {
    with_codes(matrix.target, [&](const auto& target) {
      using Codes = std::decay_t<decltype(target)>;
      static const bool prepared = [] {
        check(cudaFuncSetAttribute(coupled_tile_kernel<dtype, Codes>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(sizeof(Shared))),
              "sweep_coupled_tiles");
        return true;
      }();
      (void)prepared;
      coupled_tile_kernel<dtype, Codes>
          <<<static_cast<unsigned>(step.count), threads, sizeof(Shared), stream>>>(matrix, buffers, step, target);
    });
  });
  check_launch("sweep_coupled_tiles");
}

}  // namespace fp8::cuda
