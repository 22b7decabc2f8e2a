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

// One matrix, rows × columns (out × in), row-major.
struct QuantizeTask {
  std::uint32_t id = 0;
  std::string name;
  FileRange source;
  SourceDtype dtype = SourceDtype::bf16;
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::uint64_t weight_offset = 0;           // rows × columns codes, one byte each
  std::vector<std::uint64_t> scale_offsets;  // each receives the F32 scale
  Rounding rounding = Rounding::learned;
  std::uint32_t top_k = 0;  // 0: full rank
  std::uint32_t num_iter = 500;
  std::uint64_t seed = 0;
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
  std::optional<float> scale;
};

using Task = std::variant<CopyTask, QuantizeTask, CompareTask>;

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
  float scale = 1;
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
  std::uint64_t non_finite_count = 0;
};
struct Note {
  std::uint32_t id;
  std::string message;
};

using Event = std::variant<Started, Progress, Copied, Quantized, NonFinite, Compared, Note>;

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
