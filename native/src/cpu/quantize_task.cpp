#include "cpu/quantize_task.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cpu/block_pass.h"
#include "cpu/coupled_sweeps.h"
#include "cpu/learned_rounding.h"
#include "cpu/nearest_rounding.h"
#include "cpu/quantize_run.h"
#include "cpu/scale_search.h"
#include "cpu/statistics.h"
#include "cpu/tpec.h"
#include "fp8/storage.h"

namespace fp8 {

namespace {

// Every rounding that looks at the whole matrix at once.
class LearnedRun {
 public:
  explicit LearnedRun(QuantizeRun& run) : run_(run) {}

  void run() {
    Stopwatch watch;
    run_.context.progress.begin_phase(0.02, 1);
    Buffer<std::byte> source(run_.count * run_.element_bytes());
    run_.source.read(0, source.span());
    run_.seconds.read = watch.restart();

    const ScaleTable nearest = run_.task.storage.block ? scan_blocks(source.span()) : scan_whole(source.span());
    if (run_.non_finite != 0) return run_.report_non_finite();

    // An all-zero matrix has nothing to learn, and no statistics.
    if (run_.is_zero) {
      Buffer<std::uint8_t> codes(run_.count);
      run_.set_error(quantize_in_rows(source.span(), nearest, codes));
      set_zero_objectives();
      run_.seconds.compute = watch.restart();
      finish(codes.span(), nearest);
      return;
    }
    ScaleTable chosen = nearest;
    const RoundedMatrix rounded = round(source, nearest, chosen);
    run_.seconds.compute = watch.restart();
    finish(rounded.codes.span(), rounded.kept_nearest ? nearest : chosen);
  }

 private:
  ScaleTable scan_whole(std::span<const std::byte> source) {
    std::vector<Scan> scans(block_count(run_.count, pass_elements));
    run_.context.pool.parallel_for(scans.size(), run_.context.stop, [&](std::size_t index) {
      const Block block = block_at(index, pass_elements, run_.count);
      scans[index] = kernels().scan(source.data() + block.begin * run_.element_bytes(), run_.task.dtype, block.size());
    });
    const Scan scan = merged(scans);
    return run_.make_table(scan, std::span(&scan.largest_magnitude, 1));
  }

  ScaleTable scan_blocks(std::span<const std::byte> source) {
    BlockScans scans(run_);
    run_.context.pool.parallel_for(run_.bands(), run_.context.stop,
                                   [&](std::size_t index) { scans.add(index, source.data() + run_.band(index).begin * run_.row_bytes()); });
    return scans.table();
  }

  std::vector<RoundingError> quantize_in_rows(std::span<const std::byte> source, const ScaleTable& table, Buffer<std::uint8_t>& codes) {
    std::vector<RoundingError> errors(run_.bands());
    run_.context.pool.parallel_for(errors.size(), run_.context.stop, [&](std::size_t index) {
      const Block rows = run_.band(index);
      errors[index] = quantize_rows(source.data() + rows.begin * run_.row_bytes(), run_.task.dtype, rows, run_.columns(),
                                    run_.task.storage.grid, table, codes.data() + rows.begin * run_.columns());
    });
    return errors;
  }

  // `chosen` has the nearest scales and receives those that the codes are for.
  RoundedMatrix round(Buffer<std::byte>& source, const ScaleTable& nearest, ScaleTable& chosen) {
    const std::vector<TermDiagonal> diagonals = read_diagonals(run_.task.inputs, run_.columns(), run_.files, run_.task.name, run_.context);
    ScaledMatrix matrix = scale_and_transpose(source.span(), run_.task.dtype, static_cast<std::size_t>(run_.task.rows), run_.columns(),
                                              run_.unit, run_.context, column_weights(run_.task.inputs, diagonals, run_.columns()));
    matrix.codes = run_.task.storage.grid;
    matrix.grid = grid_of(run_.task.storage.grid);
    if (run_.task.storage.block) {
      chosen = search_scales(run_.task.storage, nearest, source.span(), run_.task.dtype, matrix, run_.task.inputs.damping, run_.context);
      matrix.scales = spread_scales(chosen, matrix.rows);
      if (chosen.values != nearest.values) matrix.nearest_scales = spread_scales(nearest, matrix.rows);
    }
    source.clear();
    RoundedMatrix rounded = run_.task.rounding == Rounding::tpec ? round_as_tpec(matrix) : round_by_statistics(matrix, diagonals);
    run_.result.objective = rounded.objective * run_.squared_unit();
    run_.result.objective_nearest = rounded.objective_nearest * run_.squared_unit();
    run_.result.sweeps = rounded.sweeps;
    run_.result.kept_nearest = rounded.kept_nearest;
    run_.set_error(rounded.statistics.squared_error, rounded.statistics.squared_value);
    run_.result.changed_share = static_cast<double>(rounded.statistics.changed) / static_cast<double>(run_.count);
    return rounded;
  }

