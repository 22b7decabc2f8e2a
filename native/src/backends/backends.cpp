// Which devices this build knows, and which one `auto` takes.
#include "fp8/backend.h"
#include "fp8/error.h"

namespace fp8 {

std::vector<Device> all_devices() {
  std::vector<Device> devices = cuda_devices();
  devices.push_back(cpu_device());
  return devices;
}

namespace {

std::string choose_device() {
  const Device* best = nullptr;
  const std::vector<Device> devices = cuda_devices();
  for (const Device& device : devices) {
    if (!device.available) continue;
    if (best == nullptr || device.free_memory_bytes.value_or(0) > best->free_memory_bytes.value_or(0)) best = &device;
  }
  return best == nullptr ? "cpu" : best->id;
}

}  // namespace

std::unique_ptr<Backend> make_backend(const std::string& device) {
  const std::string id = device == "auto" || device.empty() ? choose_device() : device;
  std::string known;
  for (const Device& candidate : all_devices()) {
    if (candidate.id != id) {
      known += (known.empty() ? "" : ", ") + candidate.id;
      continue;
    }
    if (!candidate.available) throw Error(ErrorCode::device_unavailable, "Device " + id + " cannot be used: " + candidate.reason);
    if (candidate.kind == "cpu") return make_cpu_backend();
    return make_cuda_backend(std::stoi(id.substr(id.find(':') + 1)));
  }
  throw Error(ErrorCode::device_unavailable, "There is no device \"" + id + "\" on this machine. Known devices: " + known + ".");
}

}  // namespace fp8
