#include "cpu/code_reader.h"

#include <algorithm>
#include <cstring>

#include "core/half_float.h"
#include "cpu/buffer.h"
#include "fp8/fp8.h"

namespace fp8 {

namespace {

float decode_scale(const std::byte* at, ScaleForm form) {
  switch (form) {
    case ScaleForm::f32:
      return decode_source(at, 0, SourceDtype::f32);
    case ScaleForm::f16:
      return decode_source(at, 0, SourceDtype::f16);
    case ScaleForm::bf16:
      return decode_source(at, 0, SourceDtype::bf16);
    case ScaleForm::e8m0:
      return decode_e8m0(std::to_integer<std::uint8_t>(*at));
    case ScaleForm::e4m3:
      return decode_e4m3(std::to_integer<std::uint8_t>(*at));
  }
  return 0;
}

}  // namespace

std::uint64_t code_reader_bytes(const StoredCodes& stored) {
  return scale_shape(stored.storage, stored.rows, stored.columns).count() * sizeof(float) + stored.scales.length;
}

float decode_code(CodeGrid grid, std::uint8_t code) {
  switch (grid) {
    case CodeGrid::e4m3:
      return decode_e4m3(code);
    case CodeGrid::e5m2:
      return decode_e5m2(code);
    case CodeGrid::int8:
      return decode_int8(code);
    case CodeGrid::e2m1:
      return decode_e2m1(code & 0xFU);
  }
  return 0;
}

CodeReader::CodeReader(const FileRange& codes, const StoredCodes& stored, const JobFiles& files, const std::string& tensor)
    : codes_(codes),
      stored_(stored),
      file_(files.source(codes)),
      tensor_(tensor),
      shape_(scale_shape(stored.storage, stored.rows, stored.columns)) {
  for (unsigned code = 0; code < 256; ++code) table_[code] = decode_code(stored.storage.grid, static_cast<std::uint8_t>(code));
  load_scales(files);
}

void CodeReader::load_scales(const JobFiles& files) {
  const auto tensor_scale = static_cast<float>(stored_.tensor_scale);
  if (stored_.scales.length == 0) {
    scales_.assign(static_cast<std::size_t>(shape_.count()), tensor_scale);
    return;
  }
  std::vector<std::byte> raw(static_cast<std::size_t>(stored_.scales.length));
  files.source(stored_.scales).read(stored_.scales.offset, raw, tensor_);
  const std::uint64_t size = byte_size(stored_.storage.scale_form);
  scales_.resize(static_cast<std::size_t>(shape_.count()));
  for (std::uint64_t row = 0; row < shape_.rows; ++row) {
    for (std::uint64_t column = 0; column < shape_.columns; ++column) {
      const std::byte* at = raw.data() + scale_place(stored_.storage, shape_, row, column) * size;
      scales_[static_cast<std::size_t>(row * shape_.columns + column)] = decode_scale(at, stored_.storage.scale_form) * tensor_scale;
    }
  }
}

void CodeReader::read(std::uint64_t begin, std::size_t count, float* values, float* scales) const {
  if (count == 0) return;
  const std::uint64_t columns = stored_.columns;
  const std::uint64_t row_bytes = code_row_bytes(stored_.storage, columns);
  const std::uint64_t first_row = begin / columns;
  const std::uint64_t end = begin + count;
  const bool is_packed = stored_.storage.grid == CodeGrid::e2m1;
  const std::size_t column_in_high = stored_.storage.nibbles == Nibbles::even_high ? 0 : 1;
  // From the first code to the last, with whatever lies between rows.
  const auto byte_of = [&](std::uint64_t element) {
    const std::uint64_t column = element % columns;
    return element / columns * row_bytes + (is_packed ? column / 2 : column);
  };
  const std::uint64_t from = byte_of(begin);
  Buffer<std::byte> raw(static_cast<std::size_t>(byte_of(end - 1) + 1 - from));
  file_.read(codes_.offset + from, raw.span(), tensor_);
  const auto block_columns_of_scale = static_cast<std::size_t>(shape_.block_columns);
  std::size_t done = 0;
  for (std::uint64_t row = first_row; done < count; ++row) {
    const auto first = static_cast<std::size_t>(row == first_row ? begin % columns : 0);
    const auto last = static_cast<std::size_t>(std::min<std::uint64_t>(columns, first + (count - done)));
    const float* of_row = scales_.data() + row / shape_.block_rows * shape_.columns;
    const std::uint64_t row_begin = row * row_bytes;
    for (std::size_t column = first; column < last; ++column, ++done) {
      std::uint8_t code;
      if (is_packed) {
        const auto byte = std::to_integer<std::uint8_t>(raw[static_cast<std::size_t>(row_begin + column / 2 - from)]);
        code = column % 2 == column_in_high ? byte >> 4 : byte & 0xFU;
      } else {
        code = std::to_integer<std::uint8_t>(raw[static_cast<std::size_t>(row_begin + column - from)]);
      }
      const float scale = of_row[column / block_columns_of_scale];
      values[done] = table_[code] * scale;
      if (scales != nullptr) scales[done] = scale;
    }
  }
}

std::shared_ptr<const CodeReader> code_reader_of(const TensorValues& values, const JobFiles& files, const std::string& tensor) {
  return values.codes ? std::make_shared<const CodeReader>(values.range, *values.codes, files, tensor) : nullptr;
}

}  // namespace fp8
