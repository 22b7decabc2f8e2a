#include "cpu/compare_task.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "core/grid.h"
#include "core/half_float.h"
#include "cpu/buffer.h"
#include "cpu/code_reader.h"
#include "cpu/kernels.h"
#include "fp8/fp8.h"
#include "fp8/storage.h"

namespace fp8 {

namespace {

constexpr std::size_t pass_elements = std::size_t{1} << 20;

Buffer<std::byte> read_part(const JobFiles& files, const FileRange& range, std::uint64_t begin, std::size_t length,
                            const std::string& tensor) {
  Buffer<std::byte> bytes(length);
  files.source(range).read(range.offset + begin, bytes.span(), tensor);
  return bytes;
}

Compared compare_bytes(const CompareTask& task, const JobFiles& files, Context& context) {
  Compared result;
  if (task.converted.length != task.source.length) return result;
  const auto length = static_cast<std::size_t>(task.source.length);
  std::vector<char> same(block_count(length, io_chunk_bytes));
  context.progress.begin_phase(1, static_cast<double>(same.size()));
  context.pool.parallel_for(same.size(), context.stop, [&](std::size_t index) {
    const Block block = block_at(index, io_chunk_bytes, length);
    const Buffer<std::byte> ours = read_part(files, task.converted, block.begin, block.size(), task.name);
    const Buffer<std::byte> theirs = read_part(files, task.source, block.begin, block.size(), task.name);
    same[index] = std::memcmp(ours.data(), theirs.data(), block.size()) == 0;
    context.progress.advance();
  });
  result.equal = std::all_of(same.begin(), same.end(), [](char value) { return value != 0; });
  return result;
}

// The smallest error that codes with these scales could have, Σ(nearest − source)². Both hold whole quanta.
double nearest_error(std::span<const float> source, std::span<float> scales, std::size_t count, const Grid& grid) {
  std::fill(scales.begin() + static_cast<std::ptrdiff_t>(count), scales.end(), 1.0F);
  Buffer<float> errors(source.size());
  kernels().nearest_error(source.data(), source.size(), grid, scales.data(), errors.data());
  double sum = 0;
  for (const float error : errors.span().first(count)) {
    if (std::isfinite(error)) sum += static_cast<double>(error) * static_cast<double>(error);
  }
  return sum;
}

// `scales` are those of the values.
Compared compare_block(const float* values, const float* scales, const float* source, std::size_t count, double half_step) {
  Compared part;
  part.equal = true;
  double largest = 0;
  double converted = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float ours = values[i];
    const float theirs = source[i];
    if (!std::isfinite(ours) || !std::isfinite(theirs)) {
      ++part.non_finite_count;
      part.equal = false;
      continue;
    }
    converted += static_cast<double>(ours) * static_cast<double>(ours);
    const double difference = static_cast<double>(ours) - static_cast<double>(theirs);
    if (difference == 0) {
      part.squared_source += static_cast<double>(theirs) * static_cast<double>(theirs);
      continue;
    }
    part.equal = false;
    part.squared_error += difference * difference;
    part.squared_source += static_cast<double>(theirs) * static_cast<double>(theirs);
    part.max_absolute_error = std::max(part.max_absolute_error, std::fabs(difference));
    largest = std::max(largest, std::fabs(difference) / (half_step * static_cast<double>(std::fabs(scales[i]))));
  }
  part.squared_converted = converted;
  part.largest_step_error = largest;
  return part;
}

// Codes that all have one scale, from the file to values.
class OneScale {
 public:
  OneScale(const CompareTask& task, float scale, const JobFiles& files) : task_(task), files_(files), scale_(scale) {
    for (unsigned code = 0; code < 256; ++code) values_[code] = decode_e4m3(static_cast<std::uint8_t>(code)) * scale;
  }
  void read(std::uint64_t begin, std::size_t count, float* values, float* scales) const {
    const Buffer<std::byte> codes = read_part(files_, task_.converted, begin, count, task_.name);
    for (std::size_t i = 0; i < count; ++i) values[i] = values_[std::to_integer<std::size_t>(codes[i])];
    std::fill_n(scales, count, scale_);
  }

