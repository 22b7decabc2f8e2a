// Job: what a backend is asked to do and what it tells while doing it. Mirrors src/engine/job/quantizer.ts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace fp8 {

enum class SourceDtype { f32, f16, bf16 };
enum class Rounding { nearest, learned, tpec };

constexpr std::size_t byte_size(SourceDtype dtype) { return dtype == SourceDtype::f32 ? 4 : 2; }

// Bytes of `Job::files[file]`, from its start.
struct FileRange {
  std::uint32_t file = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

struct CopyTask {
  std::uint32_t id = 0;
  std::string name;
  FileRange source;
  std::uint64_t output_offset = 0;
};

// What an element may be where its values are only read.
enum class ValueDtype { f64, f32, f16, bf16, f8_e4m3, f8_e5m2, i8, u8, i16, u16, i32, u32, i64, u64, boolean };

// See CodeGrid, ScaleForm, ScaleOrder and CodeStorage in quantizer.ts. The last two forms are only read.
enum class CodeGrid { e4m3, e5m2, int8, e2m1 };
enum class ScaleForm { f32, e8m0, e4m3, f16, bf16 };
enum class ScaleOrder { plain, swizzled };
enum class Nibbles { even_high, even_low };
enum class TensorScaleForm { factor, divisor };

struct ScaleBlock {
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
};

struct CodeStorage {
  CodeGrid grid = CodeGrid::e4m3;
  std::optional<ScaleBlock> block;
  ScaleForm scale_form = ScaleForm::f32;
  ScaleOrder scale_order = ScaleOrder::plain;
  Nibbles nibbles = Nibbles::even_high;
  TensorScaleForm tensor_scale_form = TensorScaleForm::factor;
  // As large as the matrix itself where it is not padded; 0 stands for that.
  std::uint64_t stored_rows = 0;
  std::uint64_t stored_columns = 0;
};

// Whether the codes are E4M3 with one F32 scale for all, unpadded.
constexpr bool is_plain_e4m3(const CodeStorage& storage) {
  return storage.grid == CodeGrid::e4m3 && !storage.block && storage.scale_form == ScaleForm::f32 && storage.stored_rows == 0 &&
         storage.stored_columns == 0;
}

// See StoredCodes in quantizer.ts.
struct StoredCodes {
  CodeStorage storage;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  FileRange scales;  // of no length where every code stands for itself
  double tensor_scale = 1;
};

// A tensor whose values are element × scale; with `codes`, code × its scale × `scale`, whatever the dtype.
struct TensorValues {
  FileRange range;
  ValueDtype dtype = ValueDtype::bf16;
  double scale = 1;
  std::optional<StoredCodes> codes = std::nullopt;
};

constexpr std::size_t byte_size(ValueDtype dtype) {
  switch (dtype) {
    case ValueDtype::f64:
    case ValueDtype::i64:
    case ValueDtype::u64:
      return 8;
    case ValueDtype::f32:
    case ValueDtype::i32:
    case ValueDtype::u32:
      return 4;
    case ValueDtype::f16:
    case ValueDtype::bf16:
    case ValueDtype::i16:
    case ValueDtype::u16:
      return 2;
    case ValueDtype::f8_e4m3:
    case ValueDtype::f8_e5m2:
    case ValueDtype::i8:
    case ValueDtype::u8:
    case ValueDtype::boolean:
      return 1;
  }
  return 1;
}

constexpr std::uint64_t element_count(const TensorValues& values) {
  return values.codes ? values.codes->rows * values.codes->columns : values.range.length / byte_size(values.dtype);
}

// One term of what is known of a layer's inputs or outputs. See StatisticsTerm in quantizer.ts.
struct StatisticsTerm {
  enum class Kind {
    gram,           // of the weights themselves
    samples,        // values: samples × size, row-major
    second_moment,  // values: size × size, symmetric
    diagonal,       // values: size
  };
  Kind kind = Kind::gram;
  double weight = 1;
  TensorValues values;  // unless gram
};

// Σ weight · term, each term with a mean diagonal of 1, then divided by Σ weight, plus damping · I.
struct Statistics {
  std::vector<StatisticsTerm> terms;
  double damping = 1;
};

// One matrix, rows × columns (out × in), row-major.
struct QuantizeTask {
  std::uint32_t id = 0;
  std::string name;
  FileRange source;
  SourceDtype dtype = SourceDtype::bf16;
  std::optional<StoredCodes> codes = std::nullopt;  // where the source is quantized itself; its values are F32 then
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  CodeStorage storage;
  std::uint64_t weight_offset = 0;                  // the codes
  std::vector<std::uint64_t> scale_offsets;         // each receives the scales
  std::vector<std::uint64_t> tensor_scale_offsets;  // each receives the F32 scale of the tensor, where scales are E4M3
  Rounding rounding = Rounding::learned;
  std::uint32_t top_k = 0;  // 0: full rank
  std::uint32_t num_iter = 500;
  std::uint64_t seed = 0;
  Statistics inputs{{StatisticsTerm{}}, 1};  // H
  std::optional<Statistics> outputs;         // G; without it every output counts the same and for itself
};

// See CompareTask in quantizer.ts.
struct CompareTask {
  std::uint32_t id = 0;
  std::string name;
  FileRange converted;
  FileRange source;
  SourceDtype dtype = SourceDtype::bf16;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::optional<float> scale = std::nullopt;
  std::optional<StoredCodes> codes = std::nullopt;
  std::optional<StoredCodes> source_codes = std::nullopt;  // where the source is quantized itself; its values are F32 then
};

// See InspectTask in quantizer.ts.
struct InspectTask {
  std::uint32_t id = 0;
  std::string name;
  TensorValues values;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
};

// See DifferenceTask in quantizer.ts. Reports Compared.
struct DifferenceTask {
  std::uint32_t id = 0;
  std::string name;
  TensorValues reference;
  TensorValues other;
};

// See CheckStatisticsTask in quantizer.ts. Reports Checked.
struct CheckStatisticsTask {
  enum class Form { samples, second_moment, diagonal, mean };
  std::uint32_t id = 0;
  std::string name;
  Form form = Form::samples;
  TensorValues values;
  std::uint64_t size = 0;
  double damping = 1;
};

// See DequantizeTask in quantizer.ts. Reports Copied.
struct DequantizeTask {
  std::uint32_t id = 0;
  std::string name;
  TensorValues values;
  SourceDtype dtype = SourceDtype::bf16;
  std::uint64_t output_offset = 0;
};

// One step of a PropagateTask: from registers, each of which holds `samples` vectors, to a register. See PropagateStep in quantizer.ts.
struct PropagateStep {
  enum class Kind {
    gather,
    noise,
    time,
    linear,
    rms_norm,
    layer_norm,
    activate,
    multiply,
    add,
    modulate,
    slice,
    shuffle,
    repeat_heads,
    store
  };
  enum class Activation { silu, gelu, gelu_tanh, quick_gelu };
  Kind kind = Kind::store;
  std::uint32_t out = 0;
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t rows = 0;   // gather, linear: of the weight; noise, time, slice: width of the result; repeat_heads: size of a head
  std::uint32_t times = 1;  // repeat_heads
  std::uint32_t part = 0;   // slice: which, counted in its own width
  Activation activation = Activation::silu;
  std::optional<TensorValues> weight;
  std::optional<TensorValues> bias;
  // store: F32 mean of each element; then BF16 samples or the F32 second moment.
  std::uint64_t mean_offset = 0;
  std::uint64_t offset = 0;
  bool stores_samples = false;
};

struct PropagateTask {
  std::uint32_t id = 0;
  std::string name;
  std::uint32_t samples = 0;
  std::uint64_t seed = 0;
  std::uint32_t register_count = 0;
  std::vector<PropagateStep> steps;
};

// See CorrectBiasTask in quantizer.ts. Reports Compared: the corrected bias against the bias.
struct CorrectBiasTask {
  std::uint32_t id = 0;
  std::string name;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  TensorValues weights;  // rows × columns
  TensorValues codes;    // what was written for them
  TensorValues inputs;   // any number of vectors of `columns` values, whose mean is the mean input
  TensorValues bias;     // rows values, of a source dtype
  std::uint64_t output_offset = 0;
};

using Task = std::variant<CopyTask, QuantizeTask, CompareTask, InspectTask, DifferenceTask, PropagateTask, DequantizeTask, CorrectBiasTask,
                          CheckStatisticsTask>;

struct Job {
  std::vector<std::string> files;
  std::optional<std::string> output;  // exists and has its final size
  std::vector<Task> tasks;
  std::string device;         // "auto", "cpu", "cuda:0"
  std::uint32_t threads = 0;  // 0: all cores
};

struct Started {
  std::uint32_t id;
  std::string device;
};
struct Progress {
  std::uint32_t id;
  double fraction;
};
struct Copied {
  std::uint32_t id;
  double seconds;
};
struct Quantized {
  std::uint32_t id = 0;
  float scale = 1;  // of the whole matrix
  // Instead of it, where there are several.
  std::optional<float> smallest_scale;
  std::optional<float> largest_scale;
  double relative_error = 0;
  double squared_source = 0;  // sum of squares of the source's values, to combine the relative errors of several tensors
  std::optional<double> objective;
  std::optional<double> objective_nearest;
  std::optional<double> objective_learned;
  std::uint32_t sweeps = 0;
  bool kept_nearest = false;
  double changed_share = 0;
  std::string device;
  double read_seconds = 0;
  double compute_seconds = 0;
  double write_seconds = 0;
};
struct NonFinite {
  std::uint32_t id;
  std::uint64_t count;
  double seconds;
};
struct Compared {
  std::uint32_t id = 0;
  bool equal = false;
  double squared_error = 0;
  double squared_source = 0;
  double max_absolute_error = 0;
  std::optional<double> squared_converted;
  std::optional<double> squared_nearest;     // of nearest rounding with the same scales
  std::optional<double> largest_step_error;  // in units of half the widest step of the grid times the scale
  std::uint64_t non_finite_count = 0;
};
// What a cast to E4M3 would lose, in elements.
struct CastLoss {
  std::uint64_t underflow = 0;  // not zero, and zero afterwards
  std::uint64_t subnormal = 0;  // below the smallest normal value, those of underflow included
  std::uint64_t saturated = 0;  // beyond the largest value
};
struct Inspected {
  std::uint32_t id = 0;
  std::uint64_t count = 0;
  std::uint64_t zero_count = 0;
  std::uint64_t nan_count = 0;
  std::uint64_t infinity_count = 0;
  // Of the finite values; 0 where there are none.
  double smallest = 0;
  double largest = 0;
  double mean = 0;
  double deviation = 0;
  std::vector<std::uint64_t> histogram;  // equal bins from smallest to largest
  float fp8_scale = 1;                   // of the whole tensor, as nearest and learned rounding take it
  CastLoss at_scale;
  CastLoss unscaled;
  // Energy (sum of squares) of the columns, from most to least, at equally spaced ranks; 1 is the mean. Empty for a single column or row.
  std::vector<double> column_energies;
  double half_energy_share = 0;  // the smallest share of the columns that holds half of the energy
};
// See CheckedResult in quantizer.ts.
struct Checked {
  enum class Verdict { usable, all_zero, non_finite, no_moment };
  std::uint32_t id = 0;
  Verdict verdict = Verdict::usable;
  std::uint64_t non_finite_count = 0;
  double damping = 1;
};
struct Note {
  std::uint32_t id;
  std::string message;
};

using Event = std::variant<Started, Progress, Copied, Quantized, NonFinite, Compared, Inspected, Checked, Note>;

struct Device {
  std::string id;
  std::string kind;  // "cpu" or "cuda"
  std::string name;
  bool available = false;
  std::string reason;
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint64_t> free_memory_bytes;
  std::string compute_capability;
  std::string driver_version;
  std::optional<std::uint32_t> threads;
  std::string instruction_set;
};

}  // namespace fp8
