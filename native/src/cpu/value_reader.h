// ValueReader: any part of a tensor of any dtype, as doubles times the tensor's scale. One reader for each thread: it keeps its buffers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/file_range.h"
#include "cpu/buffer.h"
#include "cpu/code_reader.h"
#include "fp8/job.h"

namespace fp8 {

class ValueReader {
 public:
  // Reads at most `capacity` elements at once. Readers of the same codes may share `codes`, which holds their scales.
  ValueReader(const TensorValues& values, const JobFiles& files, const std::string& tensor, std::size_t capacity,
              std::shared_ptr<const CodeReader> codes = nullptr);

  // Elements begin ≤ i < begin + count. The result lives until the next call.
  std::span<const double> read(std::uint64_t begin, std::size_t count);

  static std::uint64_t bytes(std::size_t capacity) { return capacity * (sizeof(double) + sizeof(float) + 8); }

 private:
  void decode(std::size_t count);

  const TensorValues& source_;
  const File& file_;
  const std::string& tensor_;
  Buffer<std::byte> raw_;
  Buffer<float> floats_;
  Buffer<double> values_;
  std::array<double, 256> table_{};  // of the dtypes of one byte
  std::shared_ptr<const CodeReader> codes_;
};

}  // namespace fp8
