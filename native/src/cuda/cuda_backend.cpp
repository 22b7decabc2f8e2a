// The CUDA backend: several tensors in flight. A lane has a stream; it takes a tensor, waits for device memory, has it read, computes,
// hands the codes to the writing threads and takes the next. What the GPU cannot do goes to the CPU backend, and a note says so.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "busy_clock.h"
#include "check.h"
#include "core/file_range.h"
#include "core/scale_table.h"
#include "core/stop.h"
#include "core/stopwatch.h"
#include "core/thread_pool.h"
#include "device_arena.h"
#include "fp8/backend.h"
#include "fp8/error.h"
#include "fp8/storage.h"
#include "placement.h"
#include "propagate_on_device.h"
#include "propagation_memory.h"
#include "quantize_on_device.h"
#include "quantized_tensor.h"
#include "resources.h"
#include "transfer.h"

namespace fp8 {

namespace {

using namespace cuda;  // this file joins both

constexpr std::size_t lane_count = 4;
// Sweeps over both sides keep a few of the GPU's multiprocessors busy for each tensor.
constexpr std::size_t coupled_lane_count = 10;
// Left for the display and for kernels' own needs.
constexpr std::int64_t reserve_bytes = std::int64_t{512} << 20;
constexpr std::uint64_t copy_piece_bytes = std::uint64_t{32} << 20;
// Jobs up to this many tensors start with the largest, so that it does not end alone; more are taken in the order of the file.
constexpr std::size_t reordered_tasks = 256;

class CudaJob {
 public:
  CudaJob(const Job& job, Observer& observer, std::stop_token stop, int ordinal)
      : job_(job),
        observer_(observer),
        outer_stop_(std::move(stop)),
        ordinal_(ordinal),
        device_("cuda:" + std::to_string(ordinal)),
        files_(job) {}

  JobStatistics run() {
    const std::stop_callback forward(outer_stop_, [this] { inner_stop_.request_stop(); });
    check(cudaSetDevice(ordinal_), "cudaSetDevice");
    sort_tasks();
    take_memory();
    {
      const FailureHandler on_failure = [this](std::exception_ptr failure) { fail(std::move(failure)); };
      const std::size_t cores = job_.threads != 0 ? job_.threads : std::max(1U, std::thread::hardware_concurrency());
      const std::size_t transfers = std::clamp<std::size_t>(cores / 2, 1, 8);
      Downloader downloader(ordinal_, transfers, stop(), on_failure);
      downloader_ = &downloader;
      for (const CopyTask* task : copies_) copy(*task);
      std::jthread cpu;
      if (!cpu_job_.tasks.empty()) cpu = std::jthread([this] { run_on_cpu(); });
      {
        Uploader uploader(ordinal_, transfers, stop(), on_failure);
        uploader_ = &uploader;
        std::vector<std::jthread> lanes;
        for (std::size_t i = 0; i < std::min(lanes_at_once(), gpu_.size()); ++i) lanes.emplace_back([this] { take_tasks(); });
        if (!propagations_.empty()) lanes.emplace_back([this] { propagate(); });
        lanes.clear();
      }
      downloader.finish();
    }
    if (outer_stop_.stop_requested()) throw Cancelled{};
    if (failure_) std::rethrow_exception(failure_);
    JobStatistics statistics;
    statistics.device_busy_seconds = busy_.seconds();
    if (arena_) statistics.peak_device_memory_bytes = static_cast<std::uint64_t>(arena_->capacity());
    return statistics;
  }

 private:
  struct Planned {
    const QuantizeTask* task;
    DeviceNeeds needs;
  };

  struct PlannedPropagation {
    const PropagateTask* task;
    std::int64_t bytes;
  };

  // One tensor from its allocation to its last written byte.
  struct Flight {
    const QuantizeTask& task;
    DeviceArena::Piece source;
    DeviceArena::Piece codes;
    DeviceArena::Piece work;
    Quantized result;
    ScaleTable scales;
    Stopwatch watch;
  };

  std::stop_token stop() const { return inner_stop_.get_token(); }

