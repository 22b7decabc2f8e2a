#include "cpu/code_file.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/buffer.h"
#include "fp8/storage.h"

namespace fp8 {

namespace {

// `row` as it is stored: two codes of e2m1 in a byte.
void store_row(const CodeStorage& storage, const std::uint8_t* row, std::size_t columns, std::size_t bytes, std::uint8_t* out) {
  if (storage.grid != CodeGrid::e2m1) {
    std::memcpy(out, row, columns);
    std::memset(out + columns, 0, bytes - columns);
    return;
  }
  const std::size_t pairs = columns / 2;
  const int even_shift = storage.nibbles == Nibbles::even_high ? 4 : 0;
  const int odd_shift = 4 - even_shift;
  for (std::size_t i = 0; i < pairs; ++i) out[i] = static_cast<std::uint8_t>(row[2 * i] << even_shift | row[2 * i + 1] << odd_shift);
  std::memset(out + pairs, 0, bytes - pairs);
  if (columns % 2 != 0) out[pairs] = static_cast<std::uint8_t>(row[columns - 1] << even_shift);
}

}  // namespace

void CodeFile::write_rows(Block rows, std::span<const std::uint8_t> codes) const {
  const auto columns = static_cast<std::size_t>(task_.columns);
  const auto row_bytes = static_cast<std::size_t>(code_row_bytes(task_.storage, task_.columns));
  const std::uint64_t begin = task_.weight_offset + std::uint64_t{rows.begin} * row_bytes;
  if (task_.storage.grid != CodeGrid::e2m1 && row_bytes == columns) {
    write_range(output_, begin, std::as_bytes(codes), task_.name, stop_);
    return;
  }
  const std::size_t at_once = std::max<std::size_t>(1, io_chunk_bytes / std::max<std::size_t>(row_bytes, 1));
  Buffer<std::uint8_t> stored(std::min(at_once, rows.size()) * row_bytes);
  for (std::size_t first = 0; first < rows.size(); first += at_once) {
    const std::size_t count = std::min(at_once, rows.size() - first);
    for (std::size_t r = 0; r < count; ++r) {
      store_row(task_.storage, codes.data() + (first + r) * columns, columns, row_bytes, stored.data() + r * row_bytes);
    }
    write_range(output_, begin + std::uint64_t{first} * row_bytes, std::as_bytes(stored.span().first(count * row_bytes)), task_.name,
                stop_);
  }
}

void CodeFile::write_padding() const {
  const std::uint64_t row_bytes = code_row_bytes(task_.storage, task_.columns);
  const std::uint64_t end = stored_rows(task_.storage, task_.rows);
  const std::vector<std::byte> zeros(static_cast<std::size_t>((end - task_.rows) * row_bytes));
  if (!zeros.empty()) write_range(output_, task_.weight_offset + task_.rows * row_bytes, zeros, task_.name, stop_);
}

void CodeFile::write_scales(const ScaleTable& table) const {
  const std::vector<std::byte> stored = stored_scales(task_.storage, table);
  for (const std::uint64_t offset : task_.scale_offsets) write_range(output_, offset, stored, task_.name, stop_);
  const float tensor_scale = stored_tensor_scale(task_.storage, table);
  for (const std::uint64_t offset : task_.tensor_scale_offsets) {
    output_.write(offset, std::as_bytes(std::span(&tensor_scale, 1)), task_.name);
  }
}

}  // namespace fp8
