// CodeReader: the values of a matrix that is stored as codes and scales, whatever its grid, blocks, padding and order. Holds the scales;
// any number of threads may read with it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/file_range.h"
#include "fp8/job.h"
#include "fp8/storage.h"

namespace fp8 {

class CodeReader {
 public:
  CodeReader(const FileRange& codes, const StoredCodes& stored, const JobFiles& files, const std::string& tensor);

  // Elements begin ≤ i < begin + count of the matrix without its padding, row-major: code × scale in binary32, as loaders have it. `scales`
  // receives the scale of each, unless it is null.
  void read(std::uint64_t begin, std::size_t count, float* values, float* scales) const;

 private:
  void load_scales(const JobFiles& files);

  const FileRange codes_;
  const StoredCodes stored_;
  const File& file_;
  const std::string tensor_;
  const ScaleShape shape_;
  std::array<float, 256> table_;
  std::vector<float> scales_;  // row-major
};

// Null where the values are no codes.
std::shared_ptr<const CodeReader> code_reader_of(const TensorValues& values, const JobFiles& files, const std::string& tensor);

// What a reader holds.
std::uint64_t code_reader_bytes(const StoredCodes& stored);

// A code of any grid; E2M1 in the low bits.
float decode_code(CodeGrid grid, std::uint8_t code);

}  // namespace fp8
