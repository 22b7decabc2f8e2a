// stored[row][byte] = code(s) of the row, 0 beyond the matrix.
#include "check.h"
#include "fp8/storage.h"
#include "stored_codes.h"

namespace fp8::cuda {

namespace {

constexpr int threads = 256;

struct Layout {
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t row_bytes;
  int codes_per_byte;
  int even_shift;  // of the first of two codes
};

__global__ void store_codes_kernel(const std::uint8_t* __restrict__ codes, const Layout layout, std::int64_t bytes,
                                   std::uint8_t* __restrict__ stored) {
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (index >= bytes) return;
  const std::int64_t row = index / layout.row_bytes;
  const std::int64_t column = index % layout.row_bytes * layout.codes_per_byte;
  const auto code = [&](std::int64_t at) -> unsigned {
    return row < layout.rows && at < layout.columns ? codes[row * layout.columns + at] : 0U;
  };
  const unsigned value =
      layout.codes_per_byte == 1 ? code(column) : code(column) << layout.even_shift | code(column + 1) << (4 - layout.even_shift);
  stored[index] = static_cast<std::uint8_t>(value);
}

}  // namespace

void store_codes(const std::uint8_t* codes, std::int64_t rows, std::int64_t columns, const CodeStorage& storage, std::uint8_t* stored,
                 cudaStream_t stream) {
  const auto bytes = static_cast<std::int64_t>(code_bytes(storage, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns)));
  if (bytes == 0) return;
  const Layout layout{rows, columns, static_cast<std::int64_t>(code_row_bytes(storage, static_cast<std::uint64_t>(columns))),
                      storage.grid == CodeGrid::e2m1 ? 2 : 1, storage.nibbles == Nibbles::even_high ? 4 : 0};
  store_codes_kernel<<<static_cast<unsigned>((bytes + threads - 1) / threads), threads, 0, stream>>>(codes, layout, bytes, stored);
  check_launch("store_codes");
}

}  // namespace fp8::cuda
