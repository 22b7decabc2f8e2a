#include "cpu/quantize_task.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>
#include <vector>

#include "core/stop.h"
#include "core/stopwatch.h"
#include "cpu/block_pass.h"
#include "cpu/buffer.h"
#include "cpu/code_file.h"
#include "cpu/coupled_sweeps.h"
#include "cpu/kernels.h"
#include "cpu/learned_rounding.h"
#include "cpu/scale_table.h"
#include "cpu/scaled_matrix.h"
#include "cpu/statistics.h"
#include "cpu/tpec.h"
#include "fp8/fp8.h"
#include "fp8/storage.h"

namespace fp8 {

namespace {

// Elements of one block of a pass over a tensor: part of the definition of the error sums, which follow the blocks.
constexpr std::size_t pass_elements = std::size_t{1} << 20;
// A tensor up to this size is read once and held; a larger one is read again for the second pass of nearest rounding.
constexpr std::uint64_t held_bytes = std::uint64_t{128} << 20;

struct Seconds {
  double read = 0;
  double compute = 0;
  double write = 0;

  Seconds& operator+=(const Seconds& other) {
    read += other.read;
    compute += other.compute;
    write += other.write;
    return *this;
  }
};

Scan merged(std::span<const Scan> parts) {
  Scan total;
  for (const Scan& part : parts) {
    total.largest_magnitude = std::max(total.largest_magnitude, part.largest_magnitude);
    total.non_finite += part.non_finite;
  }
  return total;
}

// One scale, and codes that are stored as they come.
bool is_one_block_of_bytes(const CodeStorage& storage) {
  return !storage.block && storage.grid != CodeGrid::e2m1 && storage.stored_rows == 0 && storage.stored_columns == 0;
}

double relative_error(double squared_error, double squared_value) {
  return squared_value > 0 ? std::sqrt(squared_error / squared_value) : 0;
}

class QuantizeRun {
 public:
  QuantizeRun(const QuantizeTask& task, const JobFiles& files, Observer& observer, Context& context)
      : task_(task),
        files_(files),
        source_(files.source(task.source)),
        output_(files.output()),
        observer_(observer),
        context_(context),
        count_(static_cast<std::size_t>(task.rows * task.columns)),
        shape_(scale_shape(task.storage, task.rows, task.columns)),
        code_file_(task, output_, context.stop) {}

  void run() {
    if (task_.rounding == Rounding::nearest) {
      if (is_one_block_of_bytes(task_.storage)) {
        round_to_nearest();
      } else {
        round_rows_to_nearest();
      }
    } else {
      learn();
    }
  }

 private:
  std::size_t element_bytes() const { return byte_size(task_.dtype); }

  void learn() {
    Stopwatch watch;
    context_.progress.begin_phase(0.02, 1);
    Buffer<std::byte> source(count_ * element_bytes());
    read_range(source_, task_.source.offset, source.span(), task_.name, context_.stop);
    seconds_.read = watch.restart();

    const ScaleTable nearest = task_.storage.block ? scan_blocks(source.span()) : scan_whole(source.span());
    if (non_finite_ != 0) return report_non_finite();

    // An all-zero matrix has nothing to learn, and no statistics.
    if (is_zero_) {
      Buffer<std::uint8_t> codes(count_);
      set_error(quantize_in_rows(source.span(), nearest, codes));
      set_zero_objectives();
      seconds_.compute = watch.restart();
      finish(codes.span(), nearest);
      return;
    }
    ScaleTable chosen = nearest;
    const RoundedMatrix rounded = round(source, nearest, chosen);
    seconds_.compute = watch.restart();
    finish(rounded.codes.span(), rounded.kept_nearest ? nearest : chosen);
  }

  ScaleTable scan_whole(std::span<const std::byte> source) {
    std::vector<Scan> scans(block_count(count_, pass_elements));
    context_.pool.parallel_for(scans.size(), context_.stop, [&](std::size_t index) {
      const Block block = block_at(index, pass_elements, count_);
      scans[index] = kernels().scan(source.data() + block.begin * element_bytes(), task_.dtype, block.size());
    });
    const Scan scan = merged(scans);
    return make_table(scan, std::span(&scan.largest_magnitude, 1));
  }