  void sort_tasks() {
    cpu_job_ = {job_.files, job_.output, {}, "cpu", job_.threads};
    std::vector<std::string> said;  // once is enough
    for (const Task& task : job_.tasks) {
      if (const auto* copy = std::get_if<CopyTask>(&task)) {
        copies_.push_back(copy);
      } else if (const auto* quantize = std::get_if<QuantizeTask>(&task)) {
        if (const char* reason = reason_for_cpu(*quantize)) {
          if (std::find(said.begin(), said.end(), reason) == said.end()) {
            observer_.on_event(Note{quantize->id, reason});
            said.emplace_back(reason);
          }
          cpu_job_.tasks.push_back(task);
        } else {
          gpu_.push_back({quantize, {}});
        }
      } else if (const auto* propagation = std::get_if<PropagateTask>(&task)) {
        propagations_.push_back({propagation, DeviceArena::rounded(propagation_bytes(*propagation))});
      } else {
        cpu_job_.tasks.push_back(task);
      }
    }
    if (gpu_.size() <= reordered_tasks) {
      std::stable_sort(gpu_.begin(), gpu_.end(), [](const Planned& a, const Planned& b) { return work_of(*a.task) > work_of(*b.task); });
    }
  }

  std::size_t lanes_at_once() const {
    const auto is_coupled = [](const Planned& planned) { return planned.task->rounding == Rounding::learned && planned.task->outputs; };
    return std::any_of(gpu_.begin(), gpu_.end(), is_coupled) ? coupled_lane_count : lane_count;
  }

  template <typename OneTask>
  void to_cpu(const OneTask& task, const std::string& reason) {
    observer_.on_event(Note{task.id, "\"" + task.name + "\": " + reason + "."});
    cpu_job_.tasks.push_back(task);
  }

  // As much as the lanes can use at once, within the budget; more only where a single tensor needs it, the GPU has it and nobody set a
  // limit.
  void take_memory() {
    if (gpu_.empty() && propagations_.empty()) return;
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    const std::int64_t available = static_cast<std::int64_t>(free) - reserve_bytes;
    constexpr std::int64_t unlimited = std::int64_t{1} << 60;
    const std::int64_t budget = memory_limit().value_or(default_budget_bytes);
    std::vector<std::int64_t> wishes;
    std::int64_t least = 0;
    for (const Planned& planned : gpu_) {
      const auto bytes_of = [](const DeviceNeeds& needs) {
        return DeviceArena::rounded(needs.source) + DeviceArena::rounded(needs.codes) + DeviceArena::rounded(needs.work);
      };
      wishes.push_back(bytes_of(*needs_within(*planned.task, unlimited)));
      if (!memory_limit() && !needs_within(*planned.task, budget)) least = std::max(least, wishes.back());
    }
    for (const PlannedPropagation& planned : propagations_) {
      wishes.push_back(planned.bytes);
      if (!memory_limit()) least = std::max(least, planned.bytes);
    }
    std::sort(wishes.begin(), wishes.end(), std::greater<>());
    const std::size_t together = std::min(wishes.size(), lanes_at_once() + 2);  // codes wait for the disk while the next tensor is on
    std::int64_t wanted = std::accumulate(wishes.begin(), wishes.begin() + static_cast<std::ptrdiff_t>(together), std::int64_t{0});
    wanted = std::min(std::max(std::min(wanted, budget), least), available);
    if (wanted > 0) {
      try {
        arena_.emplace(wanted, std::min(wanted, std::int64_t{64} << 20));
      } catch (const Error& error) {
        if (error.code() != ErrorCode::out_of_memory) throw;
      }
    }
    const std::int64_t capacity = arena_ ? arena_->capacity() : 0;
    std::erase_if(gpu_, [&](Planned& planned) {
      const std::optional<DeviceNeeds> needs = needs_within(*planned.task, capacity);
      if (needs) {
        planned.needs = *needs;
        return false;
      }
      to_cpu(*planned.task, "needs more than the " + mebibytes(capacity) + " of GPU memory at hand, so the CPU rounds it");
      return true;
    });
    std::erase_if(propagations_, [&](const PlannedPropagation& planned) {
      if (planned.bytes <= capacity) return false;
      to_cpu(*planned.task, "need " + mebibytes(planned.bytes) + " of GPU memory, of which " + mebibytes(capacity) +
                                " are at hand, so the CPU sends samples through the model");
      return true;
    });
  }

