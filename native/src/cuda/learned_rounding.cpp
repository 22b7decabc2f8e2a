#include "learned_rounding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <vector>

#include "bump.h"
#include "check.h"
#include "column_order.h"
#include "coupled_sweeps.h"
#include "factorise.h"
#include "halves.h"
#include "hessian.h"
#include "solver.h"
#include "term_stream.h"
#include "top_k_hessian.h"
#include "transpose.h"

namespace fp8::cuda {

namespace {

// With as many components as WᵀW has directions, the approximation is H itself.
bool steers_by_all(std::int64_t rows, std::int64_t columns, std::uint32_t top_k) { return top_k == 0 || top_k >= std::min(rows, columns); }

bool is_gram_alone(const Sources& sources) {
  return sources.inputs == nullptr || (sources.inputs->terms.size() == 1 && sources.inputs->terms[0].kind == StatisticsTerm::Kind::gram);
}

// The diagonal of H where it is no multiple of the column energies.
struct WeightBuffers {
  WeightBuffers(Bump& bump, const Statistics& inputs, std::int64_t columns)
      : terms(bump, inputs, columns), diagonal(bump.take<double>(columns)), summary(bump.take<DiagonalSummary>(1)) {}
  TermBuffers terms;
  double* diagonal;
  DiagonalSummary* summary;
};

struct Buffers {
  Buffers(Bump& bump, SourceDtype dtype, std::int64_t rows, std::int64_t columns, std::uint32_t top_k, std::int64_t row_block,
          const Sources& sources)
      : leading(round_up(columns, 128)),
        position(bump.take<std::int32_t>(columns)),
        square(bump.take<float>(columns * leading)),
        hessian{bump.take<__half>(columns * leading), bump.take<__half>(columns * leading), leading, 1.0F},
        diagonal(bump.take<float>(columns)),
        factor{bump.take<__half>(columns * leading), leading, bump.take<float>(leading * factor_block), bump.take<float>(leading)},
        factor_scratch(bump.take<std::byte>(factorise_scratch_bytes(static_cast<int>(columns)))),
        code_scratch(bump.take<double>(encode_scratch(rows * columns))),
        sums(bump.take<CodeSums>(1)),
        // The Gram product's operands are dead before the factor is written; they only fit there when rows are few.
        halves(bump.take<__half>(columns * round_up(row_block, 64))),
        solver(bump, row_block, rows, columns, dtype) {
    if (!is_gram_alone(sources)) inputs.emplace(bump, *sources.inputs, columns);
    if (sources.outputs != nullptr) outputs.emplace(bump, *sources.outputs, rows, columns);
    if (steers_by_all(rows, columns, top_k)) return;
    top.emplace(bump, columns, top_k);
    steering = {bump.take<__half>(columns * leading), nullptr, leading, 1.0F};
    steering_diagonal = bump.take<float>(columns);
  }

  std::int64_t leading;
  std::int32_t* position;
  float* square;
  SplitMatrix hessian;
  float* diagonal;
  Factor factor;
  void* factor_scratch;
  double* code_scratch;
  CodeSums* sums;
  __half* halves;
  Solver solver;
  std::optional<WeightBuffers> inputs;
  std::optional<CoupledSweeps> outputs;
  std::optional<TopKBuffers> top;
  SplitMatrix steering;
  float* steering_diagonal = nullptr;
};

class LearnedRun {
 public:
  LearnedRun(const SourceMatrix& source, const double* squares, const MatrixSummary& summary, TargetScales& scales,
             const LearnedOptions& options, std::uint8_t* codes, void* memory, const Execution& execution)
      : source_(source),
        squares_(squares),
        summary_(summary),
        scales_(scales),
        options_(options),
        codes_(codes),
        execution_(execution),
        stream_(execution.stream),
        bump_(memory),
        row_block_(std::min(options.row_block, source.rows)),
        damping_(options.sources.inputs == nullptr ? gram_damping : static_cast<float>(options.sources.inputs->damping)),
        buffers_(bump_, source.dtype, source.rows, source.columns, options.top_k, row_block_, options.sources) {
    if (buffers_.inputs) {
      terms_.emplace(*options.sources.inputs, source.columns, buffers_.inputs->terms, execution, options.tensor);
    }
  }