  ScaleTable scan_blocks(std::span<const std::byte> source) {
    BlockScans scans(*this);
    context_.pool.parallel_for(scans.bands(), context_.stop, [&](std::size_t index) {
      const Block rows = scans.rows(index);
      scans.add(index, source.data() + rows.begin * row_bytes());
    });
    return scans.table();
  }

  // What a matrix's blocks hold at most, found band by band.
  class BlockScans {
   public:
    explicit BlockScans(QuantizeRun& run)
        : run_(run),
          largest_(static_cast<std::size_t>(run.shape_.count()), 0.0F),
          scans_(block_count(static_cast<std::size_t>(run.task_.rows), run.band_rows())) {}

    std::size_t bands() const { return scans_.size(); }
    Block rows(std::size_t band) const { return block_at(band, run_.band_rows(), static_cast<std::size_t>(run_.task_.rows)); }

    void add(std::size_t band, const std::byte* source) {
      const Block blocks = block_rows_of(run_.shape_, rows(band));
      const auto per_row = static_cast<std::size_t>(run_.shape_.columns);
      std::vector<float> found(blocks.size() * per_row, 0.0F);
      scans_[band] = scan_rows(source, run_.task_.dtype, rows(band), static_cast<std::size_t>(run_.task_.columns), run_.shape_, found.data());
      // Two bands may share a block.
      const std::lock_guard<std::mutex> lock(mutex_);
      float* largest = largest_.data() + blocks.begin * per_row;
      for (std::size_t i = 0; i < found.size(); ++i) largest[i] = std::max(largest[i], found[i]);
    }

    ScaleTable table() { return run_.make_table(merged(scans_), largest_); }

   private:
    QuantizeRun& run_;
    std::mutex mutex_;
    std::vector<float> largest_;
    std::vector<Scan> scans_;
  };

  // Rows that one block of a pass takes.
  std::size_t band_rows() const { return std::max<std::size_t>(1, pass_elements / std::max<std::size_t>(1, columns())); }
  std::size_t columns() const { return static_cast<std::size_t>(task_.columns); }
  std::size_t row_bytes() const { return columns() * element_bytes(); }

  ScaleTable make_table(const Scan& scan, std::span<const float> largest) {
    non_finite_ = scan.non_finite;
    is_zero_ = scan.largest_magnitude == 0;
    ScaleTable table = nearest_scales(task_.storage, shape_, largest);
    if (!task_.storage.block) table.unit = table.values.front();
    unit_ = table.unit;
    return table;
  }

  std::vector<RoundingError> quantize_in_rows(std::span<const std::byte> source, const ScaleTable& table, Buffer<std::uint8_t>& codes) {
    std::vector<RoundingError> errors(block_count(static_cast<std::size_t>(task_.rows), band_rows()));
    context_.pool.parallel_for(errors.size(), context_.stop, [&](std::size_t index) {
      const Block rows = block_at(index, band_rows(), static_cast<std::size_t>(task_.rows));
      errors[index] = quantize_rows(source.data() + rows.begin * row_bytes(), task_.dtype, rows, columns(), task_.storage.grid, table,
                                    codes.data() + rows.begin * columns());
    });
    return errors;
  }

