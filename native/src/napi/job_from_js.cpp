#include <cmath>
#include <limits>
#include <optional>

#include "napi/convert.h"
#include "napi/properties.h"
#include "napi/storage_from_js.h"

namespace fp8::addon {

namespace {

SourceDtype dtype_from(const Napi::Object& object) {
  const std::string name = text(object, "dtype");
  if (name == "F32") return SourceDtype::f32;
  if (name == "F16") return SourceDtype::f16;
  if (name == "BF16") return SourceDtype::bf16;
  reject(object.Env(), "dtype", "F32, F16 or BF16");
}

Rounding rounding_from(const Napi::Object& object) {
  const std::string name = text(object, "rounding");
  if (name == "nearest") return Rounding::nearest;
  if (name == "learned") return Rounding::learned;
  if (name == "tpec") return Rounding::tpec;
  reject(object.Env(), "rounding", "nearest, learned or tpec");
}

// Checks what the arithmetic relies on: the plan has made sure of it, and a slip there must not become a wild read here.
void check_matrix(const Napi::Object& object, const FileRange& range, std::uint64_t rows, std::uint64_t columns, std::uint64_t element) {
  constexpr std::uint64_t limit = std::numeric_limits<std::int32_t>::max();
  if (rows > limit || columns > limit || rows * columns * element != range.length) {
    reject(object.Env(), "rows and columns", "the shape of the source range");
  }
}

ValueDtype value_dtype_from(const Napi::Object& object) {
  constexpr std::pair<const char*, ValueDtype> names[] = {
      {"F64", ValueDtype::f64},         {"F32", ValueDtype::f32},         {"F16", ValueDtype::f16},     {"BF16", ValueDtype::bf16},
      {"F8_E4M3", ValueDtype::f8_e4m3}, {"F8_E5M2", ValueDtype::f8_e5m2}, {"I8", ValueDtype::i8},       {"U8", ValueDtype::u8},
      {"I16", ValueDtype::i16},         {"U16", ValueDtype::u16},         {"I32", ValueDtype::i32},     {"U32", ValueDtype::u32},
      {"I64", ValueDtype::i64},         {"U64", ValueDtype::u64},         {"BOOL", ValueDtype::boolean}};
  const std::string name = text(object, "dtype");
  for (const auto& [known, dtype] : names) {
    if (name == known) return dtype;
  }
  reject(object.Env(), "dtype", "one whose values can be read");
}

TensorValues values_from(const Napi::Object& object, const char* name) {
  const Napi::Object values = object_from(object.Get(name), name);
  TensorValues result{range_from(values, "range"), value_dtype_from(values), real_number(values, "scale"), {}};
  result.codes = stored_codes_from(values, result.range);
  return result;
}

// `size`: of the side that the statistics speak of.
StatisticsTerm term_from(const Napi::Object& object, std::uint64_t size) {
  using Kind = StatisticsTerm::Kind;
  StatisticsTerm term;
  term.weight = real_number(object, "weight");
  if (!(term.weight > 0)) reject(object.Env(), "weight", "greater than 0");
  const std::string kind = text(object, "kind");
  if (kind == "gram") return term;
  term.values = values_from(object, "values");
  const std::uint64_t count = element_count(term.values);
  bool fits = false;
  if (kind == "samples") {
    term.kind = Kind::samples;
    fits = count > 0 && count % size == 0;
  } else if (kind == "secondMoment") {
    term.kind = Kind::second_moment;
    fits = count == size * size;
  } else if (kind == "diagonal") {
    term.kind = Kind::diagonal;
    fits = count == size;
  } else {
    reject(object.Env(), "kind", "gram, samples, secondMoment or diagonal");
  }
  if (!fits) reject(object.Env(), "values", "of the size of their side");
  return term;
}

Statistics statistics_from(const Napi::Object& object, std::uint64_t size) {
  Statistics statistics;
  statistics.damping = real_number(object, "damping");
  if (!(statistics.damping > 0)) reject(object.Env(), "damping", "greater than 0");
  for_each(object, "terms", [&](const Napi::Value& term) { statistics.terms.push_back(term_from(object_from(term, "a term"), size)); });
  if (statistics.terms.empty()) reject(object.Env(), "terms", "at least one");
  return statistics;
}

QuantizeTask quantize_from(const Napi::Object& object) {
  QuantizeTask task;
  task.id = small_number(object, "id");
  task.name = text(object, "name");
  task.source = range_from(object, "source");
  task.dtype = dtype_from(object);
  task.rows = whole_number(object, "rows");
  task.columns = whole_number(object, "columns");
  task.codes = stored_codes_from(object, task.source);
  if (!task.codes) {
    check_matrix(object, task.source, task.rows, task.columns, byte_size(task.dtype));
  } else if (task.codes->rows != task.rows || task.codes->columns != task.columns || task.dtype != SourceDtype::f32) {
    reject(object.Env(), "codes", "of the matrix's rows and columns, and dtype F32");
  }
  task.storage = storage_from(object, task.rows, task.columns);
  if (task.storage.scale_form == ScaleForm::f16 || task.storage.scale_form == ScaleForm::bf16)
    reject(object.Env(), "scaleForm", "f32, e8m0 or e4m3");
  task.weight_offset = whole_number(object, "weightOffset");
  for_each(object, "scaleOffsets", [&](const Napi::Value& value) { task.scale_offsets.push_back(whole_number(value, "scaleOffsets")); });
  if (!object.Get("tensorScaleOffsets").IsUndefined()) {
    for_each(object, "tensorScaleOffsets",
             [&](const Napi::Value& value) { task.tensor_scale_offsets.push_back(whole_number(value, "tensorScaleOffsets")); });
  }
  task.rounding = rounding_from(object);
  if (task.rounding == Rounding::tpec && !is_plain_e4m3(task.storage))
    reject(object.Env(), "rounding", "nearest or learned, unless the codes are E4M3 with one scale");
  task.top_k = small_number(object, "topK");
  task.num_iter = small_number(object, "numIter");
  task.seed = whole_number(object, "seed");
  const Napi::Value inputs = object.Get("inputs");
  if (!inputs.IsUndefined()) task.inputs = statistics_from(object_from(inputs, "inputs"), task.columns);
  const Napi::Value outputs = object.Get("outputs");
  if (!outputs.IsUndefined()) task.outputs = statistics_from(object_from(outputs, "outputs"), task.rows);
  return task;
}

CompareTask compare_from(const Napi::Object& object) {
  CompareTask task;
  task.id = small_number(object, "id");
  task.name = text(object, "name");
  task.converted = range_from(object, "converted");
  task.source = range_from(object, "source");
  task.codes = stored_codes_from(object, task.converted);
  if (!object.Get("scale").IsUndefined()) task.scale = static_cast<float>(real_number(object, "scale"));
  if (!task.codes && !task.scale) return task;
  task.dtype = dtype_from(object);
  task.rows = whole_number(object, "rows");
  task.columns = whole_number(object, "columns");
  task.source_codes = stored_codes_from(object, task.source, "sourceCodes");
  if (!task.source_codes) {
    check_matrix(object, task.source, task.rows, task.columns, byte_size(task.dtype));
  } else if (task.source_codes->rows != task.rows || task.source_codes->columns != task.columns || task.dtype != SourceDtype::f32) {
    reject(object.Env(), "sourceCodes", "of the matrix's rows and columns, and dtype F32");
  }
  if (!task.codes) {
    check_matrix(object, task.converted, task.rows, task.columns, 1);
  } else if (task.codes->rows != task.rows || task.codes->columns != task.columns) {
    reject(object.Env(), "codes", "of the matrix's rows and columns");
  }
  return task;
}

DequantizeTask dequantize_from(const Napi::Object& object) {
  return {small_number(object, "id"), text(object, "name"), values_from(object, "values"), dtype_from(object),
          whole_number(object, "outputOffset")};
}

InspectTask inspect_from(const Napi::Object& object) {
  InspectTask task;
  task.id = small_number(object, "id");
  task.name = text(object, "name");
  task.values = values_from(object, "values");
  task.rows = whole_number(object, "rows");
  task.columns = whole_number(object, "columns");
  const std::uint64_t count = element_count(task.values);
  // Divided, for the product of two numbers may not fit.
  const bool fits = count == 0 ? task.rows == 0 || task.columns == 0
                               : task.columns != 0 && count % task.columns == 0 && count / task.columns == task.rows;
  if (!fits) reject(object.Env(), "rows and columns", "the shape of the values");
  return task;
}

DifferenceTask difference_from(const Napi::Object& object) {
  DifferenceTask task;
  task.id = small_number(object, "id");
  task.name = text(object, "name");
  task.reference = values_from(object, "reference");
  task.other = values_from(object, "other");
  if (element_count(task.reference) != element_count(task.other)) reject(object.Env(), "reference and other", "equally many values");
  return task;
}

CheckStatisticsTask check_statistics_from(const Napi::Object& object) {
  using Form = CheckStatisticsTask::Form;
  static constexpr std::pair<const char*, Form> forms[] = {
      {"samples", Form::samples}, {"secondMoment", Form::second_moment}, {"diagonal", Form::diagonal}, {"mean", Form::mean}};
  CheckStatisticsTask task;
  task.id = small_number(object, "id");
  task.name = text(object, "name");
  task.form = one_of(object, "form", forms);
  task.values = values_from(object, "values");
  task.size = whole_number(object, "size");
  task.damping = real_number(object, "damping");
  if (!(task.damping > 0)) reject(object.Env(), "damping", "greater than 0");
  const std::uint64_t count = element_count(task.values);
  const bool fits = task.size != 0 && count != 0 && count % task.size == 0 &&
                    (task.form == Form::samples || count / task.size == (task.form == Form::second_moment ? task.size : 1));
  if (!fits) reject(object.Env(), "size", "that of the values");
  return task;
}

PropagateStep step_from(const Napi::Object& object, std::uint32_t registers) {
  using Kind = PropagateStep::Kind;
  using Activation = PropagateStep::Activation;
  static constexpr std::pair<const char*, Kind> kinds[] = {{"gather", Kind::gather},
                                                           {"noise", Kind::noise},
                                                           {"time", Kind::time},
                                                           {"linear", Kind::linear},
                                                           {"rmsNorm", Kind::rms_norm},
                                                           {"layerNorm", Kind::layer_norm},
                                                           {"activate", Kind::activate},
                                                           {"multiply", Kind::multiply},
                                                           {"add", Kind::add},
                                                           {"modulate", Kind::modulate},
                                                           {"slice", Kind::slice},
                                                           {"shuffle", Kind::shuffle},
                                                           {"repeatHeads", Kind::repeat_heads},
                                                           {"store", Kind::store}};
  static constexpr std::pair<const char*, Activation> activations[] = {
      {"silu", Activation::silu}, {"gelu", Activation::gelu}, {"geluTanh", Activation::gelu_tanh}, {"quickGelu", Activation::quick_gelu}};
  const auto optional_number = [&](const char* name, std::uint32_t otherwise) {
    return object.Get(name).IsUndefined() ? otherwise : small_number(object, name);
  };
  PropagateStep step;
  step.kind = one_of(object, "kind", kinds);
  step.out = optional_number("out", 0);
  step.a = optional_number("a", 0);
  step.b = optional_number("b", step.a);
  if (step.out >= registers || step.a >= registers || step.b >= registers) reject(object.Env(), "a register", "below registerCount");
  step.rows = optional_number("rows", 0);
  step.times = optional_number("times", 1);
  step.part = optional_number("part", 0);
  if (!object.Get("weight").IsUndefined()) step.weight = values_from(object, "weight");
  if (!object.Get("bias").IsUndefined()) step.bias = values_from(object, "bias");
  switch (step.kind) {
    case Kind::gather:
    case Kind::linear:
      if (!step.weight || step.rows == 0 || element_count(*step.weight) % step.rows != 0)
        reject(object.Env(), "weight", "a matrix of `rows` rows");
      break;
    case Kind::noise:
    case Kind::time:
    case Kind::slice:
      if (step.rows == 0) reject(object.Env(), "rows", "greater than 0");
      break;
    case Kind::activate:
      step.activation = one_of(object, "activation", activations);
      break;
    case Kind::store:
      step.mean_offset = whole_number(object, "meanOffset");
      step.offset = whole_number(object, "offset");
      step.stores_samples = text(object, "as") == "samples";
      break;
    default:
      break;
  }
  return step;
}

PropagateTask propagate_from(const Napi::Object& object) {
  PropagateTask task;
  task.id = small_number(object, "id");
  task.name = text(object, "name");
  task.samples = small_number(object, "samples");
  if (task.samples == 0) reject(object.Env(), "samples", "greater than 0");
  task.seed = whole_number(object, "seed");
  task.register_count = small_number(object, "registerCount");
  for_each(object, "steps",
           [&](const Napi::Value& step) { task.steps.push_back(step_from(object_from(step, "a step"), task.register_count)); });
  return task;
}

CorrectBiasTask correct_bias_from(const Napi::Object& object) {
  CorrectBiasTask task;
  task.id = small_number(object, "id");
  task.name = text(object, "name");
  task.rows = whole_number(object, "rows");
  task.columns = whole_number(object, "columns");
  task.weights = values_from(object, "weights");
  task.codes = values_from(object, "codes");
  task.inputs = values_from(object, "inputs");
  task.bias = values_from(object, "bias");
  task.output_offset = whole_number(object, "outputOffset");
  if (element_count(task.weights) != task.rows * task.columns) reject(object.Env(), "weights", "a matrix of rows × columns");
  if (element_count(task.codes) != task.rows * task.columns) reject(object.Env(), "codes", "as many as there are weights");
  const std::uint64_t inputs = element_count(task.inputs);
  if (task.columns == 0 || inputs == 0 || inputs % task.columns != 0) reject(object.Env(), "inputs", "vectors of `columns` values");
  if (element_count(task.bias) != task.rows) reject(object.Env(), "bias", "one value for each row");
  return task;
}

Task task_from(const Napi::Value& value) {
  const Napi::Object object = object_from(value, "a task");
  const std::string kind = text(object, "kind");
  if (kind == "copy") {
    return CopyTask{small_number(object, "id"), text(object, "name"), range_from(object, "source"), whole_number(object, "outputOffset")};
  }
  if (kind == "quantize") return quantize_from(object);
  if (kind == "compare") return compare_from(object);
  if (kind == "dequantize") return dequantize_from(object);
  if (kind == "inspect") return inspect_from(object);
  if (kind == "difference") return difference_from(object);
  if (kind == "propagate") return propagate_from(object);
  if (kind == "correctBias") return correct_bias_from(object);
  if (kind == "checkStatistics") return check_statistics_from(object);
  reject(object.Env(), "kind", "copy, quantize, dequantize, compare, inspect, difference, propagate, correctBias or checkStatistics");
}

std::vector<FileRange> ranges_of(const TensorValues& values) {
  if (values.codes && values.codes->scales.length != 0) return {values.range, values.codes->scales};
  return {values.range};
}

std::vector<FileRange> ranges_of(const Task& task) {
  if (const auto* compare = std::get_if<CompareTask>(&task)) {
    std::vector<FileRange> compared = {compare->converted, compare->source};
    for (const auto& codes : {compare->codes, compare->source_codes}) {
      if (codes && codes->scales.length != 0) compared.push_back(codes->scales);
    }
    return compared;
  }
  if (const auto* copy = std::get_if<CopyTask>(&task)) return {copy->source};
  std::vector<FileRange> ranges;
  const auto add_values = [&](const TensorValues& values) {
    for (const FileRange& range : ranges_of(values)) ranges.push_back(range);
  };
  if (const auto* inspect = std::get_if<InspectTask>(&task)) {
    add_values(inspect->values);
    return ranges;
  }
  if (const auto* difference = std::get_if<DifferenceTask>(&task)) {
    add_values(difference->reference);
    add_values(difference->other);
    return ranges;
  }
  if (const auto* check = std::get_if<CheckStatisticsTask>(&task)) {
    add_values(check->values);
    return ranges;
  }
  if (const auto* dequantize = std::get_if<DequantizeTask>(&task)) {
    add_values(dequantize->values);
    return ranges;
  }
  if (const auto* propagate = std::get_if<PropagateTask>(&task)) {
    for (const PropagateStep& step : propagate->steps) {
      if (step.weight) add_values(*step.weight);
      if (step.bias) add_values(*step.bias);
    }
    return ranges;
  }
  if (const auto* correct = std::get_if<CorrectBiasTask>(&task)) {
    for (const TensorValues* values : {&correct->weights, &correct->codes, &correct->inputs, &correct->bias}) add_values(*values);
    return ranges;
  }
  const auto& quantize = std::get<QuantizeTask>(task);
  ranges.push_back(quantize.source);
  if (quantize.codes && quantize.codes->scales.length != 0) ranges.push_back(quantize.codes->scales);
  const auto add = [&](const Statistics& statistics) {
    for (const StatisticsTerm& term : statistics.terms) {
      if (term.kind != StatisticsTerm::Kind::gram) add_values(term.values);
    }
  };
  add(quantize.inputs);
  if (quantize.outputs) add(*quantize.outputs);
  return ranges;
}

bool only_reads(const Task& task) {
  return std::holds_alternative<CompareTask>(task) || std::holds_alternative<InspectTask>(task) ||
         std::holds_alternative<DifferenceTask>(task) || std::holds_alternative<CheckStatisticsTask>(task);
}

}  // namespace

Job job_from(const Napi::Value& value) {
  const Napi::Object object = object_from(value, "the job");
  Job job;
  for_each(object, "files", [&](const Napi::Value& path) {
    if (!path.IsString()) reject(path.Env(), "files", "an array of strings");
    job.files.push_back(path.As<Napi::String>().Utf8Value());
  });
  if (!object.Get("output").IsUndefined()) job.output = text(object, "output");
  for_each(object, "tasks", [&](const Napi::Value& task) {
    job.tasks.push_back(task_from(task));
    for (const FileRange& range : ranges_of(job.tasks.back())) {
      if (range.file >= job.files.size()) reject(object.Env(), "file", "an index into files");
    }
    if (!job.output && !only_reads(job.tasks.back())) reject(object.Env(), "output", "given for tasks that write");
  });
  job.device = text(object, "device");
  job.threads = small_number(object, "threads");
  return job;
}

}  // namespace fp8::addon
