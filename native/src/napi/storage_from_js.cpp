#include "napi/storage_from_js.h"

#include <limits>

#include "fp8/storage.h"
#include "napi/properties.h"

namespace fp8::addon {

CodeStorage storage_from(const Napi::Object& object, std::uint64_t rows, std::uint64_t columns) {
  constexpr std::pair<const char*, CodeGrid> grids[] = {
      {"e4m3", CodeGrid::e4m3}, {"e5m2", CodeGrid::e5m2}, {"int8", CodeGrid::int8}, {"e2m1", CodeGrid::e2m1}};
  constexpr std::pair<const char*, ScaleForm> forms[] = {
      {"f32", ScaleForm::f32}, {"e8m0", ScaleForm::e8m0}, {"e4m3", ScaleForm::e4m3}, {"f16", ScaleForm::f16}, {"bf16", ScaleForm::bf16}};
  constexpr std::pair<const char*, ScaleOrder> orders[] = {{"plain", ScaleOrder::plain}, {"swizzled", ScaleOrder::swizzled}};
  constexpr std::pair<const char*, Nibbles> nibbles[] = {{"evenHigh", Nibbles::even_high}, {"evenLow", Nibbles::even_low}};
  constexpr std::pair<const char*, TensorScaleForm> tensor_scale_forms[] = {{"factor", TensorScaleForm::factor},
                                                                            {"divisor", TensorScaleForm::divisor}};
  const auto has = [&](const char* name) { return !object.Get(name).IsUndefined(); };
  CodeStorage storage;
  if (has("grid")) storage.grid = one_of(object, "grid", grids);
  if (has("scaleForm")) storage.scale_form = one_of(object, "scaleForm", forms);
  if (has("scaleOrder")) storage.scale_order = one_of(object, "scaleOrder", orders);
  if (has("nibbles")) storage.nibbles = one_of(object, "nibbles", nibbles);
  if (has("tensorScaleForm")) storage.tensor_scale_form = one_of(object, "tensorScaleForm", tensor_scale_forms);
  if (has("block")) {
    const Napi::Object block = object_from(object.Get("block"), "block");
    storage.block = ScaleBlock{whole_number(block, "rows"), whole_number(block, "columns")};
    if (storage.block->rows == 0 || storage.block->columns == 0) reject(object.Env(), "block", "of at least one row and column");
  } else if (storage.scale_form == ScaleForm::e8m0 || storage.scale_form == ScaleForm::e4m3) {
    reject(object.Env(), "block", "given for scales of one byte");
  }
  constexpr std::uint64_t limit = std::numeric_limits<std::int32_t>::max();
  if (has("storedRows")) storage.stored_rows = whole_number(object, "storedRows");
  if (has("storedColumns")) storage.stored_columns = whole_number(object, "storedColumns");
  if ((storage.stored_rows != 0 && storage.stored_rows < rows) || (storage.stored_columns != 0 && storage.stored_columns < columns) ||
      storage.stored_rows > limit || storage.stored_columns > limit) {
    reject(object.Env(), "storedRows and storedColumns", "no fewer than rows and columns");
  }
  if (storage.grid == CodeGrid::e2m1 && stored_columns(storage, columns) % 2 != 0)
    reject(object.Env(), "storedColumns", "even where two codes share a byte");
  return storage;
}

std::optional<StoredCodes> stored_codes_from(const Napi::Object& owner, const FileRange& codes, const char* name) {
  const Napi::Value value = owner.Get(name);
  if (value.IsUndefined()) return std::nullopt;
  const Napi::Object object = object_from(value, name);
  StoredCodes result;
  result.rows = whole_number(object, "rows");
  result.columns = whole_number(object, "columns");
  constexpr std::uint64_t limit = std::numeric_limits<std::int32_t>::max();
  if (result.rows > limit || result.columns > limit) reject(object.Env(), "rows and columns", "below 2^31");
  result.storage = storage_from(object, result.rows, result.columns);
  const bool has_scales = !object.Get("scales").IsUndefined();
  if (has_scales) result.scales = range_from(object, "scales");
  if (!object.Get("tensorScale").IsUndefined()) result.tensor_scale = real_number(object, "tensorScale");
  if (code_bytes(result.storage, result.rows, result.columns) != codes.length)
    reject(object.Env(), "rows and columns", "the shape of the codes");
  if (has_scales && scale_bytes(result.storage, result.rows, result.columns) != result.scales.length)
    reject(object.Env(), "scales", "as many as there are blocks");
  return result;
}

}  // namespace fp8::addon
