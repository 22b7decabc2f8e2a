// A matrix to be quantized to some target, what an output file must hold of it, and the objective, all as plainly as it can be written.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "fp8/fp8.h"
#include "fp8/storage.h"
#include "support/job_fixture.h"
#include "support/random.h"

namespace fp8::testing {

struct Target {
  const char* name;
  CodeStorage storage;
};

constexpr CodeStorage with_block(CodeGrid grid, std::uint64_t rows, std::uint64_t columns) {
  CodeStorage storage;
  storage.grid = grid;
  storage.block = ScaleBlock{rows, columns};
  return storage;
}

constexpr CodeStorage whole(CodeGrid grid) {
  CodeStorage storage;
  storage.grid = grid;
  return storage;
}

inline constexpr std::uint64_t every = 1U << 20;  // more than any test's rows or columns

constexpr CodeStorage mxfp8() {
  CodeStorage storage = with_block(CodeGrid::e4m3, 1, 32);
  storage.scale_form = ScaleForm::e8m0;
  storage.scale_order = ScaleOrder::swizzled;
  return storage;
}

constexpr CodeStorage nvfp4() {
  CodeStorage storage = with_block(CodeGrid::e2m1, 1, 16);
  storage.scale_form = ScaleForm::e4m3;
  storage.scale_order = ScaleOrder::swizzled;
  return storage;
}

inline const Target targets[] = {
    {"e4m3_row", with_block(CodeGrid::e4m3, 1, every)},
    {"e4m3_block", with_block(CodeGrid::e4m3, 128, 128)},
    {"e4m3_ragged", with_block(CodeGrid::e4m3, 7, 33)},
    {"e4m3_column", with_block(CodeGrid::e4m3, every, 1)},
    {"e5m2_tensor", whole(CodeGrid::e5m2)},
    {"e5m2_row", with_block(CodeGrid::e5m2, 1, every)},
    {"e5m2_block", with_block(CodeGrid::e5m2, 64, 64)},
    {"int8_tensor", whole(CodeGrid::int8)},
    {"int8_row", with_block(CodeGrid::int8, 1, every)},
    {"int8_block", with_block(CodeGrid::int8, 128, 128)},
    {"e2m1_ragged", with_block(CodeGrid::e2m1, 3, 20)},
    {"mxfp8", mxfp8()},
    {"mxfp8_plain",
     [] {
       CodeStorage s = mxfp8();
       s.scale_order = ScaleOrder::plain;
       return s;
     }()},
    {"nvfp4", nvfp4()},
    {"nvfp4_divided",
     [] {
       CodeStorage s = nvfp4();
       s.scale_order = ScaleOrder::plain;
       s.nibbles = Nibbles::even_low;
       s.tensor_scale_form = TensorScaleForm::divisor;
       return s;
     }()},
};

inline float decode(CodeGrid grid, std::uint8_t code) {
  switch (grid) {
    case CodeGrid::e4m3:
      return decode_e4m3(code);
    case CodeGrid::e5m2:
      return decode_e5m2(code);
    case CodeGrid::int8:
      return decode_int8(code);
    case CodeGrid::e2m1:
      return decode_e2m1(code);
  }
  return 0;
}

inline double largest_of(CodeGrid grid) {
  switch (grid) {
    case CodeGrid::e4m3:
      return 448;
    case CodeGrid::e5m2:
      return 57344;
    case CodeGrid::int8:
      return 127;
    case CodeGrid::e2m1:
      return 6;
  }
  return 0;
}

// The code whose value is nearest, found by trying all of them; among two, the even one. `quotient` is in binary32, as the cast has it.
inline std::uint8_t nearest_code(CodeGrid grid, float quotient) {
  const unsigned count = grid == CodeGrid::e2m1 ? 8 : 128;
  unsigned best = 0;
  double least = std::numeric_limits<double>::infinity();
  const double magnitude = std::fabs(static_cast<double>(quotient));
  for (unsigned code = 0; code < count; ++code) {
    const double value = static_cast<double>(decode(grid, static_cast<std::uint8_t>(code)));
    if (!std::isfinite(value)) continue;
    const double distance = std::fabs(magnitude - value);
    if (distance < least || (distance == least && code % 2 == 0)) {
      least = distance;
      best = code;
    }
  }
  if (!std::signbit(quotient)) return static_cast<std::uint8_t>(best);
  if (grid == CodeGrid::int8) return static_cast<std::uint8_t>(-static_cast<int>(best));
  return static_cast<std::uint8_t>(best | count);
}

// A matrix read back from the output, element by element, as a loader would.
struct Written {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;  // of each element
  std::vector<float> block_scales;
  float tensor_scale = 1;
  bool padding_is_zero = true;

