// TaskProgress: turns finished units of work of one task into Progress events, a few a second. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "fp8/backend.h"

namespace fp8 {

class TaskProgress {
 public:
  TaskProgress(Observer& observer, std::uint32_t id) : observer_(observer), id_(id) {}

  // The next phase takes the progress from where it is to `fraction` of the task, in `units` steps.
  void begin_phase(double fraction, double units);
  // Where the last phase ends.
  double fraction() const { return phase_end_; }
  // May be called from several threads at once.
  void advance(double units = 1);

 private:
  void emit();

  Observer& observer_;
  const std::uint32_t id_;
  double phase_start_ = 0;
  double phase_end_ = 0;
  double phase_units_ = 1;
  std::atomic<double> done_ = 0;
  std::atomic<std::int64_t> next_emit_nanoseconds_ = 0;
};

}  // namespace fp8