  void run_on_cpu() {
    try {
      (void)make_cpu_backend()->run(cpu_job_, observer_, stop());
    } catch (const Cancelled&) {
    } catch (...) {
      fail(std::current_exception());
    }
  }

  void fail(std::exception_ptr failure) {
    {
      const std::lock_guard<std::mutex> lock(failure_mutex_);
      if (!failure_) failure_ = std::move(failure);
    }
    inner_stop_.request_stop();
  }

  void copy(const CopyTask& task) {
    const std::uint64_t length = task.source.length;
    const std::size_t pieces = std::max<std::size_t>(1, static_cast<std::size_t>((length + copy_piece_bytes - 1) / copy_piece_bytes));
    const auto done = std::make_shared<Countdown>(pieces);
    const auto watch = std::make_shared<Stopwatch>();
    const auto started = std::make_shared<std::atomic<bool>>(false);
    for (std::size_t i = 0; i < pieces; ++i) {
      downloader_->run([this, &task, i, done, watch, started, length] {
        if (!started->exchange(true)) {
          observer_.on_event(Started{task.id, device_});
          watch->restart();
        }
        const std::uint64_t at = i * copy_piece_bytes;
        const FileRange range{task.source.file, task.source.offset + at, std::min(copy_piece_bytes, length - at)};
        try {
          copy_range(files_.source(range), range, files_.output(), task.output_offset + at, task.name, stop());
        } catch (const Cancelled&) {
          return;
        }
        if (done->count_down()) observer_.on_event(Copied{task.id, watch->seconds()});
      });
    }
  }

  void take_tasks() {
    const QuantizeTask* task = nullptr;
    try {
      check(cudaSetDevice(ordinal_), "cudaSetDevice");
      const Stream stream;
      const PinnedBuffer mailbox(4096);
      const int capability = compute_capability(ordinal_);
      Execution execution{stream.get(), best_gemm_path(capability), capability, mailbox.data()};
      while (!inner_stop_.stop_requested()) {
        const std::size_t index = next_.fetch_add(1);
        if (index >= gpu_.size()) return;
        task = gpu_[index].task;
        fly(gpu_[index], execution);
      }
    } catch (const Cancelled&) {
    } catch (const Error& error) {
      const bool named = !error.tensor().empty() || task == nullptr;
      fail(named
               ? std::current_exception()
               : std::make_exception_ptr(Error(error.code(), "Tensor \"" + task->name + "\": " + error.what(), task->name, error.path())));
    } catch (...) {
      fail(std::current_exception());
    }
  }

  // On a lane of its own, one after the other.
  void propagate() {
    try {
      check(cudaSetDevice(ordinal_), "cudaSetDevice");
      const Stream stream;
      ThreadPool pool(job_.threads != 0 ? job_.threads : std::max(1U, std::thread::hardware_concurrency()));
      for (const PlannedPropagation& planned : propagations_) {
        const PropagateTask& task = *planned.task;
        const std::vector<DeviceArena::Piece> memory = arena_->take({planned.bytes}, stop());
        observer_.on_event(Started{task.id, device_});
        const Stopwatch watch;
        propagate_on_device(task, memory.front().data(),
                            {files_, *uploader_, *downloader_, pool, busy_, stream.get(), best_gemm_path(compute_capability(ordinal_)),
                             stop(), ticker(task.id)});
        observer_.on_event(Copied{task.id, watch.seconds()});
      }
    } catch (const Cancelled&) {
    } catch (...) {
      fail(std::current_exception());
    }
  }

