#include "cpu/dequantize_task.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/half_float.h"
#include "core/stopwatch.h"
#include "cpu/buffer.h"
#include "cpu/code_reader.h"
#include "cpu/value_reader.h"

namespace fp8 {

namespace {

constexpr std::size_t pass_elements = std::size_t{1} << 18;

// Returns how many finite values became infinite.
std::uint64_t encode(std::span<const float> values, SourceDtype dtype, std::byte* out) {
  if (dtype == SourceDtype::f32) {
    std::memcpy(out, values.data(), values.size_bytes());
    return 0;
  }
  std::uint64_t lost = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t bits = dtype == SourceDtype::bf16 ? encode_bf16(values[i]) : encode_f16(values[i]);
    std::memcpy(out + i * sizeof(bits), &bits, sizeof(bits));
    const float stored = dtype == SourceDtype::bf16 ? decode_bf16(bits) : decode_f16(bits);
    lost += std::isinf(stored) && !std::isinf(values[i]) ? 1 : 0;
  }
  return lost;
}

}  // namespace

void run_dequantize_task(const DequantizeTask& task, const JobFiles& files, Observer& observer, Context& context) {
  const Stopwatch watch;
  const auto count = static_cast<std::size_t>(element_count(task.values));
  const std::shared_ptr<const CodeReader> codes = code_reader_of(task.values, files, task.name);
  std::vector<std::uint64_t> lost(block_count(count, pass_elements));
  context.progress.begin_phase(1, static_cast<double>(lost.size()));
  context.pool.parallel_for(lost.size(), context.stop, [&](std::size_t index) {
    const Block block = block_at(index, pass_elements, count);
    Buffer<float> values(block.size());
    if (codes) {
      codes->read(block.begin, block.size(), values.data(), nullptr);
    } else {
      ValueReader reader(task.values, files, task.name, block.size());
      const std::span<const double> read = reader.read(block.begin, block.size());
      for (std::size_t i = 0; i < read.size(); ++i) values[i] = static_cast<float>(read[i]);
    }
    Buffer<std::byte> bytes(block.size() * byte_size(task.dtype));
    lost[index] = encode(values.span(), task.dtype, bytes.data());
    files.output().write(task.output_offset + block.begin * byte_size(task.dtype), bytes.span(), task.name);
    context.progress.advance();
  });
  std::uint64_t total = 0;
  for (const std::uint64_t part : lost) total += part;
  if (total != 0) {
    const char* dtype = task.dtype == SourceDtype::f16 ? "F16" : "BF16";
    observer.on_event(
        Note{task.id, std::to_string(total) + " of its values are beyond " + dtype + " and became infinite: choose a wider dtype."});
  }
  observer.on_event(Copied{task.id, watch.seconds()});
}

std::uint64_t dequantize_task_bytes(const DequantizeTask& task, std::size_t threads) {
  const std::uint64_t kept = task.values.codes ? code_reader_bytes(*task.values.codes) : 0;
  return kept + threads * (ValueReader::bytes(pass_elements) + pass_elements * (sizeof(float) + byte_size(task.dtype)));
}

}  // namespace fp8
