// V ← orthonormal(V H), repeated; T = V H Vᵀ; H_k = Vᵀ (T − τI) V + τI.
#include "check.h"
#include "reduce.cuh"
#include "top_k_hessian.h"

namespace fp8::cuda {

namespace {

constexpr int power_steps = 16;
// Quintic steps lift the smallest singular values by 3.4 each, from 10⁻⁴ of the largest; cubic ones then bring all of them to 1.
constexpr int lifting_steps = 8;
constexpr int settling_steps = 6;
// T holds eigenvalues of up to the number of columns: this keeps them finite as halves.
constexpr float small_scale = 1.0F / 16;

// Uniform in [−1, 1), a function of seed and place alone (splitmix64).
__global__ void random_kernel(float* __restrict__ values, int columns, std::int64_t leading, std::uint64_t seed) {
  const int column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const std::int64_t row = blockIdx.y;
  if (column >= columns) return;
  std::uint64_t x = seed + 0x9E3779B97F4A7C15ULL * static_cast<std::uint64_t>(row * columns + column + 1);
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ x >> 27) * 0x94D049BB133111EBULL;
  x ^= x >> 31;
  values[row * leading + column] = static_cast<float>(static_cast<std::int64_t>(x) >> 40) * 0x1p-23F;
}

__global__ void norm_kernel(const float* __restrict__ values, int rows, int columns, std::int64_t leading, float* inverse_norm) {
  __shared__ double scratch[32];
  double sum = 0;
  for (int row = 0; row < rows; ++row) {
    for (int column = static_cast<int>(threadIdx.x); column < columns; column += 1024) {
      const double value = values[row * leading + column];
      sum += value * value;
    }
  }
  const double total = block_sum<1024>(sum, scratch);
  if (threadIdx.x == 0) *inverse_norm = total > 0 ? static_cast<float>(rsqrt(total)) : 0.0F;
}

__global__ void scale_kernel(float* __restrict__ values, int columns, std::int64_t leading, const float* __restrict__ factor) {
  const int column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (column < columns) values[blockIdx.y * leading + column] *= *factor;
}

// Halves of a matrix times a factor, and of its transpose where that is wanted.
__global__ void halves_kernel(const float* __restrict__ in, int rows, int columns, std::int64_t leading, float factor,
                              __half* __restrict__ out, std::int64_t out_leading, __half* __restrict__ transposed,
                              std::int64_t transposed_leading) {
  constexpr int tile = 32;
  __shared__ float values[tile][tile + 1];
  const int x = static_cast<int>(threadIdx.x);
  for (int y = static_cast<int>(threadIdx.y); y < tile; y += 8) {
    const int row = static_cast<int>(blockIdx.y) * tile + y;
    const int column = static_cast<int>(blockIdx.x) * tile + x;
    float value = 0;
    if (row < rows && column < columns) {
      value = in[row * leading + column] * factor;
      out[row * out_leading + column] = __float2half_rn(value);
    }
    values[y][x] = value;
  }
  if (transposed == nullptr) return;
  __syncthreads();
  for (int y = static_cast<int>(threadIdx.y); y < tile; y += 8) {
    const int row = static_cast<int>(blockIdx.x) * tile + y;
    const int column = static_cast<int>(blockIdx.y) * tile + x;
    if (row < columns && column < rows) transposed[row * transposed_leading + column] = __float2half_rn(values[x][y]);
  }
}

// τ = (N · mean diagonal − tr T) / (N − k); T ← T − τI.
__global__ void subtract_rest_kernel(float* __restrict__ t, int rank, std::int64_t leading, int columns, double mean_diagonal,
                                     float* rest) {
  __shared__ double scratch[32];
  __shared__ float tau;
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < rank; i += 1024) sum += static_cast<double>(t[i * leading + i]);
  const double trace = block_sum<1024>(sum, scratch);
  if (threadIdx.x == 0) {
    // Never below what damping alone leaves.
    tau = static_cast<float>(fmax((columns * mean_diagonal - trace) / (columns - rank), mean_diagonal * 0.5));
    *rest = tau;
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < rank; i += 1024) t[i * leading + i] -= tau;
}

__global__ void add_to_diagonal_kernel(float* __restrict__ square, int size, std::int64_t leading, const float* __restrict__ value) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < size) square[i * leading + i] += *value;
}

unsigned blocks_of(std::int64_t count, int size) { return static_cast<unsigned>((count + size - 1) / size); }

}  // namespace

TopKBuffers::TopKBuffers(Bump& bump, std::int64_t columns, std::int64_t rank)
    : rank_leading(round_up(rank, 64)),
      column_leading(round_up(columns, 64)),
      vectors(bump.take<float>(rank * column_leading)),
      halves(bump.take<__half>(rank * column_leading)),
      transposed(bump.take<__half>(columns * rank_leading)),
      small(bump.take<float>(rank * rank_leading)),
      small_halves(bump.take<__half>(rank * rank_leading)),
      projected(bump.take<float>(columns * rank_leading)),
      projected_halves(bump.take<__half>(columns * rank_leading)),
      scalars(bump.take<float>(2)) {}

