#include "check.h"

#include <string>

#include "fp8/error.h"

namespace fp8::cuda {

namespace {

const char* remedy(cudaError_t status) {
  switch (status) {
    case cudaErrorECCUncorrectable:
      return "The GPU's memory reported an uncorrectable error: restart the machine, or convert with --device cpu.";
    case cudaErrorInsufficientDriver:
      return "The NVIDIA driver is too old: update it, or convert with --device cpu.";
    case cudaErrorDevicesUnavailable:
      return "Another program holds the GPU exclusively: close it, or convert with --device cpu.";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
      return "This build has no code for the GPU: install a build for it, or convert with --device cpu.";
    default:
      return "Try again, or convert with --device cpu.";
  }
}

}  // namespace

void check(cudaError_t status, const char* operation) {
  if (status == cudaSuccess) return;
  // Clears the error where it can be cleared, so that it is not reported a second time by an unrelated call.
  (void)cudaGetLastError();
  const bool out_of_memory = status == cudaErrorMemoryAllocation;
  throw Error(out_of_memory ? ErrorCode::out_of_memory : ErrorCode::device_failed, std::string("The GPU failed at ") + operation + ": " +
                                                                                       cudaGetErrorString(status) + " (" +
                                                                                       cudaGetErrorName(status) + "). " + remedy(status));
}

void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

}  // namespace fp8::cuda
