// What is read from files about a layer's inputs or outputs, a chunk of rows at a time: its diagonal, and its part of a square.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "fp8/job.h"

namespace fp8::cuda {

// Rows [first, first + rows) of a symmetric matrix; `lower`: what is right of the diagonal is not wanted.
struct SquareWindow {
  float* data = nullptr;  // of row `first`
  std::int64_t leading = 0;
  int first = 0;
  int rows = 0;
  bool lower = false;
};

// A chunk of a matrix that has `size` values in each row.
struct TermChunk {
  const void* data = nullptr;
  SourceDtype dtype = SourceDtype::f32;
  int first_row = 0;
  int rows = 0;
  int size = 0;
};

struct DiagonalSummary {
  double sum = 0;
  double largest = 0;
  std::uint64_t non_finite = 0;
  std::uint64_t negative = 0;
};

// values[i] = chunk_ii for the chunk's rows.
void diagonal_of_moment(const TermChunk& chunk, double* values, cudaStream_t stream);

// values[i] = chunk_0i.
void widen(const TermChunk& chunk, double* values, cudaStream_t stream);

// out[i] = beta · out[i] + factor · in[i]; `out` is not read where beta is 0.
void add_scaled(const double* in, std::int64_t count, double factor, double beta, double* out, cudaStream_t stream);

// In device memory; the sum has a fixed order.
void summarise_diagonal(const double* values, std::int64_t count, DiagonalSummary* summary, cudaStream_t stream);

// square[p_i][p_j] += factor · chunk_ij, p = position, or i and j themselves without it.
void add_moment(const TermChunk& chunk, float factor, const std::int32_t* position, const SquareWindow& window, cudaStream_t stream);

// square[p_i][p_i] += factor · values[i].
void add_diagonal(const double* values, int size, double factor, const std::int32_t* position, const SquareWindow& window,
                  cudaStream_t stream);

}  // namespace fp8::cuda
