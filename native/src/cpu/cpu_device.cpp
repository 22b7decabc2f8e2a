// What `fp8 devices` says of the CPU.
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

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

std::optional<std::uint64_t> memory(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::uint64_t kibibytes = 0;
  for (std::string unit; file >> name >> kibibytes; std::getline(file, unit)) {
    if (name == key + ":") return kibibytes * 1024;
  }
  return std::nullopt;
}

}  // namespace

Device cpu_device() {
  Device device;
  device.id = "cpu";
  device.kind = "cpu";
  device.name = model_name();
  device.available = true;
  device.memory_bytes = memory("MemTotal");
  device.free_memory_bytes = memory("MemAvailable");
  device.threads = std::max(1U, std::thread::hardware_concurrency());
  device.instruction_set = std::string(kernels().instruction_set) + ", BLAS " + blas::kernel_name();
  return device;
}

}  // namespace fp8