void top_k_hessian(const SplitMatrix& hessian, int columns, int rank, float damping, std::uint64_t seed, float* square,
                   std::int64_t leading, const TopKBuffers& b, GemmPath path, cudaStream_t stream, const std::function<void()>& tick) {
  const std::int64_t k_leading = b.rank_leading;
  const std::int64_t n_leading = b.column_leading;
  const auto halve = [&](const float* in, int rows, int width, std::int64_t in_leading, float factor, __half* out, __half* transposed,
                         std::int64_t transposed_leading) {
    const dim3 grid(blocks_of(width, 32), blocks_of(rows, 32));
    halves_kernel<<<grid, dim3(32, 8), 0, stream>>>(in, rows, width, in_leading, factor, out, in_leading, transposed, transposed_leading);
    check_launch("top_k halves");
  };
  const auto halve_vectors = [&] { halve(b.vectors, rank, columns, n_leading, 1.0F, b.halves, b.transposed, k_leading); };
  const auto product = [&](int rows, int width, int depth, Operand left, Operand right, float* c, std::int64_t c_leading, float alpha,
                           float beta, Triangle triangle = Triangle::all) {
    gemm({.rows = rows,
          .columns = width,
          .depth = depth,
          .a = left,
          .b = right,
          .c = c,
          .c_leading = c_leading,
          .alpha = alpha,
          .beta = beta,
          .triangle = triangle},
         path, stream);
  };
  const Operand rows_of_v{b.halves, n_leading};
  const Operand columns_of_v{b.transposed, k_leading};
  const Operand small{b.small_halves, k_leading};
  // vectors ← alpha · small · V + beta · vectors
  const auto turn = [&](float alpha, float beta) { product(rank, columns, rank, small, columns_of_v, b.vectors, n_leading, alpha, beta); };
  const auto halve_small = [&](float factor) { halve(b.small, rank, rank, k_leading, factor, b.small_halves, nullptr, 0); };
  const dim3 per_element(blocks_of(columns, 256), static_cast<unsigned>(rank));

  const auto orthonormalise = [&] {
    norm_kernel<<<1, 1024, 0, stream>>>(b.vectors, rank, columns, n_leading, b.scalars);
    scale_kernel<<<per_element, 256, 0, stream>>>(b.vectors, columns, n_leading, b.scalars);
    check_launch("top_k scale");
    for (int step = 0; step < lifting_steps + settling_steps; ++step) {
      halve_vectors();
      product(rank, rank, columns, rows_of_v, rows_of_v, b.small, k_leading, 1.0F, 0.0F);
      halve_small(1.0F);
      if (step < lifting_steps) {
        // X ← 3.4445 X − 4.775 (XXᵀ) X + 2.0315 (XXᵀ)² X
        product(rank, rank, rank, small, small, b.small, k_leading, 2.0315F, -4.775F);
        halve_small(1.0F);
        turn(1.0F, 3.4445F);
      } else {
        turn(-0.5F, 1.5F);
      }
    }
    halve_vectors();
  };

  random_kernel<<<per_element, 256, 0, stream>>>(b.vectors, columns, n_leading, seed);
  check_launch("top_k random");
  orthonormalise();
  const auto multiply_by_hessian = [&](float shift) {
    product(rank, columns, columns, rows_of_v, {hessian.high, hessian.leading}, b.vectors, n_leading, 1.0F / hessian.scale, -shift);
  };
  for (int step = 0; step < power_steps; ++step) {
    tick();
    // Without the damping, which would bring all eigenvalues closer together.
    multiply_by_hessian(damping);
    orthonormalise();
  }
  // T = (V H) Vᵀ: the vectors' place holds V H, whose halves go where the projection will be.
  multiply_by_hessian(0);
  halve(b.vectors, rank, columns, n_leading, 1.0F / 4, reinterpret_cast<__half*>(b.projected), nullptr, 0);
  product(rank, rank, columns, {b.projected, n_leading}, rows_of_v, b.small, k_leading, 4.0F, 0.0F);
  subtract_rest_kernel<<<1, 1024, 0, stream>>>(b.small, rank, k_leading, columns, 1.0 + static_cast<double>(damping), b.scalars);
  check_launch("top_k rest");
  halve_small(small_scale);
  // Vᵀ (T − τI), then times V.
  product(columns, rank, rank, columns_of_v, small, b.projected, k_leading, 1.0F, 0.0F);
  halve(b.projected, columns, rank, k_leading, 1.0F, b.projected_halves, nullptr, 0);
  product(columns, columns, rank, {b.projected_halves, k_leading}, columns_of_v, square, leading, 1.0F / small_scale, 0.0F,
          Triangle::lower);
  add_to_diagonal_kernel<<<blocks_of(columns, 256), 256, 0, stream>>>(square, columns, leading, b.scalars);
  check_launch("top_k diagonal");
}

}  // namespace fp8::cuda
