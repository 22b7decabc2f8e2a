// What `fp8 devices` says of the CPU.
#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

#include "core/memory_available.h"
#include "cpu/blas.h"
#include "cpu/kernels.h"
#include "fp8/backend.h"

namespace fp8 {

namespace {

std::string model_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

}  // namespace

Device cpu_device() {
  Device device;
  device.id = "cpu";
  device.kind = "cpu";
  device.name = model_name();
  device.available = true;
  device.memory_bytes = memory_total();
  device.free_memory_bytes = memory_available();
  device.threads = std::max(1U, std::thread::hardware_concurrency());
  device.instruction_set = std::string(kernels().instruction_set) + ", BLAS " + blas::kernel_name();
  return device;
}

}  // namespace fp8