  // Reports progress a few times a second; throws after a stop request.
  std::function<void(double)> ticker(std::uint32_t id) {
    return [this, id, since_progress = std::make_shared<Stopwatch>()](double fraction) {
      throw_if_stopped(stop());
      if (fraction > 0 && since_progress->seconds() > 0.1) {
        observer_.on_event(Progress{id, fraction});
        since_progress->restart();
      }
    };
  }

  void fly(const Planned& planned, Execution& execution) {
    const QuantizeTask& task = *planned.task;
    std::vector<DeviceArena::Piece> pieces = arena_->take({planned.needs.source, planned.needs.codes, planned.needs.work}, stop());
    observer_.on_event(Started{task.id, device_});
    const auto flight =
        std::shared_ptr<Flight>(new Flight{task, std::move(pieces[0]), std::move(pieces[1]), std::move(pieces[2]), {}, {}, {}});
    if (task.source.length > 0) {
      const auto loaded = std::make_shared<Countdown>(Uploader::chunks(task.source.length));
      uploader_->upload(files_.source(task.source), task.source.offset, task.source.length, flight->source.data(), execution.stream,
                        task.name, loaded);
      if (!loaded->wait(stop())) throw Cancelled{};
    }
    flight->result.read_seconds = flight->watch.restart();

    execution.tick = ticker(task.id);
    execution.load = [&](const FileRange& range, std::uint64_t offset, std::uint64_t bytes, void* destination) {
      const auto loaded = std::make_shared<Countdown>(Uploader::chunks(bytes));
      uploader_->upload(files_.source(range), range.offset + offset, bytes, destination, execution.stream, task.name, loaded);
      if (!loaded->wait(stop())) throw Cancelled{};
    };
    DeviceResult result;
    {
      const BusyClock::Interval busy(busy_);
      result = quantize_on_device(task, planned.needs, flight->source.data(), static_cast<std::uint8_t*>(flight->codes.data()),
                                  flight->work.data(), execution);
    }
    const double seconds = flight->watch.restart();
    // The next tensor may have this memory while the codes are written.
    flight->source = {};
    flight->work = {};
    if (result.non_finite != 0) {
      observer_.on_event(NonFinite{task.id, result.non_finite, flight->result.read_seconds + seconds});
      return;
    }
    describe(task, result, flight->result);
    flight->result.device = device_;
    flight->result.compute_seconds = seconds;
    flight->scales = std::move(result.scales);
    write(flight);
  }

  void write(const std::shared_ptr<Flight>& flight) {
    const QuantizeTask& task = flight->task;
    const std::uint64_t bytes = code_bytes(task.storage, task.rows, task.columns);
    const auto left = std::make_shared<Countdown>(Uploader::chunks(bytes));
    downloader_->download(flight->codes.data(), bytes, files_.output(), task.weight_offset, task.name, [this, flight, left] {
      if (!left->count_down()) return;
      flight->codes = {};
      write_scales(flight->task, flight->scales, files_.output());
      flight->result.write_seconds = flight->watch.seconds();
      observer_.on_event(flight->result);
    });
  }

  const Job& job_;
  Observer& observer_;
  const std::stop_token outer_stop_;
  const int ordinal_;
  const std::string device_;
  const JobFiles files_;
  std::stop_source inner_stop_;
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
  std::vector<const CopyTask*> copies_;
  std::vector<Planned> gpu_;
  std::vector<PlannedPropagation> propagations_;
  Job cpu_job_;
  std::optional<DeviceArena> arena_;
  std::atomic<std::size_t> next_ = 0;
  BusyClock busy_;
  Uploader* uploader_ = nullptr;
  Downloader* downloader_ = nullptr;
};

class CudaBackend : public Backend {
 public:
  explicit CudaBackend(int ordinal) : ordinal_(ordinal) {}

  JobStatistics run(const Job& job, Observer& observer, std::stop_token stop) override {
    return CudaJob(job, observer, std::move(stop), ordinal_).run();
  }

 private:
  int ordinal_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int ordinal) { return std::make_unique<CudaBackend>(ordinal); }

}  // namespace fp8
