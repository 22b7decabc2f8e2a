#include "cpu/value_reader.h"

#include <cstring>
#include <utility>

#include "cpu/kernels.h"
#include "fp8/fp8.h"

namespace fp8 {

namespace {

template <typename T>
void widen(const std::byte* raw, std::size_t count, double scale, double* out) {
  for (std::size_t i = 0; i < count; ++i) {
    T element;
    std::memcpy(&element, raw + i * sizeof(T), sizeof(T));
    out[i] = static_cast<double>(element) * scale;
  }
}

double decode_byte(std::uint8_t code, ValueDtype dtype) {
  switch (dtype) {
    case ValueDtype::f8_e4m3:
      return static_cast<double>(decode_e4m3(code));
    case ValueDtype::f8_e5m2:
      return static_cast<double>(decode_e5m2(code));
    case ValueDtype::i8:
      return static_cast<double>(static_cast<std::int8_t>(code));
    default:
      return static_cast<double>(code);
  }
}

}  // namespace

ValueReader::ValueReader(const TensorValues& values, const JobFiles& files, const std::string& tensor, std::size_t capacity,
                         std::shared_ptr<const CodeReader> codes)
    : source_(values),
      file_(files.source(values.range)),
      tensor_(tensor),
      raw_(values.codes ? 0 : capacity * byte_size(values.dtype)),
      floats_(capacity),
      values_(capacity),
      codes_(codes ? std::move(codes) : code_reader_of(values, files, tensor)) {
  if (byte_size(values.dtype) != 1) return;
  for (unsigned code = 0; code < 256; ++code) table_[code] = decode_byte(static_cast<std::uint8_t>(code), values.dtype) * values.scale;
}

std::span<const double> ValueReader::read(std::uint64_t begin, std::size_t count) {
  if (codes_) {
    codes_->read(begin, count, floats_.data(), nullptr);
    for (std::size_t i = 0; i < count; ++i) values_[i] = static_cast<double>(floats_[i]) * source_.scale;
    return values_.span().first(count);
  }
  const std::size_t element = byte_size(source_.dtype);
  file_.read(source_.range.offset + begin * element, raw_.span().first(count * element), tensor_);
  decode(count);
  return values_.span().first(count);
}

void ValueReader::decode(std::size_t count) {
  const std::byte* raw = raw_.data();
  double* out = values_.data();
  const double scale = source_.scale;
  const auto through_floats = [&](SourceDtype dtype) {
    kernels().decode_scaled(raw, dtype, count, 1.0F, floats_.data());
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<double>(floats_[i]) * scale;
  };
  switch (source_.dtype) {
    case ValueDtype::f32:
      return through_floats(SourceDtype::f32);
    case ValueDtype::f16:
      return through_floats(SourceDtype::f16);
    case ValueDtype::bf16:
      return through_floats(SourceDtype::bf16);
    case ValueDtype::f64:
      return widen<double>(raw, count, scale, out);
    case ValueDtype::i16:
      return widen<std::int16_t>(raw, count, scale, out);
    case ValueDtype::u16:
      return widen<std::uint16_t>(raw, count, scale, out);
    case ValueDtype::i32:
      return widen<std::int32_t>(raw, count, scale, out);
    case ValueDtype::u32:
      return widen<std::uint32_t>(raw, count, scale, out);
    case ValueDtype::i64:
      return widen<std::int64_t>(raw, count, scale, out);
    case ValueDtype::u64:
      return widen<std::uint64_t>(raw, count, scale, out);
    case ValueDtype::f8_e4m3:
    case ValueDtype::f8_e5m2:
    case ValueDtype::i8:
    case ValueDtype::u8:
    case ValueDtype::boolean:
      for (std::size_t i = 0; i < count; ++i) out[i] = table_[std::to_integer<std::size_t>(raw[i])];
      return;
  }
}

}  // namespace fp8
