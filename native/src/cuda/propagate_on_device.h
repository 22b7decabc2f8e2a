// Samples sent through a model's weights on the GPU: the steps, draws and output of the CPU's propagation.
#pragma once

#include <functional>
#include <stop_token>

#include "busy_clock.h"
#include "core/file_range.h"
#include "core/thread_pool.h"
#include "fp8/job.h"
#include "gemm.h"
#include "transfer.h"

namespace fp8::cuda {

// What it needs from the job.
struct PropagationServices {
  const JobFiles& files;
  Uploader& uploader;
  Downloader& downloader;
  ThreadPool& pool;
  BusyClock& busy;
  cudaStream_t stream;
  GemmPath path;
  std::stop_token stop;
  std::function<void(double fraction)> tick;  // called often
};

// memory: propagation_bytes, see propagation_memory.h. Returns when everything is written. Throws Cancelled after a stop request.
void propagate_on_device(const PropagateTask& task, void* memory, const PropagationServices& services);

}  // namespace fp8::cuda