  double value(CodeGrid grid, std::size_t index) const {
    return static_cast<double>(decode(grid, codes[index])) * static_cast<double>(scales[index]);
  }
};

struct Problem {
  std::size_t rows;
  std::size_t columns;
  std::vector<float> weights;
  CodeStorage storage;

  std::uint64_t code_size() const { return code_bytes(storage, rows, columns); }
  std::uint64_t scale_size() const { return scale_bytes(storage, rows, columns); }

  Job job(const TemporaryFolder& folder, Rounding rounding) const {
    Job result = one_matrix(folder.write("source", weights), folder.reserve("output", code_size() + scale_size() + 4), SourceDtype::f32,
                            rows, columns, rounding);
    auto& task = std::get<QuantizeTask>(result.tasks[0]);
    task.storage = storage;
    task.scale_offsets = {code_size()};
    if (storage.scale_form == ScaleForm::e4m3) task.tensor_scale_offsets = {code_size() + scale_size()};
    return result;
  }

  Written read(const std::string& path) const {
    const std::vector<std::uint8_t> bytes = read_file(path);
    Written out;
    if (storage.scale_form == ScaleForm::e4m3) {
      std::memcpy(&out.tensor_scale, bytes.data() + code_size() + scale_size(), 4);
      if (storage.tensor_scale_form == TensorScaleForm::divisor) out.tensor_scale = 1 / out.tensor_scale;
    }
    const ScaleShape shape = scale_shape(storage, rows, columns);
    const std::uint64_t row_bytes = code_row_bytes(storage, columns);
    std::vector<char> is_used(static_cast<std::size_t>(scale_size()), 0);
    const auto scale_of_block = [&](std::uint64_t row, std::uint64_t column) {
      const std::uint64_t size = byte_size(storage.scale_form);
      const auto place = static_cast<std::size_t>(scale_place(storage, shape, row, column) * size);
      std::fill_n(is_used.begin() + static_cast<std::ptrdiff_t>(place), size, char{1});
      const std::uint8_t* at = bytes.data() + code_size() + place;
      if (storage.scale_form == ScaleForm::e8m0) return static_cast<float>(std::ldexp(1.0, *at - 127));
      if (storage.scale_form == ScaleForm::e4m3) return decode_e4m3(*at) * out.tensor_scale;
      float scale;
      std::memcpy(&scale, at, 4);
      return scale;
    };
    for (std::uint64_t r = 0; r < shape.rows; ++r) {
      for (std::uint64_t c = 0; c < shape.columns; ++c) out.block_scales.push_back(scale_of_block(r, c));
    }
    for (std::size_t r = 0; r < stored_rows(storage, rows); ++r) {
      for (std::size_t c = 0; c < stored_columns(storage, columns); ++c) {
        std::uint8_t code = bytes[r * row_bytes + (storage.grid == CodeGrid::e2m1 ? c / 2 : c)];
        if (storage.grid == CodeGrid::e2m1) code = (c % 2 == 0) == (storage.nibbles == Nibbles::even_high) ? code >> 4 : code & 0xF;
        if (r >= rows || c >= columns) {
          out.padding_is_zero = out.padding_is_zero && code == 0;
        } else {
          out.codes.push_back(code);
          out.scales.push_back(out.block_scales[static_cast<std::size_t>(r / shape.block_rows * shape.columns + c / shape.block_columns)]);
        }
      }
    }
    for (std::size_t i = 0; i < is_used.size(); ++i) {
      if (is_used[i] == 0) out.padding_is_zero = out.padding_is_zero && bytes[code_size() + i] == 0;
    }
    return out;
  }

