#include "quantize_on_device.h"

#include <algorithm>
#include <bit>

#include "bump.h"
#include "check.h"
#include "column_statistics.h"
#include "device_arena.h"
#include "encode.h"
#include "fp8/storage.h"
#include "stored_codes.h"
#include "target_scales.h"

namespace fp8::cuda {

namespace {

struct Shape {
  explicit Shape(const QuantizeTask& task)
      : rows(static_cast<std::int64_t>(task.rows)), columns(static_cast<std::int64_t>(task.columns)), count(rows * columns) {}
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t count;
};

struct Statistics {
  Statistics(Bump& bump, const Shape& shape)
      : squares(bump.take<double>(shape.columns)),
        summary(bump.take<MatrixSummary>(1)),
        partial(bump.take<double>(column_statistics_scratch(shape.rows, shape.columns))) {}
  double* squares;
  MatrixSummary* summary;
  double* partial;
};

struct NearestBuffers {
  NearestBuffers(Bump& bump, const Shape& shape) : scratch(bump.take<double>(encode_scratch(shape.count))), sums(bump.take<CodeSums>(1)) {}
  double* scratch;
  CodeSums* sums;
};

struct Work {
  Work(Bump& bump, const QuantizeTask& task, const Shape& shape)
      : statistics(bump, shape),
        nearest(bump, shape),
        scales(bump, task.storage, shape.rows, shape.columns),
        codes(stores_bytes(task.storage) ? nullptr : bump.take<std::uint8_t>(shape.count)) {}
  Statistics statistics;
  NearestBuffers nearest;
  TargetScales scales;
  std::uint8_t* codes;  // one byte each, where they are stored otherwise
};

std::int64_t fixed_work(const QuantizeTask& task, const Shape& shape) {
  Bump bump;
  const Work work(bump, task, shape);
  return bump.used();
}

Sources sources_of(const QuantizeTask& task) { return {&task.inputs, task.outputs ? &*task.outputs : nullptr}; }

template <typename T>
T fetch(const T* value, const Execution& execution) {
  check(cudaMemcpyAsync(execution.mailbox, value, sizeof(T), cudaMemcpyDeviceToHost, execution.stream), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(execution.stream), "quantizing");
  return *static_cast<const T*>(execution.mailbox);
}

}  // namespace

std::optional<DeviceNeeds> needs_within(const QuantizeTask& task, std::int64_t capacity) {
  const Shape shape(task);
  DeviceNeeds needs;
  needs.source = static_cast<std::int64_t>(task.source.length);
  needs.codes = static_cast<std::int64_t>(code_bytes(task.storage, task.rows, task.columns));
  needs.work = fixed_work(task, shape);
  // What is left for all work is handed out whole granules at a time.
  const std::int64_t for_work =
      DeviceArena::rounded_down(capacity - DeviceArena::rounded(needs.source) - DeviceArena::rounded(needs.codes));
  const std::int64_t left = for_work - needs.work;
  if (left < 0) return std::nullopt;
  if (task.rounding == Rounding::learned) {
    needs.row_block = row_block_that_fits(task.dtype, shape.rows, shape.columns, task.top_k, left, sources_of(task));
    if (needs.row_block == 0) return std::nullopt;
    needs.work += learned_rounding_bytes(task.dtype, shape.rows, shape.columns, task.top_k, needs.row_block, sources_of(task));
  }
  return needs;
}

DeviceResult quantize_on_device(const QuantizeTask& task, const DeviceNeeds& needs, const void* source, std::uint8_t* codes, void* work,
                                const Execution& execution) {
  const Shape shape(task);
  const cudaStream_t stream = execution.stream;
  Bump bump(work);
  Work buffers(bump, task, shape);
  const Statistics& statistics = buffers.statistics;
  column_statistics(source, task.dtype, shape.rows, shape.columns, statistics.partial, statistics.squares, statistics.summary, stream);
  const MatrixSummary summary = fetch(statistics.summary, execution);
  DeviceResult result;
  result.non_finite = summary.non_finite;
  if (summary.non_finite != 0) return result;
  TargetScales& scales = buffers.scales;
  scales.measure(source, task.dtype, std::bit_cast<float>(summary.amax_bits), stream);
  std::uint8_t* one_by_one = buffers.codes == nullptr ? codes : buffers.codes;

  // An all-zero matrix has nothing to learn.
  if (task.rounding == Rounding::nearest || summary.amax_bits == 0) {
    encode_nearest({source, task.dtype, shape.rows, shape.columns, scales.unit(), scales.nearest_target()}, one_by_one,
                   buffers.nearest.scratch, buffers.nearest.sums, stream);
    result.learned.sums = fetch(buffers.nearest.sums, execution);
    result.learned.kept_nearest = task.rounding != Rounding::nearest;
    result.scales = scales.nearest();
  } else {
    void* memory = static_cast<std::byte*>(work) + bump.used();
    result.learned =
        round_learned({source, task.dtype, shape.rows, shape.columns}, statistics.squares, summary, scales,
                      {task.num_iter, task.top_k, task.seed, needs.row_block, sources_of(task), task.name}, one_by_one, memory, execution);
    result.scales = result.learned.kept_nearest ? scales.nearest() : scales.chosen();
  }
  result.unit = scales.unit();
  if (buffers.codes != nullptr) {
    store_codes(one_by_one, shape.rows, shape.columns, task.storage, codes, stream);
    check(cudaStreamSynchronize(stream), "storing codes");
  }
  return result;
}

}  // namespace fp8::cuda
