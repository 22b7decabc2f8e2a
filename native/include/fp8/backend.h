// Backend: the seam between a job and the device that computes it.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "fp8/job.h"

namespace fp8 {

// Receives events from any thread of a backend; implementations synchronise themselves and must not block for long.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_event(Event event) = 0;
};

struct JobStatistics {
  std::optional<std::uint64_t> peak_device_memory_bytes;
  std::optional<double> device_busy_seconds;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // Runs every task of the job; each ends in exactly one Copied, Quantized, NonFinite or Compared event, in any order.
  // Returns when nothing of the job is running and no file is open. Throws Error, or Cancelled within a second of the request.
  virtual JobStatistics run(const Job& job, Observer& observer, std::stop_token stop) = 0;
};

std::unique_ptr<Backend> make_cpu_backend();
Device cpu_device();

// Defined by src/cuda where the build has CUDA, else by src/backends/cuda_missing.cpp (which lists one unavailable device with the reason).
std::vector<Device> cuda_devices();
std::unique_ptr<Backend> make_cuda_backend(int ordinal);

// Every device, the CPU last.
std::vector<Device> all_devices();

// `device` as in Job::device; `auto` takes the available GPU with most free memory, else the CPU. Throws Error{device_unavailable}.
std::unique_ptr<Backend> make_backend(const std::string& device);

}  // namespace fp8
