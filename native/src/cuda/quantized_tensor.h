// What is told of a tensor that the GPU has rounded, and its scales in the file.
#pragma once

#include "core/file_range.h"
#include "core/scale_table.h"
#include "fp8/job.h"
#include "quantize_on_device.h"

namespace fp8::cuda {

// Fills in everything but the device and the times.
void describe(const QuantizeTask& task, const DeviceResult& device, Quantized& result);

void write_scales(const QuantizeTask& task, const ScaleTable& scales, const File& output);

}  // namespace fp8::cuda
