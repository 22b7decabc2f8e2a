#include "quantized_tensor.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

namespace fp8::cuda {

void describe(const QuantizeTask& task, const DeviceResult& device, Quantized& result) {
  const LearnedResult& learned = device.learned;
  const double squared_unit = static_cast<double>(device.unit) * static_cast<double>(device.unit);
  result.id = task.id;
  if (task.storage.block) {
    const auto [smallest, largest] = std::minmax_element(device.scales.values.begin(), device.scales.values.end());
    result.smallest_scale = *smallest;
    result.largest_scale = *largest;
  } else {
    result.scale = device.scales.values.front();
  }
  result.relative_error = learned.sums.squared_value > 0 ? std::sqrt(learned.sums.squared_error / learned.sums.squared_value) : 0;
  result.squared_source = learned.sums.squared_value * squared_unit;
  if (task.rounding == Rounding::learned) {
    result.objective = learned.objective * squared_unit;
    result.objective_nearest = learned.objective_nearest * squared_unit;
  }
  result.sweeps = learned.sweeps;
  result.kept_nearest = learned.kept_nearest;
  result.changed_share = static_cast<double>(learned.sums.changed) / static_cast<double>(task.rows * task.columns);
}

void write_scales(const QuantizeTask& task, const ScaleTable& scales, const File& output) {
  const std::vector<std::byte> stored = stored_scales(task.storage, scales);
  for (const std::uint64_t offset : task.scale_offsets) output.write(offset, stored, task.name);
  const float tensor_scale = stored_tensor_scale(task.storage, scales);
  for (const std::uint64_t offset : task.tensor_scale_offsets) {
    output.write(offset, std::as_bytes(std::span(&tensor_scale, 1)), task.name);
  }
}

}  // namespace fp8::cuda
