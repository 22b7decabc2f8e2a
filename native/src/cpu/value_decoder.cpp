#include "core/value_decoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "cpu/code_reader.h"
#include "cpu/value_reader.h"

namespace fp8 {

namespace {

// Elements that are decoded at a time.
constexpr std::size_t piece = std::size_t{1} << 16;

class ReadingDecoder : public ValueDecoder {
 public:
  ReadingDecoder(const TensorValues& values, const JobFiles& files, const std::string& tensor)
      : values_(values), files_(files), tensor_(tensor), codes_(code_reader_of(values, files, tensor)) {}

  void read_finite(std::uint64_t begin, std::span<float> out) const override {
    ValueReader reader(values_, files_, tensor_, std::min(piece, out.size()), codes_);
    for (std::size_t at = 0; at < out.size(); at += piece) {
      const std::span<float> part = out.subspan(at, std::min(piece, out.size() - at));
      const std::span<const double> read = reader.read(begin + at, part.size());
      std::transform(read.begin(), read.end(), part.begin(),
                     [](double value) { return std::isfinite(value) ? static_cast<float>(value) : 0.0F; });
    }
  }

 private:
  const TensorValues& values_;
  const JobFiles& files_;
  const std::string& tensor_;
  const std::shared_ptr<const CodeReader> codes_;
};

}  // namespace

std::unique_ptr<ValueDecoder> make_value_decoder(const TensorValues& values, const JobFiles& files, const std::string& tensor) {
  return std::make_unique<ReadingDecoder>(values, files, tensor);
}

}  // namespace fp8
