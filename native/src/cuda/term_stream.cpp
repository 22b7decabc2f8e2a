#include "term_stream.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "check.h"
#include "fp8/error.h"
#include "gemm.h"
#include "halves.h"
#include "source_dtype.h"
#include "transpose.h"

namespace fp8::cuda {

namespace {

using Kind = StatisticsTerm::Kind;

constexpr std::int64_t chunk_bytes = std::int64_t{32} << 20;
constexpr std::int64_t row_quantum = 64;

std::int64_t rows_of(const StatisticsTerm& term, std::int64_t size) { return static_cast<std::int64_t>(element_count(term.values)) / size; }

std::int64_t chunk_rows(const StatisticsTerm& term, std::int64_t size) {
  const std::int64_t row_bytes = size * static_cast<std::int64_t>(byte_size(term.values.dtype));
  const std::int64_t fitting = std::max(row_quantum, chunk_bytes / row_bytes / row_quantum * row_quantum);
  return std::min(fitting, rows_of(term, size));
}

// BF16 and F16 values multiply exactly; F32 values, values whose squares could leave FP32, and BF16 on GPUs without it go through F16.
bool multiplies_directly(SourceDtype dtype, float amax, int compute_capability) {
  if (dtype == SourceDtype::f32) return false;
  return dtype == SourceDtype::f16 || (compute_capability >= 80 && amax > 0x1p-30F && amax < 0x1p30F);
}

}  // namespace

bool reads_values_of(const Statistics& statistics) {
  return std::all_of(statistics.terms.begin(), statistics.terms.end(),
                     [](const StatisticsTerm& term) { return term.kind == Kind::gram || source_dtype(term.values.dtype).has_value(); });
}

TermBuffers::TermBuffers(Bump& bump, const Statistics& statistics, std::int64_t size) {
  std::int64_t raw_bytes = 0;
  std::int64_t ordered_bytes = 0;
  std::int64_t half_count = 0;
  std::int64_t partial_count = 0;
  for (const StatisticsTerm& term : statistics.terms) {
    if (term.kind == Kind::gram) continue;
    const std::int64_t rows = chunk_rows(term, size);
    const auto element = static_cast<std::int64_t>(byte_size(term.values.dtype));
    raw_bytes = std::max(raw_bytes, rows * size * element);
    if (term.kind != Kind::samples) continue;
    ordered_bytes = std::max(ordered_bytes, round_up(rows, row_quantum) * size * element);
    half_count = std::max(half_count, round_up(rows, row_quantum) * size);
    partial_count = std::max(partial_count, column_statistics_scratch(rows, size));
  }
  raw = bump.take<std::byte>(raw_bytes);
  ordered = bump.take<std::byte>(ordered_bytes);
  halves = bump.take<__half>(half_count);
  diagonals = bump.take<double>(static_cast<std::int64_t>(statistics.terms.size()) * size);
  squares = bump.take<double>(size);
  partial = bump.take<double>(partial_count);
  matrix_summary = bump.take<MatrixSummary>(1);
  diagonal_summary = bump.take<DiagonalSummary>(1);
}

TermStream::TermStream(const Statistics& statistics, std::int64_t size, const TermBuffers& buffers, const Execution& execution,
                       const std::string& tensor)
    : statistics_(statistics),
      size_(size),
      buffers_(buffers),
      execution_(execution),
      tensor_(tensor),
      known_(statistics.terms.size()),
      raw_term_(statistics.terms.size()),
      ordered_term_(statistics.terms.size()) {
  for (const StatisticsTerm& each : statistics.terms) total_weight_ += each.weight;
}

void TermStream::refuse(const char* why) const {
  throw Error(ErrorCode::io, "The statistics for tensor \"" + tensor_ + "\" cannot be used: " + why, tensor_);
}

template <typename T>
T TermStream::fetch(const T* value) const {
  check(cudaMemcpyAsync(execution_.mailbox, value, sizeof(T), cudaMemcpyDeviceToHost, execution_.stream), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(execution_.stream), "reading statistics");
  return *static_cast<const T*>(execution_.mailbox);
}

TermChunk TermStream::load(std::size_t i, std::int64_t first_row) {
  const StatisticsTerm& from = term(i);
  const std::int64_t rows = std::min(chunk_rows(from, size_), rows_of(from, size_) - first_row);
  if (raw_term_ != i || raw_row_ != first_row) {
    // Whoever fills the buffer does so on a stream of its own.
    check(cudaStreamSynchronize(execution_.stream), "reading statistics");
    const auto row_bytes = static_cast<std::uint64_t>(size_) * byte_size(from.values.dtype);
    execution_.load(from.values.range, static_cast<std::uint64_t>(first_row) * row_bytes, static_cast<std::uint64_t>(rows) * row_bytes,
                    buffers_.raw);
    raw_term_ = i;
    raw_row_ = first_row;
  }
  return {buffers_.raw, *source_dtype(from.values.dtype), static_cast<int>(first_row), static_cast<int>(rows), static_cast<int>(size_)};
}

void TermStream::read_diagonals(const double* gram, double gram_sum) {
  gram_ = gram;
  for (std::size_t i = 0; i < known_.size(); ++i) {
    const StatisticsTerm& from = term(i);
    if (from.kind == Kind::gram) {
      known_[i].mean = gram_sum / static_cast<double>(size_);
      continue;
    }
    double* diagonal = buffers_.diagonals + static_cast<std::int64_t>(i) * size_;
    const std::int64_t rows = rows_of(from, size_);
    bool is_finite = true;
    for (std::int64_t first = 0; first < rows; first += chunk_rows(from, size_)) {
      execution_.tick(0);
      const TermChunk chunk = load(i, first);
      switch (from.kind) {
        case Kind::samples: {
          column_statistics(chunk.data, chunk.dtype, chunk.rows, size_, buffers_.partial, buffers_.squares, buffers_.matrix_summary,
                            execution_.stream);
          add_scaled(buffers_.squares, size_, 1.0 / static_cast<double>(rows), first == 0 ? 0.0 : 1.0, diagonal, execution_.stream);
          const auto summary = fetch(buffers_.matrix_summary);
          is_finite = is_finite && summary.non_finite == 0;
          known_[i].amax = std::max(known_[i].amax, std::bit_cast<float>(summary.amax_bits));
          break;
        }
        case Kind::second_moment:
          diagonal_of_moment(chunk, diagonal, execution_.stream);
          break;
        case Kind::diagonal:
          widen(chunk, diagonal, execution_.stream);
          break;
        case Kind::gram:
          break;
      }
    }
    summarise_diagonal(diagonal, size_, buffers_.diagonal_summary, execution_.stream);
    const auto summary = fetch(buffers_.diagonal_summary);
    if (!is_finite || summary.non_finite != 0) refuse("they hold NaN or infinity.");
    if (summary.negative != 0) refuse("a mean of squares is negative.");
    known_[i].mean = summary.sum / static_cast<double>(size_);
    if (known_[i].mean <= 0) refuse("they are all zero.");
  }
}

double TermStream::factor(std::size_t i) const { return term(i).weight / total_weight_ / known_[i].mean; }

void TermStream::add_diagonals(double* out) const {
  for (std::size_t i = 0; i < known_.size(); ++i) {
    const double* diagonal = term(i).kind == Kind::gram ? gram_ : buffers_.diagonals + static_cast<std::int64_t>(i) * size_;
    add_scaled(diagonal, size_, factor(i), i == 0 ? 0.0 : 1.0, out, execution_.stream);
  }
}

void TermStream::add(std::size_t i, const std::int32_t* position, const SquareWindow& window) {
  const StatisticsTerm& from = term(i);
  if (from.kind == Kind::diagonal) {
    add_diagonal(buffers_.diagonals + static_cast<std::int64_t>(i) * size_, static_cast<int>(size_), factor(i), position, window,
                 execution_.stream);
    return;
  }
  for (std::int64_t first = 0; first < rows_of(from, size_); first += chunk_rows(from, size_)) {
    execution_.tick(0);
    const TermChunk chunk = load(i, first);
    if (from.kind == Kind::second_moment) {
      add_moment(chunk, static_cast<float>(factor(i)), position, window, execution_.stream);
    } else {
      add_samples(i, chunk, position, window);
    }
  }
}

void TermStream::add_samples(std::size_t i, const TermChunk& chunk, const std::int32_t* position, const SquareWindow& window) {
  const std::int64_t leading = round_up(chunk.rows, row_quantum);
  const bool direct = multiplies_directly(chunk.dtype, known_[i].amax, execution_.compute_capability);
  const double lift = direct ? 1.0 : std::exp2(8 - std::ceil(std::log2(static_cast<double>(known_[i].amax))));
  if (ordered_term_ != i || ordered_row_ != chunk.first_row || ordered_position_ != position) {
    transpose_to_order(chunk.data, chunk.dtype, chunk.rows, size_, position, buffers_.ordered, leading, execution_.stream);
    if (!direct) to_halves(buffers_.ordered, chunk.dtype, size_ * leading, static_cast<float>(lift), buffers_.halves, execution_.stream);
    ordered_term_ = i;
    ordered_row_ = chunk.first_row;
    ordered_position_ = position;
  }
  const bool as_bf16 = direct && chunk.dtype == SourceDtype::bf16;
  const auto* operand = direct ? reinterpret_cast<const __half*>(buffers_.ordered) : buffers_.halves;
  const auto samples = static_cast<double>(rows_of(term(i), size_));
  gemm({.element = as_bf16 ? Element::bf16 : Element::f16,
        .rows = window.rows,
        .columns = static_cast<int>(size_),
        .depth = chunk.rows,
        .a = {operand + window.first * leading, leading},
        .b = {operand, leading},
        .c = window.data,
        .c_leading = window.leading,
        .alpha = static_cast<float>(factor(i) / samples / (lift * lift)),
        .beta = 1.0F,
        .triangle = window.lower ? Triangle::lower : Triangle::all},
       execution_.path, execution_.stream);
}

}  // namespace fp8::cuda
