#include "cpu/nearest_rounding.h"

#include <algorithm>
#include <vector>

#include "cpu/block_pass.h"
#include "fp8/storage.h"

namespace fp8 {

namespace {

// A tensor up to this size is read once and held; a larger one is read again for the second pass.
constexpr std::uint64_t held_bytes = std::uint64_t{128} << 20;

// One scale, and codes that are stored as they come.
bool is_one_block_of_bytes(const CodeStorage& storage) {
  return !storage.block && storage.grid != CodeGrid::e2m1 && storage.stored_rows == 0 && storage.stored_columns == 0;
}

// Two passes over the tensor, block by block on all threads: the first reads and scans, the second rounds and writes, so that a block is
// worked on while it is in a cache. What is not held is read again.
void round_elements(QuantizeRun& run) {
  const std::size_t blocks = block_count(run.count, pass_elements);
  const bool is_held = source_bytes(run.task) <= held_bytes;
  Buffer<std::byte> held(is_held ? static_cast<std::size_t>(source_bytes(run.task)) : 0);
  std::vector<Scan> scans(blocks);
  std::vector<RoundingError> errors(blocks);
  std::vector<TaskSeconds> seconds(blocks);
  const auto bytes_of = [&](const Block& block, Buffer<std::byte>& own) {
    if (is_held) return held.span().subspan(block.begin * run.element_bytes(), block.size() * run.element_bytes());
    own = Buffer<std::byte>(block.size() * run.element_bytes());
    return own.span();
  };
  const auto read = [&](const Block& block, std::span<std::byte> bytes) { run.source.read(block.begin, bytes); };
  run.context.progress.begin_phase(0.4, static_cast<double>(blocks));
  run.context.pool.parallel_for(blocks, run.context.stop, [&](std::size_t index) {
    Stopwatch watch;
    const Block block = block_at(index, pass_elements, run.count);
    Buffer<std::byte> own;
    const std::span<std::byte> bytes = bytes_of(block, own);
    read(block, bytes);
    seconds[index].read = watch.restart();
    scans[index] = kernels().scan(bytes.data(), run.task.dtype, block.size());
    seconds[index].compute = watch.restart();
    run.context.progress.advance();
  });
  const Scan scan = merged(scans);
  const ScaleTable table = run.make_table(scan, std::span(&scan.largest_magnitude, 1));
  if (run.non_finite != 0) return run.report_non_finite();
  run.context.progress.begin_phase(1.0, static_cast<double>(blocks));
  run.context.pool.parallel_for(blocks, run.context.stop, [&](std::size_t index) {
    Stopwatch watch;
    const Block block = block_at(index, pass_elements, run.count);
    Buffer<std::byte> own;
    const std::span<std::byte> bytes = bytes_of(block, own);
    if (!is_held) read(block, bytes);
    seconds[index].read += watch.restart();
    Buffer<std::uint8_t> codes(block.size());
    errors[index] = kernels().quantize(bytes.data(), run.task.dtype, block.size(), run.unit, run.task.storage.grid, codes.data());
    seconds[index].compute += watch.restart();
    run.output.write(run.task.weight_offset + block.begin, std::as_bytes(codes.span()), run.task.name);
    seconds[index].write = watch.restart();
    run.context.progress.advance();
  });
  for (const TaskSeconds& part : seconds) run.seconds += part;
  run.set_error(errors);
  run.code_file.write_scales(table);
  run.report(table);
}

// The same for many scales and for codes that are not stored as they come: bands of whole rows.
void round_rows(QuantizeRun& run) {
  const bool is_held = source_bytes(run.task) <= held_bytes;
  Buffer<std::byte> held(is_held ? static_cast<std::size_t>(source_bytes(run.task)) : 0);
  BlockScans scans(run);
  std::vector<RoundingError> errors(run.bands());
  std::vector<TaskSeconds> seconds(run.bands());
  const auto read = [&](Block rows, Buffer<std::byte>& own) {
    std::span<std::byte> bytes;
    if (is_held) {
      bytes = held.span().subspan(rows.begin * run.row_bytes(), rows.size() * run.row_bytes());
    } else {
      own = Buffer<std::byte>(rows.size() * run.row_bytes());
      bytes = own.span();
    }
    run.source.read(rows.begin * run.columns(), bytes);
    return bytes;
  };
  run.context.progress.begin_phase(0.4, static_cast<double>(run.bands()));
  run.context.pool.parallel_for(run.bands(), run.context.stop, [&](std::size_t index) {
    Stopwatch watch;
    Buffer<std::byte> own;
    const std::span<const std::byte> bytes = read(run.band(index), own);
    seconds[index].read = watch.restart();
    scans.add(index, bytes.data());
    seconds[index].compute = watch.restart();
    run.context.progress.advance();
  });
  const ScaleTable table = scans.table();
  if (run.non_finite != 0) return run.report_non_finite();
  run.context.progress.begin_phase(1.0, static_cast<double>(run.bands()));
  run.context.pool.parallel_for(run.bands(), run.context.stop, [&](std::size_t index) {
    Stopwatch watch;
    const Block rows = run.band(index);
    Buffer<std::byte> own;
    const std::byte* bytes = is_held ? held.data() + rows.begin * run.row_bytes() : read(rows, own).data();
    seconds[index].read += watch.restart();
    Buffer<std::uint8_t> codes(rows.size() * run.columns());
    errors[index] = quantize_rows(bytes, run.task.dtype, rows, run.columns(), run.task.storage.grid, table, codes.data());
    seconds[index].compute += watch.restart();
    run.code_file.write_rows(rows, codes.span());
    seconds[index].write = watch.restart();
    run.context.progress.advance();
  });
  for (const TaskSeconds& part : seconds) run.seconds += part;
  run.set_error(errors);
  run.code_file.write_padding();
  run.code_file.write_scales(table);
  run.report(table);
}

}  // namespace

void round_to_nearest(QuantizeRun& run) {
  if (is_one_block_of_bytes(run.task.storage)) {
    round_elements(run);
  } else {
    round_rows(run);
  }
}

std::uint64_t nearest_rounding_bytes(const QuantizeTask& task, std::size_t threads) {
  const std::uint64_t blocks = threads * pass_elements;
  const std::uint64_t scales = scale_shape(task.storage, task.rows, task.columns).count() * (2 * sizeof(float) + 1);
  return scales + (source_bytes(task) <= held_bytes ? source_bytes(task) + blocks : blocks * (byte_size(task.dtype) + 1));
}

}  // namespace fp8
