// Statistics as squares: the second moment of a layer's inputs or outputs, added up from its terms. What is read from files is streamed.
// Where inputs are few vectors, the vectors take the square's place.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/file_range.h"
#include "cpu/context.h"
#include "cpu/dense_hessian.h"
#include "cpu/exact_hessian.h"
#include "cpu/scaled_matrix.h"
#include "fp8/job.h"

namespace fp8 {

// Whether H is WᵀW alone, which has cheaper forms than a square read from anywhere.
bool is_gram_alone(const Statistics& statistics);

// A term's diagonal, before it is normalised: one pass over its values. Empty for gram terms, whose diagonal the weights give.
struct TermDiagonal {
  std::vector<double> values;
  double mean = 0;
};

// Throws Error{io} that names the tensor where a term holds NaN, infinity or nothing but zeros.
std::vector<TermDiagonal> read_diagonals(const Statistics& statistics, std::size_t size, const JobFiles& files, const std::string& tensor,
                                         Context& context);

// What `inputs` says about the order of the columns.
ColumnWeights column_weights(const Statistics& inputs, const std::vector<TermDiagonal>& diagonals, std::size_t size);

// Σ weight · term / mean / Σ weight + damping · I for the columns of the matrix, in its order. Not factorised yet. Takes one unit of
// progress.
DenseHessian make_input_square(const Statistics& inputs, const std::vector<TermDiagonal>& diagonals, const ScaledMatrix& matrix,
                               const JobFiles& files, const std::string& tensor, Context& context);

// The same in the cheaper of its forms, and not prepared yet; `matrix` must outlive it.
ExactHessian make_input_hessian(const Statistics& inputs, const std::vector<TermDiagonal>& diagonals, const ScaledMatrix& matrix,
                                const JobFiles& files, const std::string& tensor, Context& context);

// How many vectors' squares the terms of the inputs add up, at most `columns`: as many as that where a term says nothing of vectors.
std::uint64_t input_rank(const Statistics& inputs, std::uint64_t rows, std::uint64_t columns);

// The same for its rows, in their order; padded rows are zero.
struct OutputSquare {
  std::size_t size = 0;
  std::size_t stride = 0;
  Buffer<float> values;  // symmetric, whole

  const float* column(std::size_t index) const { return values.data() + index * stride; }
};

OutputSquare make_output_square(const Statistics& outputs, const ScaledMatrix& matrix, const JobFiles& files, const std::string& tensor,
                                Context& context);

std::uint64_t output_square_bytes(std::size_t rows);
// What reading the terms of either side takes for a while.
std::uint64_t statistics_reading_bytes(const Statistics& statistics, std::size_t size);

}  // namespace fp8