  RoundedMatrix round_by_statistics(const ScaledMatrix& matrix, const std::vector<TermDiagonal>& diagonals) {
    const LearnedOptions options{run_.task.top_k, run_.task.num_iter, run_.task.seed};
    run_.context.progress.begin_phase(0.1, 1);
    if (run_.task.outputs) {
      DenseHessian hessian = make_input_square(run_.task.inputs, diagonals, matrix, run_.files, run_.task.name, run_.context);
      const OutputSquare outputs = make_output_square(*run_.task.outputs, matrix, run_.files, run_.task.name, run_.context);
      return round_both_sides(matrix, hessian, outputs, run_.task.num_iter, 1.0, run_.context);
    }
    ExactHessian exact = make_input_hessian(run_.task.inputs, diagonals, matrix, run_.files, run_.task.name, run_.context);
    return round_learned(matrix, exact, options, 1.0, run_.context);
  }

  RoundedMatrix round_as_tpec(const ScaledMatrix& matrix) {
    run_.context.progress.begin_phase(0.1, 1);
    ExactHessian exact(matrix, gram_damping, run_.context);
    const TpecOptions options{std::max(run_.task.top_k, 1U), run_.task.num_iter, run_.task.seed, run_.unit};
    RoundedMatrix rounded = round_tpec(matrix, exact, options, 0.3, run_.context);
    run_.result.objective_learned = round_learned(matrix, exact, {}, 1.0, run_.context).objective * run_.squared_unit();
    return rounded;
  }

  void set_zero_objectives() {
    run_.result.objective = 0;
    run_.result.objective_nearest = 0;
    if (run_.task.rounding == Rounding::tpec) run_.result.objective_learned = 0;
    run_.result.kept_nearest = run_.task.rounding == Rounding::learned;
  }

  void finish(std::span<const std::uint8_t> codes, const ScaleTable& table) {
    Stopwatch watch;
    run_.code_file.write_rows({0, static_cast<std::size_t>(run_.task.rows)}, codes);
    run_.code_file.write_padding();
    run_.code_file.write_scales(table);
    run_.seconds.write += watch.seconds();
    run_.report(table);
  }

  QuantizeRun& run_;
};

}  // namespace

void run_quantize_task(const QuantizeTask& task, const JobFiles& files, Observer& observer, Context& context) {
  QuantizeRun run(task, files, observer, context);
  if (task.rounding == Rounding::nearest) {
    round_to_nearest(run);
  } else {
    LearnedRun(run).run();
  }
}

std::uint64_t quantize_task_bytes(const QuantizeTask& task, std::size_t threads) {
  if (task.rounding == Rounding::nearest) return nearest_rounding_bytes(task, threads);
  std::uint64_t matrix = scaled_matrix_bytes(static_cast<std::size_t>(task.rows), static_cast<std::size_t>(task.columns));
  if (task.storage.block) matrix += scale_table_bytes(scale_shape(task.storage, task.rows, task.columns), task.rows);
  const bool is_tpec = task.rounding == Rounding::tpec;
  const std::uint64_t rank = is_tpec ? task.rows : input_rank(task.inputs, task.rows, task.columns);
  std::uint64_t rounding = learned_rounding_bytes(rank, task.rows, task.columns, is_tpec ? 0 : task.top_k, threads);
  if (!is_tpec && task.outputs) {
    const auto rows = static_cast<std::size_t>(task.rows);
    rounding =
        both_sides_bytes(task.rows, task.columns, threads) + output_square_bytes(rows) + statistics_reading_bytes(*task.outputs, rows);
  } else if (!is_gram_alone(task.inputs) && ExactHessian::prefers_low_rank(rank, task.columns)) {
    rounding += rank * task.columns * sizeof(float);
  }
  if (!is_gram_alone(task.inputs)) rounding += statistics_reading_bytes(task.inputs, static_cast<std::size_t>(task.columns));
  if (is_tpec) rounding += tpec_bytes(task.rows, task.columns, task.top_k);
  return matrix + std::max(source_bytes(task), rounding);
}

}  // namespace fp8
