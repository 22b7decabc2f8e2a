// The general matrix product of half-precision operands with FP32 accumulation, on tensor cores.
//
//   C = alpha · A · Bᵀ + beta · C      A: rows × depth, B: columns × depth, C: rows × columns, all row-major
//
// Both operands have `depth` contiguous. FP16 keeps an 11-bit significand, as TF32 does, at twice its rate and half its traffic; what
// needs more is given as a sum of FP16 parts (see split.cuh). Error: |C − exact| ≤ alpha · depth · 2⁻²³ · Σ|a·b|, beyond the rounding of
// the operands themselves.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace fp8::cuda {

enum class Element { f16, bf16 };

// `hopper` uses warpgroup products and bulk tensor copies (compute capability 9.0), `portable` runs everywhere.
enum class GemmPath { hopper, portable };

enum class Triangle { all, lower };

// leading: elements between rows; a multiple of 8, and `data` is aligned to 16 bytes.
struct Operand {
  const void* data = nullptr;
  std::int64_t leading = 0;
};

struct Gemm {
  Element element = Element::f16;
  int rows = 0;
  int columns = 0;
  int depth = 0;
  Operand a;
  Operand b;
  float* c = nullptr;
  std::int64_t c_leading = 0;  // even, and c is aligned to 8 bytes
  float alpha = 1;
  float beta = 0;
  // `lower` computes the tiles that touch the lower triangle and leaves the others as they are.
  Triangle triangle = Triangle::all;
};

// The fastest path of the current device for which this build has code.
GemmPath best_gemm_path(int compute_capability);

void gemm(const Gemm& product, GemmPath path, cudaStream_t stream);

// Whether this build's kernels run on the current device.
bool has_code_for_current_device();

// One path each; `gemm` chooses. The bulk copies' descriptors are made by the driver: false where it cannot.
bool hopper_gemm_available();
void gemm_hopper(const Gemm& product, cudaStream_t stream);
void gemm_portable(const Gemm& product, cudaStream_t stream);

}  // namespace fp8::cuda