  // `chosen` has the nearest scales and receives those that the codes are for.
  RoundedMatrix round(Buffer<std::byte>& source, const ScaleTable& nearest, ScaleTable& chosen) {
    const std::vector<TermDiagonal> diagonals = read_diagonals(task_.inputs, columns(), files_, task_.name, context_);
    ScaledMatrix matrix = scale_and_transpose(source.span(), task_.dtype, static_cast<std::size_t>(task_.rows), columns(), unit_, context_,
                                              column_weights(task_.inputs, diagonals, columns()));
    matrix.codes = task_.storage.grid;
    matrix.grid = grid_of(task_.storage.grid);
    if (task_.storage.block) {
      chosen = search_scales(task_.storage, nearest, source.span(), task_.dtype, matrix, task_.inputs.damping, context_);
      matrix.scales = spread_scales(chosen, matrix.rows);
      if (chosen.values != nearest.values) matrix.nearest_scales = spread_scales(nearest, matrix.rows);
    }
    source.clear();
    RoundedMatrix rounded = task_.rounding == Rounding::tpec ? round_as_tpec(matrix) : round_by_statistics(matrix, diagonals);
    result_.objective = rounded.objective * squared_unit();
    result_.objective_nearest = rounded.objective_nearest * squared_unit();
    result_.sweeps = rounded.sweeps;
    result_.kept_nearest = rounded.kept_nearest;
    set_error(rounded.statistics.squared_error, rounded.statistics.squared_value);
    result_.changed_share = static_cast<double>(rounded.statistics.changed) / static_cast<double>(count_);
    return rounded;
  }

  RoundedMatrix round_by_statistics(const ScaledMatrix& matrix, const std::vector<TermDiagonal>& diagonals) {
    const LearnedOptions options{task_.top_k, task_.num_iter, task_.seed};
    const auto damping = static_cast<float>(task_.inputs.damping);
    if (!task_.outputs && is_gram_alone(task_.inputs)) {
      context_.progress.begin_phase(0.1, 1);
      ExactHessian exact(matrix, damping, context_);
      return round_learned(matrix, exact, options, 1.0, context_);
    }
    context_.progress.begin_phase(0.1, 1);
    DenseHessian hessian = make_input_hessian(task_.inputs, diagonals, matrix, files_, task_.name, context_);
    if (task_.outputs) {
      const OutputSquare outputs = make_output_square(*task_.outputs, matrix, files_, task_.name, context_);
      return round_both_sides(matrix, hessian, outputs, task_.num_iter, 1.0, context_);
    }
    ExactHessian exact(std::move(hessian), damping);
    return round_learned(matrix, exact, options, 1.0, context_);
  }

  RoundedMatrix round_as_tpec(const ScaledMatrix& matrix) {
    context_.progress.begin_phase(0.1, 1);
    ExactHessian exact(matrix, gram_damping, context_);
    const TpecOptions options{std::max(task_.top_k, 1U), task_.num_iter, task_.seed, unit_};
    RoundedMatrix rounded = round_tpec(matrix, exact, options, 0.3, context_);
    result_.objective_learned = round_learned(matrix, exact, {}, 1.0, context_).objective * squared_unit();
    return rounded;
  }

  double squared_unit() const { return static_cast<double>(unit_) * static_cast<double>(unit_); }

