#include "cpu/correct_bias_task.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/half_float.h"
#include "core/stop.h"
#include "cpu/value_reader.h"
#include "fp8/error.h"

namespace fp8 {

namespace {

// Rows whose weights are read at once hold about this many elements. Each row's sum is its own, so that this changes no result.
constexpr std::size_t block_elements = std::size_t{1} << 16;

std::size_t rows_at_once(std::size_t columns) { return std::max<std::size_t>(1, block_elements / std::max<std::size_t>(1, columns)); }

SourceDtype float_dtype(const CorrectBiasTask& task) {
  switch (task.bias.dtype) {
    case ValueDtype::f32:
      return SourceDtype::f32;
    case ValueDtype::f16:
      return SourceDtype::f16;
    case ValueDtype::bf16:
      return SourceDtype::bf16;
    default:
      throw Error(ErrorCode::internal, "a bias of this dtype cannot be corrected", task.name);
  }
}

std::vector<double> mean_of(const CorrectBiasTask& task, const JobFiles& files, const std::stop_token& stop) {
  const auto columns = static_cast<std::size_t>(task.columns);
  const std::uint64_t count = element_count(task.inputs) / columns;
  std::vector<double> mean(columns, 0.0);
  ValueReader reader(task.inputs, files, task.name, columns);
  for (std::uint64_t s = 0; s < count; ++s) {
    if (s % 256 == 0) throw_if_stopped(stop);
    const std::span<const double> vector = reader.read(s * columns, columns);
    for (std::size_t c = 0; c < columns; ++c) mean[c] += vector[c] / static_cast<double>(count);
  }
  if (!std::all_of(mean.begin(), mean.end(), [](double value) { return std::isfinite(value); })) {
    throw Error(ErrorCode::io, "The mean input for tensor \"" + task.name + "\" holds NaN or infinity.", task.name);
  }
  return mean;
}

}  // namespace

void run_correct_bias_task(const CorrectBiasTask& task, const JobFiles& files, Observer& observer, Context& context) {
  const SourceDtype dtype = float_dtype(task);
  const auto rows = static_cast<std::size_t>(task.rows);
  const auto columns = static_cast<std::size_t>(task.columns);
  const std::vector<double> mean = mean_of(task, files, context.stop);
  std::vector<double> correction(rows, 0.0);
  const std::size_t at_once = rows_at_once(columns);
  const std::size_t blocks = block_count(rows, at_once);
  const auto weight_reader = code_reader_of(task.weights, files, task.name);
  const auto code_reader = code_reader_of(task.codes, files, task.name);
  context.progress.begin_phase(1, static_cast<double>(blocks));
  context.pool.parallel_for(blocks, context.stop, [&](std::size_t index) {
    const Block block = block_at(index, at_once, rows);
    ValueReader weights(task.weights, files, task.name, block.size() * columns, weight_reader);
    ValueReader codes(task.codes, files, task.name, block.size() * columns, code_reader);
    const std::span<const double> w = weights.read(std::uint64_t{block.begin} * columns, block.size() * columns);
    const std::span<const double> q = codes.read(std::uint64_t{block.begin} * columns, block.size() * columns);
    for (std::size_t r = 0; r < block.size(); ++r) {
      double sum = 0;
      for (std::size_t c = 0; c < columns; ++c) sum += (w[r * columns + c] - q[r * columns + c]) * mean[c];
      correction[block.begin + r] = sum;
    }
    context.progress.advance();
  });
  ValueReader reader(task.bias, files, task.name, rows);
  const std::span<const double> bias = reader.read(0, rows);
  std::vector<std::byte> corrected(rows * byte_size(dtype));
  Compared change;
  change.id = task.id;
  change.equal = true;
  for (std::size_t r = 0; r < rows; ++r) {
    encode_source(static_cast<float>(bias[r] + correction[r]), dtype, corrected.data(), r);
    const double difference = static_cast<double>(decode_source(corrected.data(), r, dtype)) - bias[r];
    if (!std::isfinite(difference)) {
      // A bias that is not finite, or that would not stay so, stays as it is.
      encode_source(static_cast<float>(bias[r]), dtype, corrected.data(), r);
      ++change.non_finite_count;
      continue;
    }
    change.equal = change.equal && difference == 0;
    change.squared_error += difference * difference;
    change.squared_source += bias[r] * bias[r];
    change.max_absolute_error = std::max(change.max_absolute_error, std::fabs(difference));
  }
  files.output().write(task.output_offset, corrected, task.name);
  observer.on_event(change);
}

std::uint64_t correct_bias_task_bytes(const CorrectBiasTask& task, std::size_t threads) {
  const auto columns = static_cast<std::size_t>(task.columns);
  const std::size_t block = rows_at_once(columns) * columns;
  return threads * 2 * ValueReader::bytes(block) + (task.rows + task.columns) * 2 * sizeof(double);
}

}  // namespace fp8