  LearnedResult run() {
    largest_diagonal_ = (terms_ ? weigh_columns() : order_by_energy()) + static_cast<double>(damping_);
    choose_scales();
    make_hessian();
    if (buffers_.outputs) {
      buffers_.outputs->begin(source_, summary_, *options_.sources.outputs, buffers_.solver, execution_, options_.tensor);
    }
    execution_.tick(0.1);
    const Steering steering = make_steering();
    // Rounding may lift an entry a little; top_k's H by as much as its mean.
    const double largest = buffers_.top ? 2 * largest_diagonal_ : 1.001 * largest_diagonal_;
    factorise(buffers_.square, buffers_.leading, static_cast<int>(source_.columns), largest, buffers_.factor, buffers_.factor_scratch,
              execution_.path, stream_, [&] { execution_.tick(0.1); });
    for (std::int64_t first = 0; first < source_.rows; first += row_block_) {
      solve_rows(steering, first, std::min(row_block_, source_.rows - first));
      execution_.tick(0.3 + 0.7 * static_cast<double>(first) / static_cast<double>(source_.rows));
    }
    finish_codes(encoded(scales_.target()), codes_, buffers_.code_scratch, buffers_.sums, stream_);
    read_sums();
    const bool differs = result_.sums.changed != 0 || scales_.has_others_than_nearest();
    // Written so that NaN fails, as on the CPU.
    const bool is_better = result_.objective >= 0 && result_.objective < result_.objective_nearest;
    if (!differs || !is_better) keep_nearest(differs);
    return result_;
  }

 private:
  double mean_energy() const { return summary_.sum_of_squares / static_cast<double>(source_.columns); }

  // Both return the largest diagonal entry of H before damping.
  double order_by_energy() {
    column_order(squares_, source_.columns, buffers_.position, stream_);
    return summary_.largest_column / mean_energy();
  }

  double weigh_columns() {
    terms_->read_diagonals(squares_, summary_.sum_of_squares);
    const WeightBuffers& inputs = *buffers_.inputs;
    terms_->add_diagonals(inputs.diagonal);
    column_order(inputs.diagonal, source_.columns, buffers_.position, stream_);
    summarise_diagonal(inputs.diagonal, source_.columns, inputs.summary, stream_);
    return fetch(inputs.summary).largest;
  }

  // By the diagonal of H.
  void choose_scales() {
    const double* diagonal = buffers_.inputs ? buffers_.inputs->diagonal : squares_;
    const double factor = buffers_.inputs ? 1.0 : 1.0 / mean_energy();
    scales_.choose(source_.data, source_.dtype, diagonal, factor, static_cast<double>(damping_), stream_);
    scales_.order_columns(buffers_.position, stream_);
  }

  EncodeSource encoded(const CodeTarget& target) const {
    return {source_.data, source_.dtype, source_.rows, source_.columns, scales_.unit(), target};
  }

