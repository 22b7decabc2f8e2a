#include "cpu/check_statistics_task.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "core/stop.h"
#include "cpu/buffer.h"
#include "cpu/dense_hessian.h"
#include "cpu/value_reader.h"

namespace fp8 {

namespace {

using Form = CheckStatisticsTask::Form;

constexpr std::size_t values_at_once = std::size_t{1} << 18;
constexpr std::size_t compare_rows = 64;

// How far rounding to a dtype may move a value: relatively, and where it is next to nothing.
struct Rounded {
  double relative;
  double absolute;
};

Rounded rounding_of(ValueDtype dtype) {
  switch (dtype) {
    case ValueDtype::f8_e4m3:
      return {0x1p-4, 0x1p-9};
    case ValueDtype::f8_e5m2:
      return {0x1p-3, 0x1p-16};
    case ValueDtype::f16:
      return {0x1p-8, 0x1p-24};
    default:
      return {0x1p-8, 0};
  }
}

std::size_t values_read_at_once(const CheckStatisticsTask& task) {
  const auto size = static_cast<std::size_t>(task.size);
  return std::max(size, values_at_once / size * size);
}

struct Seen {
  std::uint64_t non_finite = 0;
  bool is_zero = true;
  bool is_negative = false;  // among numbers that are means of squares
};

// A pass over all values; those of a second moment are kept.
Seen read_values(const CheckStatisticsTask& task, const JobFiles& files, std::vector<double>& diagonal, float* square, std::size_t stride,
                 double factor, Context& context) {
  const auto size = static_cast<std::size_t>(task.size);
  const auto count = static_cast<std::size_t>(element_count(task.values));
  const std::size_t at_once = values_read_at_once(task);
  ValueReader reader(task.values, files, task.name, std::min(at_once, count));
  Seen seen;
  for (std::size_t begin = 0; begin < count; begin += at_once) {
    throw_if_stopped(context.stop);
    const std::span<const double> values = reader.read(begin, std::min(at_once, count - begin));
    for (std::size_t k = 0; k < values.size(); ++k) {
      const double value = values[k];
      const std::size_t row = (begin + k) / size;
      const std::size_t column = (begin + k) % size;
      seen.non_finite += std::isfinite(value) ? 0U : 1U;
      seen.is_zero = seen.is_zero && value == 0;
      const bool is_square = task.form == Form::diagonal || (task.form == Form::second_moment && row == column);
      seen.is_negative = seen.is_negative || (is_square && value < 0);
      if (task.form == Form::second_moment && row == column) diagonal[row] = value;
      if (square != nullptr) square[row * stride + column] = static_cast<float>(value * factor);
    }
    context.progress.advance(static_cast<double>(values.size()) / static_cast<double>(count));
  }
  return seen;
}

// |m_ij|² ≤ m_ii m_jj and m_ij = m_ji, but for what rounding to the file's dtype may have done.
bool may_be_moment(const float* square, std::size_t size, std::size_t stride, const Rounded& rounded, double factor, Context& context) {
  const double least = rounded.absolute * factor + std::numeric_limits<float>::min();
  std::atomic<bool> fits = true;
  context.pool.parallel_for(block_count(size, compare_rows), context.stop, [&](std::size_t index) {
    const Block rows = block_at(index, compare_rows, size);
    for (std::size_t i = rows.begin; i < rows.end; ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const double below = square[i * stride + j];
        const double above = square[j * stride + i];
        const double bound =
            std::sqrt((square[i * stride + i] + least) * (square[j * stride + j] + least)) * (1 + 4 * rounded.relative) + least;
        const bool is_symmetric = std::fabs(below - above) <= 4 * rounded.relative * bound + 2 * least;
        if (!is_symmetric || !(std::fabs(below) <= bound)) fits = false;
      }
    }
  });
  return fits;
}

// The least damping, from `damping` on in steps of four, half of which makes it positive definite: the other half is for the rounding of
// whoever factorises it. What is above the diagonal stays, and gives what is below it back.
double damping_needed(float* square, std::size_t size, std::size_t stride, double damping, Context& context) {
  std::vector<float> diagonal(size);
  for (std::size_t i = 0; i < size; ++i) diagonal[i] = square[i * stride + i];
  // No eigenvalue of a matrix with |m_ij|² ≤ m_ii m_jj is below minus its trace.
  const double enough = 4.0 * static_cast<double>(size);
  for (double tried = damping;; tried *= 4) {
    context.pool.parallel_for(block_count(size, compare_rows), context.stop, [&](std::size_t index) {
      const Block rows = block_at(index, compare_rows, size);
      for (std::size_t i = rows.begin; i < rows.end; ++i) {
        for (std::size_t j = 0; j < i; ++j) square[i * stride + j] = square[j * stride + i];
        square[i * stride + i] = diagonal[i] + static_cast<float>(tried / 2);
      }
    });
    if (tried >= enough || factorise_lower(square, size, stride, context)) return tried;
  }
}

}  // namespace

void run_check_statistics_task(const CheckStatisticsTask& task, const JobFiles& files, Observer& observer, Context& context) {
  using Verdict = Checked::Verdict;
  const auto size = static_cast<std::size_t>(task.size);
  std::vector<double> diagonal(task.form == Form::second_moment ? size : 0);
  Checked checked;
  checked.id = task.id;
  checked.damping = task.damping;
  context.progress.begin_phase(task.form == Form::second_moment ? 0.2 : 1.0, 1);
  const Seen seen = read_values(task, files, diagonal, nullptr, 0, 1, context);
  checked.non_finite_count = seen.non_finite;
  double sum = 0;
  for (const double value : diagonal) sum += value;
  if (seen.non_finite != 0) {
    checked.verdict = Verdict::non_finite;
  } else if (task.form == Form::mean) {
    checked.verdict = Verdict::usable;
  } else if (seen.is_negative) {
    checked.verdict = Verdict::no_moment;
  } else if (seen.is_zero || (task.form == Form::second_moment && sum <= 0)) {
    checked.verdict = Verdict::all_zero;
  } else if (task.form == Form::second_moment) {
    const std::size_t stride = padded_stride(size);
    const double factor = static_cast<double>(size) / sum;
    Buffer<float> square(size * stride);
    context.progress.begin_phase(0.4, 1);
    read_values(task, files, diagonal, square.data(), stride, factor, context);
    if (!may_be_moment(square.data(), size, stride, rounding_of(task.values.dtype), factor, context)) {
      checked.verdict = Verdict::no_moment;
    } else {
      context.progress.begin_phase(1, 1);
      checked.damping = damping_needed(square.data(), size, stride, task.damping, context);
    }
  }
  observer.on_event(checked);
}

std::uint64_t check_statistics_task_bytes(const CheckStatisticsTask& task) {
  const auto size = static_cast<std::size_t>(task.size);
  const std::uint64_t square = task.form == Form::second_moment ? size * padded_stride(size) * sizeof(float) : 0;
  return square + size * (sizeof(double) + sizeof(float)) + ValueReader::bytes(values_read_at_once(task));
}

}  // namespace fp8
