#include "cpu/code_reader.h"

#include <algorithm>
#include <cstring>

#include "core/half_float.h"
#include "cpu/buffer.h"
#include "fp8/fp8.h"

namespace fp8 {

namespace {

float decode_code(std::uint8_t code, CodeGrid grid) {
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

float decode_scale(const std::byte* scales, std::uint64_t place, ScaleForm form) {
  const std::byte* at = scales + place * byte_size(form);
  std::uint16_t half = 0;
  float single = 0;
  switch (form) {
    case ScaleForm::f32:
      std::memcpy(&single, at, sizeof(single));
      return single;
    case ScaleForm::f16:
      std::memcpy(&half, at, sizeof(half));
      return decode_f16(half);
    case ScaleForm::bf16:
      std::memcpy(&half, at, sizeof(half));
      return decode_bf16(half);
    case ScaleForm::e8m0:
      return decode_e8m0(std::to_integer<std::uint8_t>(*at));
    case ScaleForm::e4m3:
      return decode_e4m3(std::to_integer<std::uint8_t>(*at));
  }
  return 1;
}

}  // namespace

CodeReader::CodeReader(const FileRange& range, const StoredCodes& codes, const JobFiles& files, const std::string& tensor)
    : range_(range),
      storage_(codes.storage),
      columns_(codes.columns),
      shape_(scale_shape(codes.storage, codes.rows, codes.columns)),
      file_(files.source(range)),
      tensor_(tensor),
      scales_(static_cast<std::size_t>(shape_.count())) {
  for (unsigned code = 0; code < 256; ++code) table_[code] = decode_code(static_cast<std::uint8_t>(code), storage_.grid);
  Buffer<std::byte> stored(static_cast<std::size_t>(codes.scales.length));
  files.source(codes.scales).read(codes.scales.offset, stored.span(), tensor);
  for (std::uint64_t row = 0; row < shape_.rows; ++row) {
    for (std::uint64_t column = 0; column < shape_.columns; ++column) {
      const float scale = decode_scale(stored.data(), scale_place(storage_, shape_, row, column), storage_.scale_form);
      scales_[row * shape_.columns + column] = static_cast<float>(static_cast<double>(scale) * codes.tensor_scale);
    }
  }
}

void CodeReader::read(std::uint64_t begin, std::span<float> out) const {
  if (out.empty()) return;
  const std::uint64_t row_bytes = code_row_bytes(storage_, columns_);
  const std::uint64_t first = begin / columns_;
  const std::uint64_t last = (begin + out.size() - 1) / columns_;
  // Whole rows: a part of one may begin in the middle of a byte.
  Buffer<std::byte> codes(static_cast<std::size_t>((last - first + 1) * row_bytes));
  file_.read(range_.offset + first * row_bytes, codes.span(), tensor_);
  std::size_t done = 0;
  for (std::uint64_t row = first; row <= last; ++row) {
    const std::uint64_t column = row == first ? begin % columns_ : 0;
    const std::size_t count = std::min<std::size_t>(out.size() - done, static_cast<std::size_t>(columns_ - column));
    decode_row(codes.data() + (row - first) * row_bytes, row, column, out.subspan(done, count));
    done += count;
  }
}

void CodeReader::decode_row(const std::byte* codes, std::uint64_t row, std::uint64_t column, std::span<float> out) const {
  const float* scales = scales_.data() + row / shape_.block_rows * shape_.columns;
  const bool is_packed = storage_.grid == CodeGrid::e2m1;
  std::size_t i = 0;
  while (i < out.size()) {
    const std::uint64_t block = (column + i) / shape_.block_columns;
    const std::size_t end = std::min<std::size_t>(out.size(), static_cast<std::size_t>((block + 1) * shape_.block_columns - column));
    const float scale = scales[block];
    for (; i < end; ++i) {
      const std::uint64_t at = column + i;
      unsigned code = std::to_integer<unsigned>(codes[is_packed ? at / 2 : at]);
      if (is_packed) code = at % 2 == 0 ? code >> 4 : code & 0xFU;
      out[i] = table_[code] * scale;
    }
  }
}

std::uint64_t CodeReader::bytes(const StoredCodes& codes, std::uint64_t elements) {
  const std::uint64_t rows = elements / std::max<std::uint64_t>(1, codes.columns) + 2;
  return scale_shape(codes.storage, codes.rows, codes.columns).count() * sizeof(float) + codes.scales.length +
         rows * code_row_bytes(codes.storage, codes.columns);
}

}  // namespace fp8
