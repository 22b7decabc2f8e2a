// From JavaScript: how a matrix is stored as codes and scales; CodeStorage and StoredCodes in src/engine/job/quantizer.ts.
#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>

#include "fp8/job.h"

namespace fp8::addon {

// Throws Napi::TypeError where the storage cannot be that of a matrix of rows × columns.
CodeStorage storage_from(const Napi::Object& object, std::uint64_t rows, std::uint64_t columns);

// The property `codes`, if there is one; `codes` is where they are, and must be as large as they say.
std::optional<StoredCodes> stored_codes_from(const Napi::Object& owner, const FileRange& codes, const char* name = "codes");

}  // namespace fp8::addon
