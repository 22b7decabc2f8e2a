// QuantizeRun: one matrix on its way to codes: what both ways of rounding have in common, from the scales to the report.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "core/file_range.h"
#include "core/scale_table.h"
#include "core/stopwatch.h"
#include "cpu/buffer.h"
#include "cpu/code_file.h"
#include "cpu/context.h"
#include "cpu/kernels.h"
#include "cpu/source_reader.h"
#include "fp8/backend.h"
#include "fp8/job.h"

namespace fp8 {

// Elements of one block of a pass over a tensor: part of the definition of the error sums, which follow the blocks.
inline constexpr std::size_t pass_elements = std::size_t{1} << 20;

struct TaskSeconds {
  double read = 0;
  double compute = 0;
  double write = 0;

  TaskSeconds& operator+=(const TaskSeconds& other) {
    read += other.read;
    compute += other.compute;
    write += other.write;
    return *this;
  }
};

Scan merged(std::span<const Scan> parts);

struct QuantizeRun {
  QuantizeRun(const QuantizeTask& quantize_task, const JobFiles& job_files, Observer& job_observer, Context& job_context);

  std::size_t rows() const { return static_cast<std::size_t>(task.rows); }
  std::size_t columns() const { return static_cast<std::size_t>(task.columns); }
  std::size_t element_bytes() const { return byte_size(task.dtype); }
  std::size_t row_bytes() const { return columns() * element_bytes(); }
  // Rows that one block of a pass takes, where it takes whole rows.
  std::size_t band_rows() const;
  std::size_t bands() const { return block_count(rows(), band_rows()); }
  Block band(std::size_t index) const { return block_at(index, band_rows(), rows()); }
  double squared_unit() const { return static_cast<double>(unit) * static_cast<double>(unit); }

  // The scales of nearest rounding; notes what the scan says of the matrix.
  ScaleTable make_table(const Scan& scan, std::span<const float> largest_magnitudes);

  void set_error(std::span<const RoundingError> parts);
  // Both in units.
  void set_error(double squared_error, double squared_value);

  void report_non_finite() { observer.on_event(NonFinite{task.id, non_finite, total.seconds()}); }
  void report(const ScaleTable& table);

  const QuantizeTask& task;
  const JobFiles& files;
  const SourceReader source;
  const File& output;
  Observer& observer;
  Context& context;
  const std::size_t count;
  const ScaleShape shape;
  const CodeFile code_file;
  std::uint64_t non_finite = 0;
  bool is_zero = false;
  // What the numbers of the solver and the error sums are multiplied by: the scale, or a power of two near the scales where there are many.
  float unit = 1;
  Stopwatch total;
  TaskSeconds seconds;
  Quantized result;
};

// What the blocks of a matrix hold at most, found band by band, on any threads.
class BlockScans {
 public:
  explicit BlockScans(QuantizeRun& run);

  // `source`: the rows of the band.
  void add(std::size_t band, const std::byte* source);
  ScaleTable table() { return run_.make_table(merged(scans_), largest_); }

 private:
  QuantizeRun& run_;
  std::mutex mutex_;
  std::vector<float> largest_;
  std::vector<Scan> scans_;
};

}  // namespace fp8
