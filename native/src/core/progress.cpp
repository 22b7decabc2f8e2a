#include "core/progress.h"

#include <algorithm>

namespace fp8 {

namespace {
constexpr std::int64_t interval_nanoseconds = 100'000'000;

std::int64_t now_nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
}  // namespace

void TaskProgress::begin_phase(double fraction, double units) {
  phase_start_ = phase_end_;
  phase_end_ = fraction;
  phase_units_ = units > 0 ? units : 1;
  done_ = 0;
}

void TaskProgress::advance(double units) {
  done_.fetch_add(units);
  emit();
}

void TaskProgress::emit() {
  const std::int64_t now = now_nanoseconds();
  std::int64_t due = next_emit_nanoseconds_.load();
  if (due == 0) {
    // A task that is done at once needs no progress.
    next_emit_nanoseconds_.compare_exchange_strong(due, now + interval_nanoseconds);
    return;
  }
  if (now < due || !next_emit_nanoseconds_.compare_exchange_strong(due, now + interval_nanoseconds)) return;
  const double share = std::min(1.0, done_.load() / phase_units_);
  observer_.on_event(Progress{id_, phase_start_ + (phase_end_ - phase_start_) * share});
}

}  // namespace fp8
