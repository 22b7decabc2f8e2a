// ValueDecoder: the values of a tensor of any dtype, stored codes included, for a backend that computes elsewhere. Any number of threads
// may read with it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/file_range.h"
#include "fp8/job.h"

namespace fp8 {

class ValueDecoder {
 public:
  virtual ~ValueDecoder() = default;

  // Elements from `begin` on, in binary32; 0 for NaN and infinity.
  virtual void read_finite(std::uint64_t begin, std::span<float> out) const = 0;
};

// Defined by src/cpu. What is passed must outlive it.
std::unique_ptr<ValueDecoder> make_value_decoder(const TensorValues& values, const JobFiles& files, const std::string& tensor);

}  // namespace fp8
