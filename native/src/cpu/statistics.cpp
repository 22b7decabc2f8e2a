#include "cpu/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "core/stop.h"
#include "cpu/blas.h"
#include "cpu/kernels.h"
#include "cpu/value_reader.h"
#include "fp8/error.h"

namespace fp8 {

namespace {

using Kind = StatisticsTerm::Kind;

constexpr std::size_t tile = 384;
// Samples that are added to the square at a time: part of the definition of the result, since sums follow them.
constexpr std::size_t samples_at_once = 512;

double total_weight(const Statistics& statistics) {
  double total = 0;
  for (const StatisticsTerm& term : statistics.terms) total += term.weight;
  return total;
}

std::size_t row_count(const StatisticsTerm& term, std::size_t size) { return static_cast<std::size_t>(element_count(term.values) / size); }

[[noreturn]] void refuse(const std::string& tensor, const std::string& why) {
  throw Error(ErrorCode::io, "The statistics for tensor \"" + tensor + "\" cannot be used: " + why, tensor);
}

// A square that terms are added to: on and below the diagonal, row-major; tiles on the diagonal whole.
class Accumulator {
 public:
  Accumulator(float* square, std::size_t size, std::size_t stride, Context& context)
      : square_(square), size_(size), stride_(stride), context_(context) {
    context.pool.parallel_for(size, context.stop, [&](std::size_t row) { std::memset(square + row * stride, 0, stride * sizeof(float)); });
  }

  // += factor · XᵀX, or XXᵀ where the vectors of X lie along its rows. X is column-major.
  void add_product(blas::Op op, std::size_t depth, const float* x, std::size_t x_stride, double factor) {
    for_each_tile([&](Block rows, Block columns) {
      const auto part = [&](Block block) { return x + block.begin * (op == blas::Op::transposed ? x_stride : 1); };
      blas::gemm(op, op == blas::Op::transposed ? blas::Op::plain : blas::Op::transposed, columns.size(), rows.size(), depth,
                 static_cast<float>(factor), part(columns), x_stride, part(rows), x_stride, 1.0F,
                 square_ + rows.begin * stride_ + columns.begin, stride_);
    });
  }

  void add(std::size_t i, std::size_t j, double value) { square_[i * stride_ + j] += static_cast<float>(value); }

 private:
  template <typename Body>
  void for_each_tile(const Body& body) {
    const std::size_t tiles = block_count(size_, tile);
    context_.pool.parallel_for(tiles * tiles, context_.stop, [&](std::size_t index) {
      const std::size_t row_tile = index / tiles;
      const std::size_t column_tile = index % tiles;
      if (column_tile <= row_tile) body(block_at(row_tile, tile, size_), block_at(column_tile, tile, size_));
    });
  }

