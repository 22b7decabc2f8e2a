// Learned rounding of one matrix on the GPU: statistics, factorisation, error feedback, sweeps, and the comparison with nearest rounding
// that the result must win. The definition of each step is the CPU backend's.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <string>

#include "column_statistics.h"
#include "encode.h"
#include "fp8/job.h"
#include "gemm.h"
#include "target_scales.h"

namespace fp8::cuda {

// The damping of gram statistics, in units of the mean diagonal of H.
inline constexpr float gram_damping = 1.0F;

// A row-major matrix in device memory.
struct SourceMatrix {
  const void* data = nullptr;
  SourceDtype dtype = SourceDtype::bf16;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

// Where H and G come from. Without `inputs`, H is the weights' Gram matrix; without `outputs` every output counts for itself.
struct Sources {
  const Statistics* inputs = nullptr;
  const Statistics* outputs = nullptr;
};

struct LearnedOptions {
  std::uint32_t sweep_limit = 500;
  // Components that steer; 0: all.
  std::uint32_t top_k = 0;
  std::uint64_t seed = 0;
  // Rows that are solved at a time; see row_block_that_fits.
  std::int64_t row_block = 0;
  Sources sources = {};
  std::string tensor = {};  // for errors
};

struct LearnedResult {
  // tr(E H Eᵀ), or tr(G E H Eᵀ), in units² of the scales.
  double objective = 0;
  double objective_nearest = 0;
  std::uint32_t sweeps = 0;
  bool kept_nearest = false;  // then codes are for the scales of nearest rounding
  CodeSums sums;
};

// What a stream's work needs from its owner.
struct Execution {
  cudaStream_t stream = nullptr;
  GemmPath path = GemmPath::portable;
  int compute_capability = 75;
  void* mailbox = nullptr;  // pinned, 4 KiB: small results arrive here
  // Called often while work is enqueued; throws to stop it. `fraction` of the matrix done, 0–1.
  std::function<void(double fraction)> tick = [](double) {};
  // Copies bytes of a file's range to device memory, for work enqueued from now on. Needed where statistics lie in files.
  std::function<void(const FileRange& range, std::uint64_t offset, std::uint64_t bytes, void* destination)> load = nullptr;
};

// Device memory for `row_block` rows at a time.
std::int64_t learned_rounding_bytes(SourceDtype dtype, std::int64_t rows, std::int64_t columns, std::uint32_t top_k, std::int64_t row_block,
                                    const Sources& sources = {});

// The largest row block with which the solver stays within `bytes`; 0 where none does. Outputs couple all rows: then it is all or none.
std::int64_t row_block_that_fits(SourceDtype dtype, std::int64_t rows, std::int64_t columns, std::uint32_t top_k, std::int64_t bytes,
                                 const Sources& sources = {});

// squares and summary: of column_statistics, summary not all zero. scales: measured; receives those chosen. codes: rows × columns, out.
// memory: learned_rounding_bytes. Returns when the work is done.
LearnedResult round_learned(const SourceMatrix& source, const double* squares, const MatrixSummary& summary, TargetScales& scales,
                            const LearnedOptions& options, std::uint8_t* codes, void* memory, const Execution& execution);

}  // namespace fp8::cuda
