// CodeFile: a matrix's place in the output file, padded and packed as its storage has it.
#pragma once

#include <cstdint>
#include <span>

#include "core/file_range.h"
#include "core/scale_table.h"
#include "cpu/context.h"
#include "fp8/job.h"

namespace fp8 {

class CodeFile {
 public:
  CodeFile(const QuantizeTask& task, const File& output, const std::stop_token& stop) : task_(task), output_(output), stop_(stop) {}

  // Codes of whole rows, one byte each. Any thread.
  void write_rows(Block rows, std::span<const std::uint8_t> codes) const;
  // The rows of zeros after the matrix, if it is padded.
  void write_padding() const;
  void write_scales(const ScaleTable& table) const;

 private:
  const QuantizeTask& task_;
  const File& output_;
  const std::stop_token& stop_;
};

}  // namespace fp8
