// CUDA status codes become the core's one error type.
#pragma once

#include <cuda_runtime_api.h>

namespace fp8::cuda {

// Throws Error{out_of_memory} where the device has no memory left, else Error{device_failed}. `operation` names what was tried.
void check(cudaError_t status, const char* operation);

// To be called after every kernel launch: a launch that was refused is reported here, one that failed later at the next synchronisation.
void check_launch(const char* kernel);

}  // namespace fp8::cuda
