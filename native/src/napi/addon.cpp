// The addon's entry: what src/engine/native/binding.ts declares.
#include <napi.h>

#include "napi/convert.h"
#include "napi/running_job.h"

namespace fp8::addon {

namespace {

Napi::Value devices(const Napi::CallbackInfo& info) {
  const std::vector<Device> found = all_devices();
  const Napi::Array list = Napi::Array::New(info.Env(), found.size());
  for (std::size_t i = 0; i < found.size(); ++i) list.Set(static_cast<std::uint32_t>(i), to_js(info.Env(), found[i]));
  return list;
}

Napi::Value start_job(const Napi::CallbackInfo& info) {
  if (info.Length() < 2 || !info[1].IsFunction()) throw Napi::TypeError::New(info.Env(), "startJob: onEvents must be a function");
  const std::shared_ptr<RunningJob> running = RunningJob::start(info.Env(), job_from(info[0]), info[1].As<Napi::Function>());
  Napi::Object job = Napi::Object::New(info.Env());
  job.Set("cancel", Napi::Function::New(
                        info.Env(), [running](const Napi::CallbackInfo&) { running->cancel(); }, "cancel"));
  return job;
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  exports.Set("version", FP8_VERSION);
  exports.Set("devices", Napi::Function::New(env, devices, "devices"));
  exports.Set("startJob", Napi::Function::New(env, start_job, "startJob"));
  return exports;
}

}  // namespace

NODE_API_MODULE(fp8, initialise)

}  // namespace fp8::addon