  float* square_;
  std::size_t size_;
  std::size_t stride_;
  Context& context_;
};

// body(number of samples, values), in the order of `position` and in a unit of their own, so that neither they nor their squares
// leave binary32: sample s at values[s * size].
template <typename Body>
void for_each_chunk(const StatisticsTerm& term, const TermDiagonal& diagonal, const std::vector<std::uint32_t>& position,
                    const JobFiles& files, const std::string& tensor, Context& context, const Body& body) {
  const std::size_t size = position.size();
  const std::size_t samples = row_count(term, size);
  const double unit = 1 / std::sqrt(diagonal.mean);
  ValueReader reader(term.values, files, tensor, size);
  Buffer<float> chunk(samples_at_once * size);
  for (std::size_t begin = 0; begin < samples; begin += samples_at_once) {
    throw_if_stopped(context.stop);
    const std::size_t count = std::min(samples_at_once, samples - begin);
    for (std::size_t s = 0; s < count; ++s) {
      const std::span<const double> row = reader.read(std::uint64_t{begin + s} * size, size);
      for (std::size_t c = 0; c < size; ++c) chunk[s * size + position[c]] = static_cast<float>(row[c] * unit);
    }
    body(count, chunk.data());
  }
}

// position[c]: where the file's index c is in the square.
void add_term(const StatisticsTerm& term, const TermDiagonal& diagonal, double weight, const std::vector<std::uint32_t>& position,
              const JobFiles& files, const std::string& tensor, Accumulator& square, Context& context) {
  const std::size_t size = position.size();
  const double factor = weight / diagonal.mean;
  if (term.kind == Kind::diagonal) {
    for (std::size_t c = 0; c < size; ++c) square.add(position[c], position[c], factor * diagonal.values[c]);
    return;
  }
  if (term.kind == Kind::second_moment) {
    ValueReader reader(term.values, files, tensor, size);
    for (std::size_t r = 0; r < size; ++r) {
      throw_if_stopped(context.stop);
      const std::span<const double> row = reader.read(std::uint64_t{r} * size, size);
      // What is above the diagonal in the square's order has its twin below.
      for (std::size_t c = 0; c < size; ++c) {
        if (position[c] <= position[r]) square.add(position[r], position[c], factor * row[c]);
      }
    }
    return;
  }
  const double share = weight / static_cast<double>(row_count(term, size));
  for_each_chunk(term, diagonal, position, files, tensor, context,
                 [&](std::size_t count, const float* values) { square.add_product(blas::Op::plain, count, values, size, share); });
}

std::vector<std::uint32_t> inverse_of(const std::vector<std::uint32_t>& order) {
  std::vector<std::uint32_t> position(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) position[order[i]] = static_cast<std::uint32_t>(i);
  return position;
}

TermDiagonal read_diagonal(const StatisticsTerm& term, std::size_t size, const JobFiles& files, const std::string& tensor,
                           Context& context) {
  TermDiagonal diagonal;
  diagonal.values.assign(size, 0.0);
  const std::size_t rows = term.kind == Kind::diagonal ? 1 : row_count(term, size);
  ValueReader reader(term.values, files, tensor, term.kind == Kind::second_moment ? 1 : size);
  for (std::size_t r = 0; r < rows; ++r) {
    if (r % 256 == 0) throw_if_stopped(context.stop);
    if (term.kind == Kind::second_moment) {
      diagonal.values[r] = reader.read(std::uint64_t{r} * size + r, 1)[0];
      continue;
    }
    const std::span<const double> row = reader.read(std::uint64_t{r} * size, size);
    for (std::size_t c = 0; c < size; ++c) {
      diagonal.values[c] += term.kind == Kind::diagonal ? row[c] : row[c] * row[c] / static_cast<double>(rows);
    }
  }
  for (const double value : diagonal.values) {
    if (!std::isfinite(value)) refuse(tensor, "they hold NaN or infinity.");
    if (value < 0) refuse(tensor, "a mean of squares is negative.");
  }
  diagonal.mean = std::accumulate(diagonal.values.begin(), diagonal.values.end(), 0.0) / static_cast<double>(size);
  if (diagonal.mean <= 0) refuse(tensor, "they are all zero.");
  return diagonal;
}

}  // namespace

bool is_gram_alone(const Statistics& statistics) { return statistics.terms.size() == 1 && statistics.terms[0].kind == Kind::gram; }

std::vector<TermDiagonal> read_diagonals(const Statistics& statistics, std::size_t size, const JobFiles& files, const std::string& tensor,
                                         Context& context) {
  std::vector<TermDiagonal> diagonals(statistics.terms.size());
  for (std::size_t i = 0; i < diagonals.size(); ++i) {
    if (statistics.terms[i].kind != Kind::gram) diagonals[i] = read_diagonal(statistics.terms[i], size, files, tensor, context);
  }
  return diagonals;
}

ColumnWeights column_weights(const Statistics& inputs, const std::vector<TermDiagonal>& diagonals, std::size_t size) {
  if (is_gram_alone(inputs)) return {};
  ColumnWeights weights{0, std::vector<double>(size, 0.0)};
  for (std::size_t i = 0; i < diagonals.size(); ++i) {
    const StatisticsTerm& term = inputs.terms[i];
    if (term.kind == Kind::gram) {
      weights.energy_weight += term.weight;
    } else {
      for (std::size_t c = 0; c < size; ++c) weights.others[c] += term.weight * diagonals[i].values[c] / diagonals[i].mean;
    }
  }
  return weights;
}

DenseHessian make_input_square(const Statistics& inputs, const std::vector<TermDiagonal>& diagonals, const ScaledMatrix& matrix,
                               const JobFiles& files, const std::string& tensor, Context& context) {
  if (is_gram_alone(inputs)) return make_gram_hessian(matrix, static_cast<float>(inputs.damping), context);
  DenseHessian hessian;
  hessian.size = matrix.columns;
  hessian.stride = padded_stride(matrix.columns);
  hessian.square = Buffer<float>(hessian.size * hessian.stride);
  hessian.diagonal_tiles = Buffer<float>(block_count(hessian.size, DenseHessian::tile) * DenseHessian::tile * DenseHessian::tile);
  Accumulator square(hessian.square.data(), hessian.size, hessian.stride, context);
  const std::vector<std::uint32_t> position = inverse_of(matrix.order);
  const double total = total_weight(inputs);
  for (std::size_t i = 0; i < inputs.terms.size(); ++i) {
    const StatisticsTerm& term = inputs.terms[i];
    if (term.kind == Kind::gram) {
      square.add_product(blas::Op::transposed, matrix.rows, matrix.values.data(), matrix.stride, term.weight / total / matrix.mean_energy);
    } else {
      add_term(term, diagonals[i], term.weight / total, position, files, tensor, square, context);
    }
    context.progress.advance(0.9 / static_cast<double>(inputs.terms.size()));
  }
  finish_square(hessian, 1.0F, static_cast<float>(inputs.damping), context);
  return hessian;
}

ExactHessian make_input_hessian(const Statistics& inputs, const std::vector<TermDiagonal>& diagonals, const ScaledMatrix& matrix,
                                const JobFiles& files, const std::string& tensor, Context& context) {
  const auto damping = static_cast<float>(inputs.damping);
  if (is_gram_alone(inputs)) return ExactHessian(matrix, damping, context);
  const auto rank = static_cast<std::size_t>(input_rank(inputs, matrix.rows, matrix.columns));
  if (!ExactHessian::prefers_low_rank(rank, matrix.columns)) {
    return ExactHessian(make_input_square(inputs, diagonals, matrix, files, tensor, context), damping);
  }
  LowRankHessian hessian;
  hessian.size = matrix.columns;
  hessian.rank = rank;
  hessian.tau = damping;
  hessian.owned_basis = Buffer<float>(rank * matrix.columns);
  hessian.basis = hessian.owned_basis.data();
  hessian.basis_stride = rank;
  const std::vector<std::uint32_t> position = inverse_of(matrix.order);
  const double total = total_weight(inputs);
  float* rows = hessian.owned_basis.data();
  // Vector s of the next `count`: entry c at from[c * column_stride + s * vector_stride].
  const auto add_vectors = [&](std::size_t count, const float* from, std::size_t column_stride, std::size_t vector_stride, double factor) {
    const auto root = static_cast<float>(std::sqrt(factor));
    context.pool.parallel_for(matrix.columns, context.stop, [&](std::size_t c) {
      for (std::size_t s = 0; s < count; ++s) rows[c * rank + s] = root * from[c * column_stride + s * vector_stride];
    });
    rows += count;
  };
  for (std::size_t i = 0; i < inputs.terms.size(); ++i) {
    const StatisticsTerm& term = inputs.terms[i];
    const double weight = term.weight / total;
    if (term.kind == Kind::gram) {
      add_vectors(matrix.rows, matrix.values.data(), matrix.stride, 1, weight / matrix.mean_energy);
    } else {
      const double share = weight / static_cast<double>(row_count(term, matrix.columns));
      for_each_chunk(term, diagonals[i], position, files, tensor, context,
                     [&](std::size_t count, const float* values) { add_vectors(count, values, 1, matrix.columns, share); });
    }
    context.progress.advance(1.0 / static_cast<double>(inputs.terms.size()));
  }
  return ExactHessian(std::move(hessian));
}

std::uint64_t input_rank(const Statistics& inputs, std::uint64_t rows, std::uint64_t columns) {
  std::uint64_t rank = 0;
  for (const StatisticsTerm& term : inputs.terms) {
    switch (term.kind) {
      case Kind::gram:
        rank += rows;
        break;
      case Kind::samples:
        rank += element_count(term.values) / columns;
        break;
      case Kind::second_moment:
      case Kind::diagonal:
        return columns;
    }
  }
  return std::min(rank, columns);
}

OutputSquare make_output_square(const Statistics& outputs, const ScaledMatrix& matrix, const JobFiles& files, const std::string& tensor,
                                Context& context) {
  OutputSquare out;
  out.size = matrix.rows;
  out.stride = padded_stride(matrix.rows);
  out.values = Buffer<float>(matrix.padded_rows * out.stride);
  std::memset(out.values.data(), 0, out.values.size() * sizeof(float));
  Accumulator square(out.values.data(), out.size, out.stride, context);
  const std::vector<TermDiagonal> diagonals = read_diagonals(outputs, out.size, files, tensor, context);
  std::vector<std::uint32_t> position(out.size);
  std::iota(position.begin(), position.end(), 0U);
  const double total = total_weight(outputs);
  for (std::size_t i = 0; i < outputs.terms.size(); ++i) {
    const StatisticsTerm& term = outputs.terms[i];
    const double weight = term.weight / total;
    if (term.kind == Kind::gram) {
      const double mean = matrix.mean_energy * static_cast<double>(matrix.columns) / static_cast<double>(matrix.rows);
      square.add_product(blas::Op::plain, matrix.columns, matrix.values.data(), matrix.stride, weight / mean);
    } else {
      add_term(term, diagonals[i], weight, position, files, tensor, square, context);
    }
  }
  for (std::size_t i = 0; i < out.size; ++i) {
    float* row = out.values.data() + i * out.stride;
    row[i] += static_cast<float>(outputs.damping);
    for (std::size_t j = 0; j < i; ++j) out.values[j * out.stride + i] = row[j];
  }
  return out;
}

std::uint64_t output_square_bytes(std::size_t rows) { return round_up(rows, row_quantum) * padded_stride(rows) * sizeof(float); }

std::uint64_t statistics_reading_bytes(const Statistics& statistics, std::size_t size) {
  std::uint64_t bytes = 0;
  for (const StatisticsTerm& term : statistics.terms) {
    if (term.kind == Kind::samples) bytes = samples_at_once * size * sizeof(float);
  }
  return bytes + size * (sizeof(double) * (statistics.terms.size() + 1)) + ValueReader::bytes(size);
}

}  // namespace fp8
