// CodeReader: any part of a matrix that is stored as codes and scales, as floats: code × scale, rounded once. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/file_range.h"
#include "fp8/job.h"
#include "fp8/storage.h"

namespace fp8 {

class CodeReader {
 public:
  // Reads every scale; `codes` are at `range`.
  CodeReader(const FileRange& range, const StoredCodes& codes, const JobFiles& files, const std::string& tensor);

  // Elements begin ≤ i < begin + out.size() of rows × columns.
  void read(std::uint64_t begin, std::span<float> out) const;

  // What a reader keeps, and what reading so many elements at once takes besides.
  static std::uint64_t bytes(const StoredCodes& codes, std::uint64_t elements);

 private:
  void decode_row(const std::byte* codes, std::uint64_t row, std::uint64_t column, std::span<float> out) const;

  const FileRange range_;
  const CodeStorage storage_;
  const std::uint64_t columns_;
  const ScaleShape shape_;
  const File& file_;
  const std::string& tensor_;
  std::vector<float> scales_;  // of the blocks, row-major
  std::array<float, 256> table_{};
};

}  // namespace fp8
