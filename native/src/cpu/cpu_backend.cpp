// The CPU backend: a few lanes take the tasks in order, each as soon as the memory it needs is free. Lanes read, write and wait; all
// arithmetic runs on the one pool of threads, so that reading, computing and writing of different tensors overlap.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <limits>
#include <mutex>
#include <new>
#include <stop_token>
#include <thread>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "core/file_range.h"
#include "core/memory_available.h"
#include "core/memory_budget.h"
#include "core/progress.h"
#include "core/stop.h"
#include "core/stopwatch.h"
#include "core/task.h"
#include "core/thread_pool.h"
#include "cpu/blas.h"
#include "cpu/check_statistics_task.h"
#include "cpu/compare_task.h"
#include "cpu/correct_bias_task.h"
#include "cpu/dequantize_task.h"
#include "cpu/difference_task.h"
#include "cpu/inspect_task.h"
#include "cpu/propagate_task.h"
#include "cpu/quantize_task.h"
#include "fp8/backend.h"
#include "fp8/error.h"

namespace fp8 {

namespace {

// What tasks may hold together. A single larger tensor runs alone.
constexpr std::uint64_t memory_budget_bytes = std::uint64_t{640} << 20;

// FP8_MEMORY_MIB: what a tensor may take of the machine's memory at most, instead of all that is left.
std::uint64_t memory_limit() {
  const char* text = std::getenv("FP8_MEMORY_MIB");
  const std::uint64_t mebibytes = text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  return mebibytes == 0 || mebibytes > most >> 20 ? most : mebibytes << 20;
}

std::string mebibytes(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }
std::string mebibytes_up(std::uint64_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

std::size_t thread_count(const Job& job) { return job.threads != 0 ? job.threads : std::max(1U, std::thread::hardware_concurrency()); }

class CpuJob {
 public:
  CpuJob(const Job& job, Observer& observer, std::stop_token stop)
      : job_(job), observer_(observer), files_(job), pool_(thread_count(job)), outer_stop_(std::move(stop)) {}

  void run() {
    const std::stop_callback forward(outer_stop_, [this] { inner_stop_.request_stop(); });
    {
      std::vector<std::jthread> lanes;
      // One more than there are threads keeps the pool busy while a lane reads or writes; more help small tensors.
      const std::size_t count = std::min(job_.tasks.size(), std::clamp<std::size_t>(pool_.size() + 2, 4, 64));
      for (std::size_t i = 0; i < count; ++i) lanes.emplace_back([this] { take_tasks(); });
    }
    if (outer_stop_.stop_requested()) throw Cancelled{};
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void take_tasks() {
    for (;;) {
      const std::size_t index = next_.fetch_add(1);
      if (index >= job_.tasks.size() || inner_stop_.stop_requested()) return;
      try {
        run_task(job_.tasks[index]);
      } catch (const Cancelled&) {
        return;
      } catch (const std::bad_alloc&) {
        const std::string& name = task_name(job_.tasks[index]);
        fail(std::make_exception_ptr(
            Error(ErrorCode::out_of_memory,
                  "Not enough memory for tensor \"" + name + "\". Close other programs or use a machine with more memory.", name)));
        return;
      } catch (...) {
        fail(std::current_exception());
        return;
      }
    }
  }

  void fail(std::exception_ptr failure) {
    const std::lock_guard<std::mutex> lock(failure_mutex_);
    if (!failure_) failure_ = std::move(failure);
    inner_stop_.request_stop();
  }

  void run_task(const Task& task) {
    const std::uint64_t needed = bytes_of(task);
    const MemoryBudget::Lease lease = budget_.acquire(needed, inner_stop_.get_token());
    const std::uint64_t available = available_for(needed);
    if (needed > available) return run_lighter(task, needed, available);
    run_fitting(task);
  }

  // Without what takes most memory and can be done without.
  void run_lighter(const Task& task, std::uint64_t needed, std::uint64_t available) {
    const std::string why = "needs " + mebibytes_up(needed) + " of memory and " + mebibytes(available) + " are available";
    if (const auto* quantize = std::get_if<QuantizeTask>(&task); quantize != nullptr && quantize->outputs) {
      QuantizeTask lighter = *quantize;
      lighter.outputs.reset();
      if (bytes_of(lighter) <= available) {
        observer_.on_event(Note{lighter.id, "It is steered by its inputs alone: with its outputs it " + why + "."});
        return run_fitting(lighter);
      }
    }
    const std::string& name = task_name(task);
    if (std::holds_alternative<PropagateTask>(task)) {
      throw Error(ErrorCode::out_of_memory,
                  "Sending samples through the model " + why +
                      ". Choose fewer samples (calib_samples) or the statistics gram, or close other programs.",
                  name);
    }
    throw Error(ErrorCode::out_of_memory,
                "Tensor \"" + name + "\" " + why +
                    ". Close other programs, use a machine with more memory, or round to nearest, which needs little.",
                name);
  }

  void run_fitting(const Task& task) {
    observer_.on_event(Started{task_id(task), "cpu"});
    TaskProgress progress(observer_, task_id(task));
    Context context{pool_, progress, inner_stop_.get_token()};
    if (const auto* copy = std::get_if<CopyTask>(&task)) {
      const Stopwatch watch;
      copy_range(files_.source(copy->source), copy->source, files_.output(), copy->output_offset, copy->name, context.stop);
      observer_.on_event(Copied{copy->id, watch.seconds()});
    } else if (const auto* quantize = std::get_if<QuantizeTask>(&task)) {
      run_quantize_task(*quantize, files_, observer_, context);
    } else if (const auto* inspect = std::get_if<InspectTask>(&task)) {
      run_inspect_task(*inspect, files_, observer_, context);
    } else if (const auto* dequantize = std::get_if<DequantizeTask>(&task)) {
      run_dequantize_task(*dequantize, files_, observer_, context);
    } else if (const auto* difference = std::get_if<DifferenceTask>(&task)) {
      run_difference_task(*difference, files_, observer_, context);
    } else if (const auto* propagate = std::get_if<PropagateTask>(&task)) {
      run_propagate_task(*propagate, files_, observer_, context);
    } else if (const auto* correct = std::get_if<CorrectBiasTask>(&task)) {
      run_correct_bias_task(*correct, files_, observer_, context);
    } else if (const auto* check = std::get_if<CheckStatisticsTask>(&task)) {
      run_check_statistics_task(*check, files_, observer_, context);
    } else {
      run_compare_task(std::get<CompareTask>(task), files_, observer_, context);
    }
  }

  // A task beyond the budget runs alone: what the machine has left is for it.
  std::uint64_t available_for(std::uint64_t needed) const {
    if (needed <= std::min(memory_budget_bytes, memory_limit_)) return needed;
    return std::min(memory_available().value_or(needed), memory_limit_);
  }

  std::uint64_t bytes_of(const Task& task) const {
    if (const auto* quantize = std::get_if<QuantizeTask>(&task)) return quantize_task_bytes(*quantize, pool_.size());
    if (const auto* compare = std::get_if<CompareTask>(&task)) return compare_task_bytes(*compare, pool_.size());
    if (const auto* inspect = std::get_if<InspectTask>(&task)) return inspect_task_bytes(*inspect, pool_.size());
    if (const auto* propagate = std::get_if<PropagateTask>(&task)) return propagate_task_bytes(*propagate);
    if (const auto* correct = std::get_if<CorrectBiasTask>(&task)) return correct_bias_task_bytes(*correct, pool_.size());
    if (const auto* dequantize = std::get_if<DequantizeTask>(&task)) return dequantize_task_bytes(*dequantize, pool_.size());
    if (const auto* check = std::get_if<CheckStatisticsTask>(&task)) return check_statistics_task_bytes(*check);
    if (std::holds_alternative<DifferenceTask>(task)) return difference_task_bytes(pool_.size());
    return std::min<std::uint64_t>(std::get<CopyTask>(task).source.length, io_chunk_bytes);
  }

  const Job& job_;
  Observer& observer_;
  const JobFiles files_;
  ThreadPool pool_;
  MemoryBudget budget_{memory_budget_bytes};
  const std::uint64_t memory_limit_ = memory_limit();
  const std::stop_token outer_stop_;
  std::stop_source inner_stop_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
};

class CpuBackend : public Backend {
 public:
  JobStatistics run(const Job& job, Observer& observer, std::stop_token stop) override {
    blas::use_calling_thread();
    CpuJob(job, observer, std::move(stop)).run();
#if defined(__GLIBC__)
    // The C library keeps what the threads gave back; a process that lives on has no use for it.
    ::malloc_trim(0);
#endif
    return {};
  }
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend() { return std::make_unique<CpuBackend>(); }

}  // namespace fp8
