// The order in which columns are rounded: by decreasing diagonal of H, ties by increasing index. Positions count from the end, so that
// the factorisation runs forwards: position N−1 holds the column that is rounded first.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace fp8::cuda {

// squares: the diagonal, one double a column, none negative. position_of_column[c]: see above.
void column_order(const double* squares, std::int64_t columns, std::int32_t* position_of_column, cudaStream_t stream);

}  // namespace fp8::cuda
