// Codes in the file's layout: two E2M1 codes a byte, and padding.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "fp8/job.h"

namespace fp8::cuda {

// Whether codes of one byte each, row after row, are stored as they are.
constexpr bool stores_bytes(const CodeStorage& storage) {
  return storage.grid != CodeGrid::e2m1 && storage.stored_rows == 0 && storage.stored_columns == 0;
}

// codes: rows × columns, one byte each; stored: code_bytes(storage, rows, columns).
void store_codes(const std::uint8_t* codes, std::int64_t rows, std::int64_t columns, const CodeStorage& storage, std::uint8_t* stored,
                 cudaStream_t stream);

}  // namespace fp8::cuda
