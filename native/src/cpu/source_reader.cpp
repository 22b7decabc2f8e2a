#include "cpu/source_reader.h"

#include <algorithm>

#include "core/stop.h"

namespace fp8 {

namespace {

constexpr std::size_t floats_at_once = std::size_t{1} << 20;

}  // namespace

SourceReader::SourceReader(const QuantizeTask& task, const JobFiles& files, const std::stop_token& stop)
    : task_(task), file_(files.source(task.source)), stop_(stop) {
  if (task.codes) codes_.emplace(task.source, *task.codes, files, task.name);
}

void SourceReader::read(std::uint64_t begin, std::span<std::byte> elements) const {
  if (!codes_) return read_range(file_, task_.source.offset + begin * byte_size(task_.dtype), elements, task_.name, stop_);
  // The caller's buffers are aligned for vectors, and parts of them begin at whole elements.
  const std::span<float> values(reinterpret_cast<float*>(elements.data()), elements.size() / sizeof(float));
  for (std::size_t done = 0; done < values.size(); done += floats_at_once) {
    throw_if_stopped(stop_);
    codes_->read(begin + done, std::min(floats_at_once, values.size() - done), values.data() + done, nullptr);
  }
}

}  // namespace fp8
