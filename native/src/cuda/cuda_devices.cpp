// The GPUs of this machine, and why one cannot be used.
#include <cuda_runtime_api.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "fp8/backend.h"
#include "gemm.h"

namespace fp8 {

namespace {

// The oldest GPUs with FP16 tensor cores.
constexpr int oldest_capability = 75;

Device unavailable(const std::string& reason) {
  Device device;
  device.id = "cuda";
  device.kind = "cuda";
  device.name = "NVIDIA GPU";
  device.available = false;
  device.reason = reason;
  return device;
}

std::string cuda_version(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

// What nvidia-smi calls the driver version, e.g. 580.95.05; from the kernel module, since the runtime does not tell it.
std::string driver_version() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (word.find_first_not_of("0123456789.") == std::string::npos && word.find('.') != std::string::npos) return word;
  }
  return {};
}

// The oldest driver that runs programs of this build's CUDA release: the one that came with the first minor version.
std::string needed_driver() {
  const char* number = CUDART_VERSION >= 13000 ? "580" : "525";
  return "a driver for CUDA " + cuda_version(CUDART_VERSION / 1000 * 1000) + " (" + number + " or newer)";
}

Device describe(int ordinal, int driver_cuda) {
  Device device;
  device.id = "cuda:" + std::to_string(ordinal);
  device.kind = "cuda";
  const std::string driver = driver_version();
  device.driver_version = driver.empty() ? "CUDA " + cuda_version(driver_cuda) : driver;
  cudaDeviceProp properties{};
  cudaError_t status = cudaGetDeviceProperties(&properties, ordinal);
  if (status != cudaSuccess) {
    device.name = "NVIDIA GPU " + std::to_string(ordinal);
    device.reason = std::string("the driver does not describe it: ") + cudaGetErrorString(status);
    (void)cudaGetLastError();
    return device;
  }
  device.name = properties.name;
  device.memory_bytes = properties.totalGlobalMem;
  device.compute_capability = std::to_string(properties.major) + "." + std::to_string(properties.minor);
  if (properties.major * 10 + properties.minor < oldest_capability) {
    device.reason = "compute capability " + device.compute_capability + " is too old: 7.5 or newer is needed";
    return device;
  }
  int previous = 0;
  (void)cudaGetDevice(&previous);
  std::size_t free = 0;
  std::size_t total = 0;
  status = cudaSetDevice(ordinal);
  if (status == cudaSuccess) status = cudaMemGetInfo(&free, &total);
  if (status == cudaSuccess && !cuda::has_code_for_current_device()) {
    device.reason = "this build has no code for compute capability " + device.compute_capability;
  } else if (status != cudaSuccess) {
    device.reason = std::string("it cannot be opened: ") + cudaGetErrorString(status);
  } else {
    device.available = true;
    device.free_memory_bytes = free;
  }
  (void)cudaGetLastError();
  (void)cudaSetDevice(previous);
  return device;
}

}  // namespace

std::vector<Device> cuda_devices() {
  int driver_cuda = 0;
  if (cudaDriverGetVersion(&driver_cuda) != cudaSuccess || driver_cuda == 0) {
    (void)cudaGetLastError();
    return {unavailable("no NVIDIA driver was found; install " + needed_driver())};
  }
  if (driver_cuda / 1000 < CUDART_VERSION / 1000) {
    return {unavailable("the NVIDIA driver " + driver_version() + " knows CUDA up to " + cuda_version(driver_cuda) + "; install " +
                        needed_driver())};
  }
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    (void)cudaGetLastError();
    return {unavailable(status == cudaErrorNoDevice || status == cudaSuccess ? std::string("there is no NVIDIA GPU in this machine")
                                                                             : std::string(cudaGetErrorString(status)))};
  }
  std::vector<Device> devices;
  for (int ordinal = 0; ordinal < count; ++ordinal) devices.push_back(describe(ordinal, driver_cuda));
  return devices;
}

}  // namespace fp8