  template <typename T>
  T fetch(const T* value) {
    check(cudaMemcpyAsync(execution_.mailbox, value, sizeof(T), cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync");
    check(cudaStreamSynchronize(stream_), "learned rounding");
    return *static_cast<const T*>(execution_.mailbox);
  }

  const std::byte* source_row(std::int64_t row) const {
    return static_cast<const std::byte*>(source_.data) + row * source_.columns * static_cast<std::int64_t>(byte_size(source_.dtype));
  }

  ColumnMatrix transpose_rows(std::int64_t first, std::int64_t rows) {
    const Solver& solver = buffers_.solver;
    if (loaded_first_ != first || loaded_rows_ != rows) {
      transpose_to_order(source_row(first), source_.dtype, rows, source_.columns, buffers_.position, solver.columns_buffer(),
                         solver.columns_leading(), stream_);
      loaded_first_ = first;
      loaded_rows_ = rows;
    }
    return {.dtype = source_.dtype,
            .data = solver.columns_buffer(),
            .leading = solver.columns_leading(),
            .rows = rows,
            .columns = source_.columns,
            .scale = scales_.unit(),
            .target = scales_.target().from(0, first),
            .nearest = scales_.nearest_target().from(0, first)};
  }

  // BF16 and F16 values multiply exactly; F32 values, values whose squares could leave FP32, and BF16 on GPUs without it go through F16.
  bool multiplies_directly() const {
    if (source_.dtype == SourceDtype::f32) return false;
    if (source_.dtype == SourceDtype::f16) return true;
    const float amax = std::bit_cast<float>(summary_.amax_bits);
    return execution_.compute_capability >= 80 && amax > 0x1p-30F && amax < 0x1p30F;
  }

  void make_hessian() {
    const int columns = static_cast<int>(source_.columns);
    double unit = 1;
    if (!terms_) {
      unit = 1.0 / (mean_energy() * add_gram(1.0, 0.0F));
    } else {
      const SquareWindow window{buffers_.square, buffers_.leading, 0, columns, true};
      check(cudaMemsetAsync(window.data, 0, static_cast<std::size_t>(source_.columns * window.leading) * sizeof(float), stream_),
            "cudaMemsetAsync");
      const std::vector<StatisticsTerm>& terms = options_.sources.inputs->terms;
      for (std::size_t i = 0; i < terms.size(); ++i) {
        if (terms[i].kind == StatisticsTerm::Kind::gram) {
          (void)add_gram(terms_->factor(i), 1.0F);
        } else {
          terms_->add(i, buffers_.position, window);
        }
      }
    }
    buffers_.hessian.scale = split_scale(largest_diagonal_);
    normalise_hessian(buffers_.square, buffers_.leading, columns, static_cast<float>(unit), damping_, buffers_.hessian, buffers_.diagonal,
                      stream_);
  }

  // square = beta · square + factor · WᵀW. A factor of 1 is left out, and what it would have to be divided by is returned.
  double add_gram(double factor, float beta) {
    const bool direct = multiplies_directly();
    const float amax = std::bit_cast<float>(summary_.amax_bits);
    const double lift = direct ? 1.0 : std::exp2(8 - std::ceil(std::log2(static_cast<double>(amax))));
    const int columns = static_cast<int>(source_.columns);
    const bool is_raw = beta == 0.0F;
    for (std::int64_t first = 0; first < source_.rows; first += row_block_) {
      const ColumnMatrix w = transpose_rows(first, std::min(row_block_, source_.rows - first));
      const void* operand = w.data;
      if (!direct) {
        to_halves(w.data, w.dtype, w.columns * w.leading, static_cast<float>(lift), buffers_.halves, stream_);
        operand = buffers_.halves;
      }
      gemm({.element = direct && source_.dtype == SourceDtype::bf16 ? Element::bf16 : Element::f16,
            .rows = columns,
            .columns = columns,
            .depth = static_cast<int>(w.rows),
            .a = {operand, w.leading},
            .b = {operand, w.leading},
            .c = buffers_.square,
            .c_leading = buffers_.leading,
            .alpha = is_raw ? 1.0F : static_cast<float>(factor / (lift * lift)),
            .beta = first == 0 ? beta : 1.0F,
            .triangle = Triangle::lower},
           execution_.path, stream_);
      execution_.tick(0.05);
    }
    return lift * lift;
  }

  // The square holds what is to be factorised afterwards.
  Steering make_steering() {
    if (!buffers_.top) return {buffers_.hessian, buffers_.diagonal, buffers_.factor};
    const int columns = static_cast<int>(source_.columns);
    top_k_hessian(buffers_.hessian, columns, static_cast<int>(options_.top_k), damping_, options_.seed, buffers_.square, buffers_.leading,
                  *buffers_.top, execution_.path, stream_, [&] { execution_.tick(0.1); });
    buffers_.steering.scale = split_scale(2 * largest_diagonal_);
    split_symmetric(buffers_.square, buffers_.leading, columns, buffers_.steering, buffers_.steering_diagonal, stream_);
    return {buffers_.steering, buffers_.steering_diagonal, buffers_.factor};
  }

  void solve_rows(const Steering& steering, std::int64_t first, std::int64_t rows) {
    Solver& solver = buffers_.solver;
    solver.begin(transpose_rows(first, rows), execution_);
    const double nearest = solver.objective_of_nearest(buffers_.hessian);
    if (buffers_.outputs) {
      result_.objective_nearest = buffers_.outputs->objective_of_nearest(solver, buffers_.hessian, nearest, largest_diagonal_);
    } else {
      result_.objective_nearest += nearest;
    }
    solver.feed_back(steering);
    std::uint32_t sweeps = 0;
    bool more = true;
    while (more && sweeps < options_.sweep_limit) {
      more = solver.sweep(steering) > 0;
      ++sweeps;
    }
    result_.sweeps = std::max(result_.sweeps, sweeps);
    const double objective = solver.objective_of_codes(buffers_.hessian);
    if (buffers_.outputs) {
      sweep_both_sides(*buffers_.outputs, objective);
    } else {
      result_.objective += objective;
    }
    transpose_from_order(solver.codes(), solver.columns_leading(), rows, source_.columns, buffers_.position,
                         codes_ + first * source_.columns, stream_);
  }

  // objective: tr(E H Eᵀ) of the codes at hand.
  void sweep_both_sides(CoupledSweeps& outputs, double objective) {
    Solver& solver = buffers_.solver;
    // H itself: `top_k` steers the one-sided steps alone.
    const SplitMatrix& h = buffers_.hessian;
    const double before = outputs.objective_of_codes(solver, h, objective, largest_diagonal_);
    const std::uint32_t coupled = outputs.sweep(solver, h, buffers_.diagonal, before, largest_diagonal_, options_.sweep_limit);
    result_.sweeps = std::min(result_.sweeps + coupled, options_.sweep_limit);
    // As in CoupledSweeps::sweep.
    result_.objective = outputs.objective_of_codes(solver, h, 1.01 * before / outputs.damping(), largest_diagonal_);
  }

  void read_sums() { result_.sums = fetch(buffers_.sums); }

  void keep_nearest(bool differs) {
    result_.kept_nearest = true;
    result_.objective = result_.objective_nearest;
    if (!differs) return;
    encode_nearest(encoded(scales_.nearest_target()), codes_, buffers_.code_scratch, buffers_.sums, stream_);
    read_sums();
  }

  const SourceMatrix& source_;
  const double* squares_;
  const MatrixSummary& summary_;
  TargetScales& scales_;
  const LearnedOptions& options_;
  std::uint8_t* codes_;
  const Execution& execution_;
  cudaStream_t stream_;
  Bump bump_;
  std::int64_t row_block_;
  const float damping_;
  Buffers buffers_;
  std::optional<TermStream> terms_;
  double largest_diagonal_ = 0;
  LearnedResult result_;
  std::int64_t loaded_first_ = -1;
  std::int64_t loaded_rows_ = 0;
};

}  // namespace

std::int64_t learned_rounding_bytes(SourceDtype dtype, std::int64_t rows, std::int64_t columns, std::uint32_t top_k, std::int64_t row_block,
                                    const Sources& sources) {
  Bump bump;
  const Buffers buffers(bump, dtype, rows, columns, top_k, std::min(rows, row_block), sources);
  return bump.used();
}

std::int64_t row_block_that_fits(SourceDtype dtype, std::int64_t rows, std::int64_t columns, std::uint32_t top_k, std::int64_t bytes,
                                 const Sources& sources) {
  if (learned_rounding_bytes(dtype, rows, columns, top_k, rows, sources) <= bytes) return rows;
  if (sources.outputs != nullptr) return 0;
  std::int64_t block = round_up(rows, 256);
  while (block > 256) {
    block = round_up(block / 2, 256);
    if (learned_rounding_bytes(dtype, rows, columns, top_k, block, sources) <= bytes) return block;
  }
  return 0;
}

LearnedResult round_learned(const SourceMatrix& source, const double* squares, const MatrixSummary& summary, TargetScales& scales,
                            const LearnedOptions& options, std::uint8_t* codes, void* memory, const Execution& execution) {
  return LearnedRun(source, squares, summary, scales, options, codes, memory, execution).run();
}

}  // namespace fp8::cuda
