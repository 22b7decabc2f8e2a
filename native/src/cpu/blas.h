// The few BLAS and LAPACK routines that the solver needs, column-major, each on the calling thread alone: the solver cuts the work itself,
// so that the order of every sum is the same for any number of threads.
#pragma once

#include <cstddef>

namespace fp8::blas {

enum class Op { plain, transposed };

// Makes the library compute on the calling thread. Every entry point of the backend calls it; the first call counts.
void use_calling_thread();

// C (m × n) = alpha · op(A) (m × k) · op(B) (k × n) + beta · C.
void gemm(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k, float alpha, const float* a, std::size_t stride_a, const float* b,
          std::size_t stride_b, float beta, float* c, std::size_t stride_c);
void gemm(Op op_a, Op op_b, std::size_t m, std::size_t n, std::size_t k, double alpha, const double* a, std::size_t stride_a,
          const double* b, std::size_t stride_b, double beta, double* c, std::size_t stride_c);

// Upper triangle of C (n × n) = alpha · Aᵀ·A + beta · C, A is k × n.
void gram_upper(std::size_t n, std::size_t k, float alpha, const float* a, std::size_t stride_a, float beta, float* c,
                std::size_t stride_c);

// Upper triangle of A = RᵀR, R upper triangular, in place. False when A is not positive definite.
bool cholesky_upper(std::size_t n, float* a, std::size_t stride);
bool cholesky_upper(std::size_t n, double* a, std::size_t stride);

// X = R⁻ᵀ·X, R (m × m) upper triangular, X m × n.
void solve_upper_transposed(std::size_t m, std::size_t n, const float* r, std::size_t stride_r, float* x, std::size_t stride_x);
// X = X·R⁻¹, R (n × n) upper triangular, X m × n.
void solve_upper_from_right(std::size_t m, std::size_t n, const float* r, std::size_t stride_r, float* x, std::size_t stride_x);

// The kernel family that the library chose for this CPU.
const char* kernel_name();

}  // namespace fp8::blas
