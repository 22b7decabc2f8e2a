// TermStream: the terms of one side's statistics that lie in files, streamed through a few buffers. What fits into them is read once, what
// does not is read again for each pass; nothing but the square itself has the square's size.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bump.h"
#include "column_statistics.h"
#include "fp8/job.h"
#include "learned_rounding.h"
#include "terms.h"

namespace fp8::cuda {

// Whether the GPU can read the values of every term.
bool reads_values_of(const Statistics& statistics);

struct TermBuffers {
  // For vectors of `size` values.
  TermBuffers(Bump& bump, const Statistics& statistics, std::int64_t size);

  std::byte* raw;
  std::byte* ordered;  // samples by columns
  __half* halves;
  double* diagonals;  // one of `size` doubles for each term
  double* squares;
  double* partial;
  MatrixSummary* matrix_summary;
  DiagonalSummary* diagonal_summary;
};

class TermStream {
 public:
  // `tensor` names the layer in errors.
  TermStream(const Statistics& statistics, std::int64_t size, const TermBuffers& buffers, const Execution& execution,
             const std::string& tensor);

  // Must come first. `gram` is the diagonal of the gram terms, in any unit, with this sum. Throws Error{io} where a term holds NaN,
  // infinity or nothing but zeros.
  void read_diagonals(const double* gram, double gram_sum);

  // The diagonal of the sum of all terms, of mean 1, without damping.
  void add_diagonals(double* out) const;

  // What term i is multiplied with, in its own unit.
  double factor(std::size_t i) const;

  // window += factor(i) · term i, which is no gram term. position as in terms.h.
  void add(std::size_t i, const std::int32_t* position, const SquareWindow& window);

 private:
  struct Known {
    double mean = 0;
    float amax = 0;
  };

  const StatisticsTerm& term(std::size_t i) const { return statistics_.terms[i]; }
  TermChunk load(std::size_t i, std::int64_t first_row);
  void add_samples(std::size_t i, const TermChunk& chunk, const std::int32_t* position, const SquareWindow& window);
  [[noreturn]] void refuse(const char* why) const;
  template <typename T>
  T fetch(const T* value) const;

  const Statistics& statistics_;
  const std::int64_t size_;
  const TermBuffers& buffers_;
  const Execution& execution_;
  const std::string& tensor_;
  double total_weight_ = 0;
  const double* gram_ = nullptr;
  std::vector<Known> known_;
  // What `raw` and `ordered` hold.
  std::size_t raw_term_;
  std::int64_t raw_row_ = -1;
  std::size_t ordered_term_;
  std::int64_t ordered_row_ = -1;
  const std::int32_t* ordered_position_ = nullptr;
};

}  // namespace fp8::cuda