  // Two passes over the tensor, block by block on all threads: the first reads and scans, the second rounds and writes, so that a block is
  // worked on while it is in a cache. What is not held is read again.
  void round_to_nearest() {
    const std::size_t blocks = block_count(count_, pass_elements);
    const bool is_held = task_.source.length <= held_bytes;
    Buffer<std::byte> held(is_held ? static_cast<std::size_t>(task_.source.length) : 0);
    std::vector<Scan> scans(blocks);
    std::vector<RoundingError> errors(blocks);
    std::vector<Seconds> seconds(blocks);
    const auto bytes_of = [&](const Block& block, Buffer<std::byte>& own) {
      if (is_held) return held.span().subspan(block.begin * element_bytes(), block.size() * element_bytes());
      own = Buffer<std::byte>(block.size() * element_bytes());
      return own.span();
    };
    const auto read = [&](const Block& block, std::span<std::byte> bytes) {
      source_.read(task_.source.offset + block.begin * element_bytes(), bytes, task_.name);
    };
    context_.progress.begin_phase(0.4, static_cast<double>(blocks));
    context_.pool.parallel_for(blocks, context_.stop, [&](std::size_t index) {
      Stopwatch watch;
      const Block block = block_at(index, pass_elements, count_);
      Buffer<std::byte> own;
      const std::span<std::byte> bytes = bytes_of(block, own);
      read(block, bytes);
      seconds[index].read = watch.restart();
      scans[index] = kernels().scan(bytes.data(), task_.dtype, block.size());
      seconds[index].compute = watch.restart();
      context_.progress.advance();
    });
    const Scan scan = merged(scans);
    const ScaleTable table = make_table(scan, std::span(&scan.largest_magnitude, 1));
    if (non_finite_ != 0) return report_non_finite();
    context_.progress.begin_phase(1.0, static_cast<double>(blocks));
    context_.pool.parallel_for(blocks, context_.stop, [&](std::size_t index) {
      Stopwatch watch;
      const Block block = block_at(index, pass_elements, count_);
      Buffer<std::byte> own;
      const std::span<std::byte> bytes = bytes_of(block, own);
      if (!is_held) read(block, bytes);
      seconds[index].read += watch.restart();
      Buffer<std::uint8_t> codes(block.size());
      errors[index] = kernels().quantize(bytes.data(), task_.dtype, block.size(), unit_, task_.storage.grid, codes.data());
      seconds[index].compute += watch.restart();
      output_.write(task_.weight_offset + block.begin, std::as_bytes(codes.span()), task_.name);
      seconds[index].write = watch.restart();
      context_.progress.advance();
    });
    for (const Seconds& part : seconds) seconds_ += part;
    set_error(errors);
    code_file_.write_scales(table);
    report(table);
  }

  // The same for many scales and for codes that are not stored as they come: bands of whole rows.
  void round_rows_to_nearest() {
    const bool is_held = task_.source.length <= held_bytes;
    Buffer<std::byte> held(is_held ? static_cast<std::size_t>(task_.source.length) : 0);
    BlockScans scans(*this);
    std::vector<RoundingError> errors(scans.bands());
    std::vector<Seconds> seconds(scans.bands());
    const auto read = [&](Block rows, Buffer<std::byte>& own) {
      std::span<std::byte> bytes;
      if (is_held) {
        bytes = held.span().subspan(rows.begin * row_bytes(), rows.size() * row_bytes());
      } else {
        own = Buffer<std::byte>(rows.size() * row_bytes());
        bytes = own.span();
      }
      read_range(source_, task_.source.offset + rows.begin * row_bytes(), bytes, task_.name, context_.stop);
      return bytes;
    };
    context_.progress.begin_phase(0.4, static_cast<double>(scans.bands()));
    context_.pool.parallel_for(scans.bands(), context_.stop, [&](std::size_t index) {
      Stopwatch watch;
      Buffer<std::byte> own;
      const std::span<const std::byte> bytes = read(scans.rows(index), own);
      seconds[index].read = watch.restart();
      scans.add(index, bytes.data());
      seconds[index].compute = watch.restart();
      context_.progress.advance();
    });
    const ScaleTable table = scans.table();
    if (non_finite_ != 0) return report_non_finite();
    context_.progress.begin_phase(1.0, static_cast<double>(scans.bands()));
    context_.pool.parallel_for(scans.bands(), context_.stop, [&](std::size_t index) {
      Stopwatch watch;
      const Block rows = scans.rows(index);
      Buffer<std::byte> own;
      const std::byte* bytes = is_held ? held.data() + rows.begin * row_bytes() : read(rows, own).data();
      seconds[index].read += watch.restart();
      Buffer<std::uint8_t> codes(rows.size() * columns());
      errors[index] = quantize_rows(bytes, task_.dtype, rows, columns(), task_.storage.grid, table, codes.data());
      seconds[index].compute += watch.restart();
      code_file_.write_rows(rows, codes.span());
      seconds[index].write = watch.restart();
      context_.progress.advance();
    });
    for (const Seconds& part : seconds) seconds_ += part;
    set_error(errors);
    code_file_.write_padding();
    code_file_.write_scales(table);
    report(table);
  }