  // The largest magnitude of each block.
  std::vector<double> largest_of_blocks() const {
    const ScaleShape shape = scale_shape(storage, rows, columns);
    std::vector<double> largest(static_cast<std::size_t>(shape.count()), 0.0);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        double& of_block = largest[static_cast<std::size_t>(r / shape.block_rows * shape.columns + c / shape.block_columns)];
        of_block = std::max(of_block, std::fabs(static_cast<double>(weights[r * columns + c])));
      }
    }
    return largest;
  }

  // tr(G E H Eᵀ) with gram statistics and damping 1; G only where `both`.
  double objective(const std::vector<double>& errors, bool both) const {
    const auto gram = [&](std::size_t size, std::size_t depth, std::size_t step, std::size_t depth_step) {
      std::vector<double> square(size * size, 0.0);
      double trace = 0;
      for (std::size_t i = 0; i < size; ++i) {
        for (std::size_t j = 0; j < size; ++j) {
          for (std::size_t k = 0; k < depth; ++k) {
            square[i * size + j] +=
                static_cast<double>(weights[i * step + k * depth_step]) * static_cast<double>(weights[j * step + k * depth_step]);
          }
        }
        trace += square[i * size + i];
      }
      for (double& value : square) value /= trace / static_cast<double>(size);
      for (std::size_t i = 0; i < size; ++i) square[i * size + i] += 1;
      return square;
    };
    const std::vector<double> h = gram(columns, rows, 1, columns);
    std::vector<double> product(errors.size(), 0.0);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = 0; i < columns; ++i) {
        for (std::size_t j = 0; j < columns; ++j) product[r * columns + i] += errors[r * columns + j] * h[j * columns + i];
      }
    }
    if (!both) return std::inner_product(errors.begin(), errors.end(), product.begin(), 0.0);
    const std::vector<double> g = gram(rows, columns, columns, 1);
    double total = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t s = 0; s < rows; ++s) {
        double dot = 0;
        for (std::size_t i = 0; i < columns; ++i) dot += errors[r * columns + i] * product[s * columns + i];
        total += g[r * rows + s] * dot;
      }
    }
    return total;
  }

  std::vector<double> errors_of(const Written& written) const {
    std::vector<double> errors(weights.size());
    for (std::size_t i = 0; i < errors.size(); ++i) errors[i] = written.value(storage.grid, i) - static_cast<double>(weights[i]);
    return errors;
  }
};

inline std::size_t padded(std::size_t value, std::size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

inline Problem make_problem(CodeStorage storage, std::size_t rows, std::size_t columns) {
  std::vector<float> weights = correlated_weights(rows, columns, 11);
  // Rows and columns of quite different sizes, a block of zeros, and a single zero of either sign.
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) weights[r * columns + c] *= static_cast<float>(std::exp2(static_cast<double>(r % 5) - 2));
  }
  if (rows > 1) {
    for (std::size_t c = 0; c < std::min<std::size_t>(columns, 40); ++c) weights[c] = 0;
    weights.back() = -0.0F;
  }
  if (storage.scale_form == ScaleForm::e8m0) {
    storage.stored_rows = padded(rows, 32);
    storage.stored_columns = padded(columns, 32);
  } else if (storage.grid == CodeGrid::e2m1) {
    storage.stored_rows = padded(rows, 16);
    storage.stored_columns = padded(columns, 16);
  }
  return {rows, columns, std::move(weights), storage};
}

}  // namespace fp8::testing
