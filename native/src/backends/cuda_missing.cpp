// Stands in for src/cuda where the build has no CUDA toolkit.
#include "fp8/backend.h"
#include "fp8/error.h"

namespace fp8 {

namespace {
constexpr const char* reason = "this build has no CUDA backend; rebuild with the CUDA toolkit (nvcc) installed";
}

std::vector<Device> cuda_devices() {
  Device device;
  device.id = "cuda";
  device.kind = "cuda";
  device.name = "NVIDIA GPU";
  device.available = false;
  device.reason = reason;
  return {device};
}

std::unique_ptr<Backend> make_cuda_backend(int) { throw Error(ErrorCode::device_unavailable, reason); }

}  // namespace fp8
