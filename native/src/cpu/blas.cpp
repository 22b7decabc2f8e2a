#include "cpu/blas.h"

#include <cblas.h>

#include <mutex>

extern "C" {
void spotrf_(const char* triangle, const int* n, float* a, const int* stride, int* info);
void dpotrf_(const char* triangle, const int* n, double* a, const int* stride, int* info);
}

namespace fp8::blas {

namespace {
CBLAS_TRANSPOSE flag(Op op) { return op == Op::plain ? CblasNoTrans : CblasTrans; }
blasint size(std::size_t value) { return static_cast<blasint>(value); }
}  // namespace

void use_calling_thread() {
  static std::once_flag once;
  std::call_once(once, [] { openblas_set_num_threads(1); });
}

void gemm(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k, float alpha, const float* a, std::size_t stride_a, const float* b,
          std::size_t stride_b, float beta, float* c, std::size_t stride_c) {
  cblas_sgemm(CblasColMajor, flag(op_a), flag(op_b), size(m), size(n), size(k), alpha, a, size(stride_a), b, size(stride_b), beta, c,
              size(stride_c));
}

void gemm(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k, double alpha, const double* a, std::size_t stride_a,
          const double* b, std::size_t stride_b, double beta, double* c, std::size_t stride_c) {
  cblas_dgemm(CblasColMajor, flag(op_a), flag(op_b), size(m), size(n), size(k), alpha, a, size(stride_a), b, size(stride_b), beta, c,
              size(stride_c));
}

void gram_upper(std::size_t n, std::size_t k, float alpha, const float* a, std::size_t stride_a, float beta, float* c,
                std::size_t stride_c) {
  cblas_ssyrk(CblasColMajor, CblasUpper, CblasTrans, size(n), size(k), alpha, a, size(stride_a), beta, c, size(stride_c));
}

bool cholesky_upper(std::size_t n, float* a, std::size_t stride) {
  const int order = size(n);
  const int leading = size(stride);
  int info = 0;
  spotrf_("U", &order, a, &leading, &info);
  return info == 0;
}

bool cholesky_upper(std::size_t n, double* a, std::size_t stride) {
  const int order = size(n);
  const int leading = size(stride);
  int info = 0;
  dpotrf_("U", &order, a, &leading, &info);
  return info == 0;
}

void solve_upper_transposed(std::size_t m, std::size_t n, const float* r, std::size_t stride_r, float* x, std::size_t stride_x) {
  cblas_strsm(CblasColMajor, CblasLeft, CblasUpper, CblasTrans, CblasNonUnit, size(m), size(n), 1, r, size(stride_r), x, size(stride_x));
}

void solve_upper_from_right(std::size_t m, std::size_t n, const float* r, std::size_t stride_r, float* x, std::size_t stride_x) {
  cblas_strsm(CblasColMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, size(m), size(n), 1, r, size(stride_r), x, size(stride_x));
}

const char* kernel_name() { return openblas_get_corename(); }

}  // namespace fp8::blas
