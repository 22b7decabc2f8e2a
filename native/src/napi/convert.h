// Between JavaScript values and the core's types; the JavaScript side is src/engine/job/quantizer.ts and src/engine/native/binding.ts.
#pragma once

#include <napi.h>

#include <string>

#include "fp8/backend.h"
#include "fp8/error.h"

namespace fp8::addon {

// Throws Napi::TypeError naming the property that is missing or of the wrong type.
Job job_from(const Napi::Value& value);

Napi::Object to_js(Napi::Env env, const Event& event);
Napi::Object to_js(Napi::Env env, const Device& device);

// NativeErrorCode.
const char* code_name(ErrorCode code);

}  // namespace fp8::addon
