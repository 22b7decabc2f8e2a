// RunningJob: one job on a thread of its own, and the way of its events to JavaScript.
#pragma once

#include <napi.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "fp8/backend.h"
#include "fp8/error.h"

namespace fp8::addon {

class RunningJob : public Observer, public std::enable_shared_from_this<RunningJob> {
 public:
  // Calls `on_events(events, end?)` on the JavaScript thread until the job has ended. When the environment goes first, the job is stopped
  // and its thread joined before the environment is gone.
  static std::shared_ptr<RunningJob> start(Napi::Env env, Job job, Napi::Function on_events);

  void cancel() { stop_.request_stop(); }
  void on_event(Event event) override;

 private:
  struct Cancelled_ {};
  using End = std::variant<JobStatistics, Cancelled_, Error>;

  explicit RunningJob(Job job) : job_(std::move(job)) {}

  void run();
  End run_to_end();
  void notify();
  void deliver(Napi::Env env, Napi::Function on_events);
  static Napi::Object end_to_js(Napi::Env env, const End& end);

  const Job job_;
  std::stop_source stop_;
  std::thread thread_;
  Napi::ThreadSafeFunction function_;
  bool environment_gone_ = false;  // only the job's threads look, under the mutex

  std::mutex mutex_;
  std::vector<Event> events_;
  std::map<std::uint32_t, double> progress_;  // the latest fraction of each task that has not ended
  std::chrono::steady_clock::time_point last_progress_{};
  std::optional<End> end_;
  bool notified_ = false;
};

}  // namespace fp8::addon