  void report_non_finite() { observer_.on_event(NonFinite{task_.id, non_finite_, total_.seconds()}); }

  void set_error(std::span<const RoundingError> parts) {
    RoundingError total;
    for (const RoundingError& part : parts) {
      total.squared_error += part.squared_error;
      total.squared_value += part.squared_value;
    }
    set_error(total.squared_error, total.squared_value);
  }

  // Both in units.
  void set_error(double squared_error, double squared_value) {
    result_.relative_error = relative_error(squared_error, squared_value);
    result_.squared_source = squared_value * squared_unit();
  }

  void set_zero_objectives() {
    result_.objective = 0;
    result_.objective_nearest = 0;
    if (task_.rounding == Rounding::tpec) result_.objective_learned = 0;
    result_.kept_nearest = task_.rounding == Rounding::learned;
  }

  void finish(std::span<const std::uint8_t> codes, const ScaleTable& table) {
    Stopwatch watch;
    code_file_.write_rows({0, static_cast<std::size_t>(task_.rows)}, codes);
    code_file_.write_padding();
    code_file_.write_scales(table);
    seconds_.write += watch.seconds();
    report(table);
  }

  void report(const ScaleTable& table) {
    result_.id = task_.id;
    if (task_.storage.block && !table.values.empty()) {
      const auto [smallest, largest] = std::minmax_element(table.values.begin(), table.values.end());
      result_.smallest_scale = *smallest;
      result_.largest_scale = *largest;
    } else {
      result_.scale = unit_;
    }
    result_.device = "cpu";
    result_.read_seconds = seconds_.read;
    result_.compute_seconds = seconds_.compute;
    result_.write_seconds = seconds_.write;
    observer_.on_event(result_);
  }

  const QuantizeTask& task_;
  const JobFiles& files_;
  const File& source_;
  const File& output_;
  Observer& observer_;
  Context& context_;
  const std::size_t count_;
  const ScaleShape shape_;
  const CodeFile code_file_;
  std::uint64_t non_finite_ = 0;
  bool is_zero_ = false;
  // What the numbers of the solver and the error sums are multiplied by: the scale, or near the scales where there are many.
  float unit_ = 1;
  Stopwatch total_;
  Seconds seconds_;
  Quantized result_;
};

}  // namespace

void run_quantize_task(const QuantizeTask& task, const JobFiles& files, Observer& observer, Context& context) {
  QuantizeRun(task, files, observer, context).run();
}

std::uint64_t quantize_task_bytes(const QuantizeTask& task, std::size_t threads) {
  if (task.rounding == Rounding::nearest) {
    const std::uint64_t blocks = threads * pass_elements;
    return task.source.length <= held_bytes ? task.source.length + blocks : blocks * (byte_size(task.dtype) + 1);
  }
  std::uint64_t matrix = scaled_matrix_bytes(static_cast<std::size_t>(task.rows), static_cast<std::size_t>(task.columns));
  if (task.storage.block) matrix += scale_table_bytes(scale_shape(task.storage, task.rows, task.columns), task.rows);
  const bool is_tpec = task.rounding == Rounding::tpec;
  std::uint64_t rounding = learned_rounding_bytes(task.rows, task.columns, is_tpec ? 0 : task.top_k, threads);
  if (!is_tpec && task.outputs) {
    const auto rows = static_cast<std::size_t>(task.rows);
    rounding =
        both_sides_bytes(task.rows, task.columns, threads) + output_square_bytes(rows) + statistics_reading_bytes(*task.outputs, rows);
  } else if (!is_tpec && !is_gram_alone(task.inputs)) {
    rounding += dense_hessian_bytes(static_cast<std::size_t>(task.columns));
  }
  if (!is_gram_alone(task.inputs)) rounding += statistics_reading_bytes(task.inputs, static_cast<std::size_t>(task.columns));
  if (is_tpec) rounding += tpec_bytes(task.rows, task.columns, task.top_k);
  return matrix + std::max(task.source.length, rounding);
}

}  // namespace fp8
