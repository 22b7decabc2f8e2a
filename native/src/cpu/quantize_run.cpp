#include "cpu/quantize_run.h"

#include <algorithm>
#include <cmath>

#include "cpu/block_pass.h"
#include "fp8/storage.h"

namespace fp8 {

Scan merged(std::span<const Scan> parts) {
  Scan total;
  for (const Scan& part : parts) {
    total.largest_magnitude = std::max(total.largest_magnitude, part.largest_magnitude);
    total.non_finite += part.non_finite;
  }
  return total;
}

QuantizeRun::QuantizeRun(const QuantizeTask& quantize_task, const JobFiles& job_files, Observer& job_observer, Context& job_context)
    : task(quantize_task),
      files(job_files),
      source(quantize_task, job_files, job_context.stop),
      output(job_files.output()),
      observer(job_observer),
      context(job_context),
      count(static_cast<std::size_t>(quantize_task.rows * quantize_task.columns)),
      shape(scale_shape(quantize_task.storage, quantize_task.rows, quantize_task.columns)),
      code_file(quantize_task, output, job_context.stop) {}

std::size_t QuantizeRun::band_rows() const { return std::max<std::size_t>(1, pass_elements / std::max<std::size_t>(1, columns())); }

ScaleTable QuantizeRun::make_table(const Scan& scan, std::span<const float> largest_magnitudes) {
  non_finite = scan.non_finite;
  is_zero = scan.largest_magnitude == 0;
  ScaleTable table = nearest_scales(task.storage, shape, largest_magnitudes);
  if (!task.storage.block) table.unit = table.values.front();
  unit = table.unit;
  return table;
}

void QuantizeRun::set_error(std::span<const RoundingError> parts) {
  RoundingError sum;
  for (const RoundingError& part : parts) {
    sum.squared_error += part.squared_error;
    sum.squared_value += part.squared_value;
  }
  set_error(sum.squared_error, sum.squared_value);
}

void QuantizeRun::set_error(double squared_error, double squared_value) {
  result.relative_error = squared_value > 0 ? std::sqrt(squared_error / squared_value) : 0;
  result.squared_source = squared_value * squared_unit();
}

void QuantizeRun::report(const ScaleTable& table) {
  result.id = task.id;
  if (task.storage.block && !table.values.empty()) {
    const auto [smallest, largest] = std::minmax_element(table.values.begin(), table.values.end());
    result.smallest_scale = *smallest;
    result.largest_scale = *largest;
  } else {
    result.scale = unit;
  }
  result.device = "cpu";
  result.read_seconds = seconds.read;
  result.compute_seconds = seconds.compute;
  result.write_seconds = seconds.write;
  observer.on_event(result);
}

BlockScans::BlockScans(QuantizeRun& run) : run_(run), largest_(static_cast<std::size_t>(run.shape.count()), 0.0F), scans_(run.bands()) {}

void BlockScans::add(std::size_t band, const std::byte* source) {
  const Block rows = run_.band(band);
  const Block blocks = block_rows_of(run_.shape, rows);
  const auto per_row = static_cast<std::size_t>(run_.shape.columns);
  std::vector<float> found(blocks.size() * per_row, 0.0F);
  scans_[band] = scan_rows(source, run_.task.dtype, rows, run_.columns(), run_.shape, found.data());
  // Two bands may share a block.
  const std::lock_guard<std::mutex> lock(mutex_);
  float* largest = largest_.data() + blocks.begin * per_row;
  for (std::size_t i = 0; i < found.size(); ++i) largest[i] = std::max(largest[i], found[i]);
}

}  // namespace fp8
