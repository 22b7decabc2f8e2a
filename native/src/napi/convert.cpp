#include "napi/convert.h"

#include <cmath>
#include <limits>
#include <optional>

namespace fp8::addon {

namespace {

class ObjectBuilder {
 public:
  explicit ObjectBuilder(Napi::Env env) : object_(Napi::Object::New(env)) {}

  ObjectBuilder& set(const char* name, const std::string& value) {
    object_.Set(name, value);
    return *this;
  }
  ObjectBuilder& set(const char* name, const char* value) {
    object_.Set(name, value);
    return *this;
  }
  ObjectBuilder& set(const char* name, double value) {
    object_.Set(name, value);
    return *this;
  }
  ObjectBuilder& set(const char* name, bool value) {
    object_.Set(name, value);
    return *this;
  }
  ObjectBuilder& set(const char* name, std::uint32_t value) { return set(name, static_cast<double>(value)); }
  ObjectBuilder& set(const char* name, std::uint64_t value) { return set(name, static_cast<double>(value)); }
  ObjectBuilder& set(const char* name, Napi::Value value) {
    object_.Set(name, value);
    return *this;
  }
  template <typename T>
  ObjectBuilder& set(const char* name, const std::vector<T>& values) {
    Napi::Array array = Napi::Array::New(object_.Env(), values.size());
    for (std::uint32_t i = 0; i < values.size(); ++i) array.Set(i, static_cast<double>(values[i]));
    object_.Set(name, array);
    return *this;
  }
  template <typename T>
  ObjectBuilder& set(const char* name, const std::optional<T>& value) {
    return value ? set(name, *value) : *this;
  }
  ObjectBuilder& set_unless_empty(const char* name, const std::string& value) { return value.empty() ? *this : set(name, value); }

  Napi::Object take() { return object_; }

 private:
  Napi::Object object_;
};

struct EventToJs {
  Napi::Env env;

  ObjectBuilder start(const char* type, std::uint32_t id) const {
    ObjectBuilder builder(env);
    builder.set("type", type).set("id", id);
    return builder;
  }
  Napi::Object operator()(const Started& event) const { return start("started", event.id).set("device", event.device).take(); }
  Napi::Object operator()(const Progress& event) const { return start("progress", event.id).set("fraction", event.fraction).take(); }
  Napi::Object operator()(const Copied& event) const { return start("copied", event.id).set("seconds", event.seconds).take(); }
  Napi::Object operator()(const NonFinite& event) const {
    return start("nonFinite", event.id).set("count", event.count).set("seconds", event.seconds).take();
  }
  Napi::Object operator()(const Note& event) const { return start("note", event.id).set("message", event.message).take(); }
  Napi::Object operator()(const Quantized& event) const {
    ObjectBuilder builder = start("quantized", event.id);
    if (event.smallest_scale && event.largest_scale) {
      builder.set("scaleRange", ObjectBuilder(env)
                                    .set("smallest", static_cast<double>(*event.smallest_scale))
                                    .set("largest", static_cast<double>(*event.largest_scale))
                                    .take());
    } else {
      builder.set("scale", static_cast<double>(event.scale));
    }
    return builder.set("relativeError", event.relative_error)
        .set("squaredSource", event.squared_source)
        .set("objective", event.objective)
        .set("objectiveNearest", event.objective_nearest)
        .set("objectiveLearned", event.objective_learned)
        .set("sweeps", event.sweeps)
        .set("keptNearest", event.kept_nearest)
        .set("changedShare", event.changed_share)
        .set("device", event.device)
        .set("readSeconds", event.read_seconds)
        .set("computeSeconds", event.compute_seconds)
        .set("writeSeconds", event.write_seconds)
        .take();
  }
  Napi::Object operator()(const Compared& event) const {
    return start("compared", event.id)
        .set("equal", event.equal)
        .set("squaredError", event.squared_error)
        .set("squaredSource", event.squared_source)
        .set("maxAbsoluteError", event.max_absolute_error)
        .set("squaredConverted", event.squared_converted)
        .set("squaredNearest", event.squared_nearest)
        .set("largestStepError", event.largest_step_error)
        .set("nonFiniteCount", event.non_finite_count)
        .take();
  }
  Napi::Object operator()(const Inspected& event) const {
    return start("inspected", event.id)
        .set("count", event.count)
        .set("zeroCount", event.zero_count)
        .set("nanCount", event.nan_count)
        .set("infinityCount", event.infinity_count)
        .set("smallest", event.smallest)
        .set("largest", event.largest)
        .set("mean", event.mean)
        .set("deviation", event.deviation)
        .set("histogram", event.histogram)
        .set("fp8Scale", static_cast<double>(event.fp8_scale))
        .set("atScale", loss(event.at_scale))
        .set("unscaled", loss(event.unscaled))
        .set("columnEnergies", event.column_energies)
        .set("halfEnergyShare", event.half_energy_share)
        .take();
  }
  Napi::Object operator()(const Checked& event) const {
    return start("checked", event.id)
        .set("verdict", verdict(event.verdict))
        .set("nonFiniteCount", event.non_finite_count)
        .set("damping", event.damping)
        .take();
  }
  static const char* verdict(Checked::Verdict value) {
    switch (value) {
      case Checked::Verdict::usable:
        return "usable";
      case Checked::Verdict::all_zero:
        return "allZero";
      case Checked::Verdict::non_finite:
        return "nonFinite";
      case Checked::Verdict::no_moment:
        return "noMoment";
    }
    return "";
  }
  Napi::Object loss(const CastLoss& value) const {
    return ObjectBuilder(env).set("underflow", value.underflow).set("subnormal", value.subnormal).set("saturated", value.saturated).take();
  }
};

}  // namespace

Napi::Object to_js(Napi::Env env, const Event& event) { return std::visit(EventToJs{env}, event); }

Napi::Object to_js(Napi::Env env, const Device& device) {
  return ObjectBuilder(env)
      .set("id", device.id)
      .set("kind", device.kind)
      .set("name", device.name)
      .set("available", device.available)
      .set_unless_empty("reason", device.reason)
      .set("memoryBytes", device.memory_bytes)
      .set("freeMemoryBytes", device.free_memory_bytes)
      .set_unless_empty("computeCapability", device.compute_capability)
      .set_unless_empty("driverVersion", device.driver_version)
      .set("threads", device.threads)
      .set_unless_empty("instructionSet", device.instruction_set)
      .take();
}

const char* code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::file_not_found:
      return "FileNotFound";
    case ErrorCode::permission_denied:
      return "PermissionDenied";
    case ErrorCode::disk_full:
      return "DiskFull";
    case ErrorCode::file_changed:
      return "FileChanged";
    case ErrorCode::device_unavailable:
      return "DeviceUnavailable";
    case ErrorCode::device_failed:
      return "DeviceFailed";
    case ErrorCode::out_of_memory:
      return "OutOfMemory";
    case ErrorCode::io:
      return "Io";
    case ErrorCode::internal:
      return "Internal";
  }
  return "Internal";
}

}  // namespace fp8::addon
