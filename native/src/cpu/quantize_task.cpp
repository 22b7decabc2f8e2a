#include "cpu/quantize_task.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/stop.h"
#include "core/stopwatch.h"
#include "cpu/buffer.h"
#include "cpu/coupled_sweeps.h"
#include "cpu/kernels.h"
#include "cpu/learned_rounding.h"
#include "cpu/scaled_matrix.h"
#include "cpu/statistics.h"
#include "cpu/tpec.h"
#include "fp8/fp8.h"

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
        count_(static_cast<std::size_t>(task.rows * task.columns)) {}

  void run() {
    if (task_.rounding == Rounding::nearest) {
      round_to_nearest();
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

    std::vector<Scan> scans(block_count(count_, pass_elements));
    context_.pool.parallel_for(scans.size(), context_.stop, [&](std::size_t index) {
      const Block block = block_at(index, pass_elements, count_);
      scans[index] = kernels().scan(source.data() + block.begin * element_bytes(), task_.dtype, block.size());
    });
    const Scan scan = merged(scans);
    if (report_non_finite(scan)) return;
    result_.scale = e4m3_scale(scan.largest_magnitude);

    // An all-zero matrix has nothing to learn, and no statistics.
    if (scan.largest_magnitude == 0) {
      Buffer<std::uint8_t> codes(count_);
      std::vector<RoundingError> errors(scans.size());
      context_.pool.parallel_for(scans.size(), context_.stop, [&](std::size_t index) {
        const Block block = block_at(index, pass_elements, count_);
        errors[index] = kernels().quantize_e4m3(source.data() + block.begin * element_bytes(), task_.dtype, block.size(), result_.scale,
                                                codes.data() + block.begin);
      });
      set_error(errors);
      set_zero_objectives();
      seconds_.compute = watch.restart();
      finish(codes.span());
      return;
    }
    const RoundedMatrix rounded = round(source);
    seconds_.compute = watch.restart();
    finish(rounded.codes.span());
  }

  RoundedMatrix round(Buffer<std::byte>& source) {
    const std::size_t columns = static_cast<std::size_t>(task_.columns);
    const std::vector<TermDiagonal> diagonals = read_diagonals(task_.inputs, columns, files_, task_.name, context_);
    const ScaledMatrix matrix = scale_and_transpose(source.span(), task_.dtype, static_cast<std::size_t>(task_.rows), columns,
                                                    result_.scale, context_, column_weights(task_.inputs, diagonals, columns));
    source.clear();
    RoundedMatrix rounded = task_.rounding == Rounding::tpec ? round_as_tpec(matrix) : round_by_statistics(matrix, diagonals);
    result_.objective = rounded.objective * squared_scale();
    result_.objective_nearest = rounded.objective_nearest * squared_scale();
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
    const TpecOptions options{std::max(task_.top_k, 1U), task_.num_iter, task_.seed, result_.scale};
    RoundedMatrix rounded = round_tpec(matrix, exact, options, 0.3, context_);
    result_.objective_learned = round_learned(matrix, exact, {}, 1.0, context_).objective * squared_scale();
    return rounded;
  }

  double squared_scale() const { return static_cast<double>(result_.scale) * static_cast<double>(result_.scale); }

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
    if (report_non_finite(scan)) return;
    result_.scale = e4m3_scale(scan.largest_magnitude);
    context_.progress.begin_phase(1.0, static_cast<double>(blocks));
    context_.pool.parallel_for(blocks, context_.stop, [&](std::size_t index) {
      Stopwatch watch;
      const Block block = block_at(index, pass_elements, count_);
      Buffer<std::byte> own;
      const std::span<std::byte> bytes = bytes_of(block, own);
      if (!is_held) read(block, bytes);
      seconds[index].read += watch.restart();
      Buffer<std::uint8_t> codes(block.size());
      errors[index] = kernels().quantize_e4m3(bytes.data(), task_.dtype, block.size(), result_.scale, codes.data());
      seconds[index].compute += watch.restart();
      output_.write(task_.weight_offset + block.begin, std::as_bytes(codes.span()), task_.name);
      seconds[index].write = watch.restart();
      context_.progress.advance();
    });
    for (const Seconds& part : seconds) seconds_ += part;
    set_error(errors);
    write_scale();
    report();
  }

  bool report_non_finite(const Scan& scan) {
    if (scan.non_finite == 0) return false;
    observer_.on_event(NonFinite{task_.id, scan.non_finite, total_.seconds()});
    return true;
  }

  void set_error(std::span<const RoundingError> parts) {
    RoundingError total;
    for (const RoundingError& part : parts) {
      total.squared_error += part.squared_error;
      total.squared_value += part.squared_value;
    }
    set_error(total.squared_error, total.squared_value);
  }

  // Both in units of the scale.
  void set_error(double squared_error, double squared_value) {
    result_.relative_error = relative_error(squared_error, squared_value);
    result_.squared_source = squared_value * static_cast<double>(result_.scale) * static_cast<double>(result_.scale);
  }

  void set_zero_objectives() {
    result_.objective = 0;
    result_.objective_nearest = 0;
    if (task_.rounding == Rounding::tpec) result_.objective_learned = 0;
    result_.kept_nearest = task_.rounding == Rounding::learned;
  }

  void finish(std::span<const std::uint8_t> codes) {
    Stopwatch watch;
    write_range(output_, task_.weight_offset, std::as_bytes(codes), task_.name, context_.stop);
    write_scale();
    seconds_.write += watch.seconds();
    report();
  }

  void write_scale() {
    const float scale = result_.scale;
    for (const std::uint64_t offset : task_.scale_offsets) output_.write(offset, std::as_bytes(std::span(&scale, 1)), task_.name);
  }

  void report() {
    result_.id = task_.id;
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
  Stopwatch total_;
  Seconds seconds_;
  Quantized result_;
};

}  // namespace

void run_quantize_task(const QuantizeTask& task, const JobFiles& files, Observer& observer, Context& context) {
  QuantizeRun(task, files, observer, context).run();
}

std::uint64_t quantize_task_bytes(const QuantizeTask& task, std::size_t threads) {
  const std::uint64_t count = task.rows * task.columns;
  if (task.rounding == Rounding::nearest) {
    const std::uint64_t blocks = threads * pass_elements;
    return task.source.length <= held_bytes ? task.source.length + blocks : blocks * (byte_size(task.dtype) + 1);
  }
  const std::uint64_t matrix = scaled_matrix_bytes(static_cast<std::size_t>(task.rows), static_cast<std::size_t>(task.columns));
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
