#include "gemm.h"

namespace fp8::cuda {

GemmPath best_gemm_path(int compute_capability) {
  return compute_capability == 90 && hopper_gemm_available() ? GemmPath::hopper : GemmPath::portable;
}

void gemm(const Gemm& product, GemmPath path, cudaStream_t stream) {
  if (product.rows == 0 || product.columns == 0 || product.depth == 0) return;
  if (path == GemmPath::hopper) {
    gemm_hopper(product, stream);
  } else {
    gemm_portable(product, stream);
  }
}

}  // namespace fp8::cuda
