#include "quantize_on_device.h"

#include <algorithm>
#include <bit>

#include "bump.h"
#include "check.h"
#include "column_statistics.h"
#include "device_arena.h"
#include "encode.h"
#include "fp8/fp8.h"

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

std::int64_t fixed_work(const Shape& shape) {
  Bump bump;
  const Statistics statistics(bump, shape);
  const NearestBuffers nearest(bump, shape);
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
  needs.codes = shape.count;
  needs.work = fixed_work(shape);
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
  Bump bump(work);
  const Statistics statistics(bump, shape);
  const NearestBuffers nearest(bump, shape);
  column_statistics(source, task.dtype, shape.rows, shape.columns, statistics.partial, statistics.squares, statistics.summary,
                    execution.stream);
  const MatrixSummary summary = fetch(statistics.summary, execution);
  DeviceResult result;
  result.non_finite = summary.non_finite;
  if (summary.non_finite != 0) return result;
  result.scale = e4m3_scale(std::bit_cast<float>(summary.amax_bits));

  // An all-zero matrix has nothing to learn.
  if (task.rounding == Rounding::nearest || summary.amax_bits == 0) {
    encode_nearest(source, task.dtype, shape.count, result.scale, codes, nearest.scratch, nearest.sums, execution.stream);
    result.learned.sums = fetch(nearest.sums, execution);
    result.learned.kept_nearest = task.rounding != Rounding::nearest;
    return result;
  }
  void* memory = static_cast<std::byte*>(work) + bump.used();
  result.learned =
      round_learned({source, task.dtype, shape.rows, shape.columns}, statistics.squares, summary, result.scale,
                    {task.num_iter, task.top_k, task.seed, needs.row_block, sources_of(task), task.name}, codes, memory, execution);
  return result;
}

}  // namespace fp8::cuda
