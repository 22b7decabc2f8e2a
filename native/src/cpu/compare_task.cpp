#include "cpu/compare_task.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/half_float.h"
#include "cpu/buffer.h"
#include "fp8/fp8.h"

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

Compared compare_block(const std::byte* codes, const std::byte* source, SourceDtype dtype, std::size_t count,
                       const std::array<float, 256>& values) {
  Compared part;
  part.equal = true;
  for (std::size_t i = 0; i < count; ++i) {
    const float ours = values[std::to_integer<std::size_t>(codes[i])];
    const float theirs = decode_source(source, i, dtype);
    if (!std::isfinite(ours) || !std::isfinite(theirs)) {
      ++part.non_finite_count;
      part.equal = false;
      continue;
    }
    const double difference = static_cast<double>(ours) - static_cast<double>(theirs);
    part.equal = part.equal && difference == 0;
    part.squared_error += difference * difference;
    part.squared_source += static_cast<double>(theirs) * static_cast<double>(theirs);
    part.max_absolute_error = std::max(part.max_absolute_error, std::fabs(difference));
  }
  return part;
}

Compared compare_values(const CompareTask& task, float scale, const JobFiles& files, Context& context) {
  std::array<float, 256> values;
  for (unsigned code = 0; code < 256; ++code) values[code] = decode_e4m3(static_cast<std::uint8_t>(code)) * scale;
  const auto count = static_cast<std::size_t>(task.rows * task.columns);
  const std::size_t element = byte_size(task.dtype);
  std::vector<Compared> parts(block_count(count, pass_elements));
  context.progress.begin_phase(1, static_cast<double>(parts.size()));
  context.pool.parallel_for(parts.size(), context.stop, [&](std::size_t index) {
    const Block block = block_at(index, pass_elements, count);
    const Buffer<std::byte> codes = read_part(files, task.converted, block.begin, block.size(), task.name);
    const Buffer<std::byte> source = read_part(files, task.source, block.begin * element, block.size() * element, task.name);
    parts[index] = compare_block(codes.data(), source.data(), task.dtype, block.size(), values);
    context.progress.advance();
  });
  Compared total;
  total.equal = true;
  for (const Compared& part : parts) {
    total.equal = total.equal && part.equal;
    total.squared_error += part.squared_error;
    total.squared_source += part.squared_source;
    total.max_absolute_error = std::max(total.max_absolute_error, part.max_absolute_error);
    total.non_finite_count += part.non_finite_count;
  }
  return total;
}

}  // namespace

void run_compare_task(const CompareTask& task, const JobFiles& files, Observer& observer, Context& context) {
  Compared result = task.scale ? compare_values(task, *task.scale, files, context) : compare_bytes(task, files, context);
  result.id = task.id;
  observer.on_event(result);
}

std::uint64_t compare_task_bytes(const CompareTask& task, std::size_t threads) {
  if (!task.scale) return threads * 2 * std::min<std::uint64_t>(io_chunk_bytes, task.source.length);
  return std::min<std::uint64_t>(threads * pass_elements, task.rows * task.columns) * (byte_size(task.dtype) + 1);
}

}  // namespace fp8