 private:
  const CompareTask& task_;
  const JobFiles& files_;
  const float scale_;
  std::array<float, 256> values_;
};

// The source's values, of numbers or of codes.
class SourceValues {
 public:
  SourceValues(const CompareTask& task, const JobFiles& files) : task_(task), files_(files) {
    if (task.source_codes) codes_.emplace(task.source, *task.source_codes, files, task.name);
  }
  void read(std::uint64_t begin, std::size_t count, float* values) const {
    if (codes_) return codes_->read(begin, count, values, nullptr);
    const std::size_t element = byte_size(task_.dtype);
    const Buffer<std::byte> source = read_part(files_, task_.source, begin * element, count * element, task_.name);
    for (std::size_t i = 0; i < count; ++i) values[i] = decode_source(source.data(), i, task_.dtype);
  }

 private:
  const CompareTask& task_;
  const JobFiles& files_;
  std::optional<CodeReader> codes_;
};

template <typename Codes>
Compared compare_values(const CompareTask& task, const Codes& codes, CodeGrid grid, const JobFiles& files, Context& context) {
  const auto count = static_cast<std::size_t>(task.rows * task.columns);
  const SourceValues source(task, files);
  const Grid values_of_codes = grid_of(grid);
  const double half_step = static_cast<double>(widest_step(values_of_codes)) / 2;
  std::vector<Compared> parts(block_count(count, pass_elements));
  context.progress.begin_phase(1, static_cast<double>(parts.size()));
  context.pool.parallel_for(parts.size(), context.stop, [&](std::size_t index) {
    const Block block = block_at(index, pass_elements, count);
    Buffer<float> values(block.size());
    const std::size_t quanta = (block.size() + row_quantum - 1) / row_quantum * row_quantum;
    Buffer<float> scales(quanta);
    Buffer<float> theirs(quanta);
    codes.read(block.begin, block.size(), values.data(), scales.data());
    source.read(block.begin, block.size(), theirs.data());
    std::fill(theirs.data() + block.size(), theirs.data() + quanta, 0.0F);
    parts[index] = compare_block(values.data(), scales.data(), theirs.data(), block.size(), half_step);
    parts[index].squared_nearest = nearest_error(theirs.span(), scales.span(), block.size(), values_of_codes);
    context.progress.advance();
  });
  Compared total;
  total.equal = true;
  double largest = 0;
  for (const Compared& part : parts) {
    total.equal = total.equal && part.equal;
    total.squared_error += part.squared_error;
    total.squared_source += part.squared_source;
    total.squared_converted = total.squared_converted.value_or(0) + part.squared_converted.value_or(0);
    total.squared_nearest = total.squared_nearest.value_or(0) + part.squared_nearest.value_or(0);
    total.max_absolute_error = std::max(total.max_absolute_error, part.max_absolute_error);
    total.non_finite_count += part.non_finite_count;
    largest = std::max(largest, part.largest_step_error.value_or(0));
  }
  total.largest_step_error = largest;
  return total;
}

Compared compare(const CompareTask& task, const JobFiles& files, Context& context) {
  if (task.codes) {
    return compare_values(task, CodeReader(task.converted, *task.codes, files, task.name), task.codes->storage.grid, files, context);
  }
  if (task.scale) return compare_values(task, OneScale(task, *task.scale, files), CodeGrid::e4m3, files, context);
  return compare_bytes(task, files, context);
}

}  // namespace

void run_compare_task(const CompareTask& task, const JobFiles& files, Observer& observer, Context& context) {
  Compared result = compare(task, files, context);
  result.id = task.id;
  observer.on_event(result);
}

std::uint64_t compare_task_bytes(const CompareTask& task, std::size_t threads) {
  if (!task.scale && !task.codes) return threads * 2 * std::min<std::uint64_t>(io_chunk_bytes, task.source.length);
  const std::uint64_t scales = task.codes ? scale_shape(task.codes->storage, task.rows, task.columns).count() * 2 * sizeof(float) : 0;
  return scales + (task.source_codes ? code_reader_bytes(*task.source_codes) : 0) +
         std::min<std::uint64_t>(threads * pass_elements, task.rows * task.columns) * (byte_size(task.dtype) + 1 + 4 * sizeof(float));
}

}  // namespace fp8
