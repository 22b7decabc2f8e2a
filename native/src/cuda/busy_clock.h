// BusyClock: the time during which at least one of several overlapping activities runs.
#pragma once

#include <mutex>

#include "core/stopwatch.h"

namespace fp8::cuda {

class BusyClock {
 public:
  class Interval {
   public:
    explicit Interval(BusyClock& clock) : clock_(clock) { clock_.enter(); }
    ~Interval() { clock_.leave(); }
    Interval(const Interval&) = delete;
    Interval& operator=(const Interval&) = delete;

   private:
    BusyClock& clock_;
  };

  double seconds() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return total_;
  }

 private:
  void enter() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (running_++ == 0) watch_.restart();
  }
  void leave() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--running_ == 0) total_ += watch_.seconds();
  }

  std::mutex mutex_;
  int running_ = 0;
  double total_ = 0;
  Stopwatch watch_;
};

}  // namespace fp8::cuda
