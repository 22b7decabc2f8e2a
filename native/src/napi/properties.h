// Reading properties of JavaScript objects: each throws Napi::TypeError naming the property that is missing or of the wrong type.
#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "fp8/job.h"

namespace fp8::addon {

[[noreturn]] inline void reject(Napi::Env env, const std::string& what, const char* expected) {
  throw Napi::TypeError::New(env, "startJob: " + what + " must be " + expected);
}

inline Napi::Object object_from(const Napi::Value& value, const std::string& what) {
  if (!value.IsObject()) reject(value.Env(), what, "an object");
  return value.As<Napi::Object>();
}

inline std::string text(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsString()) reject(object.Env(), name, "a string");
  return value.As<Napi::String>().Utf8Value();
}

// Offsets and lengths stay below 2⁵³, which JavaScript's numbers hold exactly.
inline std::uint64_t whole_number(const Napi::Value& value, const char* name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= 9007199254740991.0) || std::floor(number) != number) reject(value.Env(), name, "a whole number");
  return static_cast<std::uint64_t>(number);
}

inline std::uint64_t whole_number(const Napi::Object& object, const char* name) { return whole_number(object.Get(name), name); }

inline std::uint32_t small_number(const Napi::Object& object, const char* name) {
  const std::uint64_t number = whole_number(object, name);
  if (number > std::numeric_limits<std::uint32_t>::max()) reject(object.Env(), name, "below 2^32");
  return static_cast<std::uint32_t>(number);
}

template <typename Visit>
void for_each(const Napi::Object& object, const char* name, const Visit& visit) {
  const Napi::Value value = object.Get(name);
  if (!value.IsArray()) reject(object.Env(), name, "an array");
  const auto array = value.As<Napi::Array>();
  for (std::uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::HandleScope scope(object.Env());
    visit(array.Get(i));
  }
}

inline FileRange range_from(const Napi::Object& object, const char* name) {
  const Napi::Object range = object_from(object.Get(name), name);
  return {small_number(range, "file"), whole_number(range, "offset"), whole_number(range, "length")};
}

template <typename T, std::size_t kCount>
T one_of(const Napi::Object& object, const char* name, const std::pair<const char*, T> (&names)[kCount]) {
  const std::string given = text(object, name);
  for (const auto& [known, value] : names) {
    if (given == known) return value;
  }
  reject(object.Env(), name, "one of the known names");
}

inline double real_number(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (!value.IsNumber()) reject(object.Env(), name, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

}  // namespace fp8::addon
