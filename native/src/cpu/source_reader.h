// SourceReader: a QuantizeTask's source, any part of it: its bytes as they are, or, where it is quantized itself, its values as F32.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>

#include "core/file_range.h"
#include "cpu/code_reader.h"
#include "fp8/job.h"

namespace fp8 {

// Of the matrix as it is read.
constexpr std::uint64_t source_bytes(const QuantizeTask& task) { return task.rows * task.columns * byte_size(task.dtype); }

class SourceReader {
 public:
  SourceReader(const QuantizeTask& task, const JobFiles& files, const std::stop_token& stop);

  // Elements of task.dtype, from `begin` on. Any thread.
  void read(std::uint64_t begin, std::span<std::byte> elements) const;

 private:
  const QuantizeTask& task_;
  const File& file_;
  const std::stop_token& stop_;
  std::optional<CodeReader> codes_;
};

}  // namespace fp8
