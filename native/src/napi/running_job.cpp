#include "napi/running_job.h"

#include <new>
#include <utility>

#include "napi/convert.h"

namespace fp8::addon {

namespace {
constexpr std::chrono::milliseconds progress_interval{100};
}

std::shared_ptr<RunningJob> RunningJob::start(Napi::Env env, Job job, Napi::Function on_events) {
  const std::shared_ptr<RunningJob> running(new RunningJob(std::move(job)));
  // The finalizer runs on the JavaScript thread once the job's thread has released the function, or when the environment is torn down.
  running->function_ = Napi::ThreadSafeFunction::New(env, on_events, "fp8 job", 0, 1, [running](Napi::Env) {
    running->stop_.request_stop();
    if (running->thread_.joinable()) running->thread_.join();
  });
  running->thread_ = std::thread([running] { running->run(); });
  return running;
}

void RunningJob::run() {
  End end = run_to_end();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    end_ = std::move(end);
  }
  notify();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!environment_gone_) function_.Release();
}

RunningJob::End RunningJob::run_to_end() {
  try {
    return make_backend(job_.device)->run(job_, *this, stop_.get_token());
  } catch (const Cancelled&) {
    return Cancelled_{};
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::out_of_memory, "Not enough memory for this job. Close other programs or use a machine with more memory.");
  } catch (const std::exception& error) {
    return Error(ErrorCode::internal, error.what());
  }
}

void RunningJob::on_event(Event event) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (const auto* progress = std::get_if<Progress>(&event)) {
      progress_[progress->id] = progress->fraction;
      if (std::chrono::steady_clock::now() - last_progress_ < progress_interval) return;
    } else {
      const std::uint32_t id = std::visit([](const auto& value) { return value.id; }, event);
      if (!std::holds_alternative<Started>(event) && !std::holds_alternative<Note>(event)) progress_.erase(id);
      events_.push_back(std::move(event));
    }
  }
  notify();
}

// At most one call waits for the JavaScript thread; it takes whatever there is by then.
void RunningJob::notify() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (notified_ || environment_gone_) return;
  notified_ = true;
  const napi_status status =
      function_.NonBlockingCall([self = shared_from_this()](Napi::Env env, Napi::Function on_events) { self->deliver(env, on_events); });
  if (status != napi_ok) environment_gone_ = true;
}

void RunningJob::deliver(Napi::Env env, Napi::Function on_events) {
  std::vector<Event> events;
  std::optional<End> end;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    notified_ = false;
    events.swap(events_);
    end.swap(end_);
    const auto now = std::chrono::steady_clock::now();
    if (!progress_.empty() && now - last_progress_ >= progress_interval) {
      last_progress_ = now;
      for (const auto& [id, fraction] : progress_) events.emplace_back(std::in_place_type<Progress>, Progress{id, fraction});
      progress_.clear();
    }
  }
  if (events.empty() && !end) return;
  const Napi::Array batch = Napi::Array::New(env, events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    const Napi::HandleScope scope(env);
    batch.Set(static_cast<std::uint32_t>(i), to_js(env, events[i]));
  }
  if (end) {
    on_events.Call({batch, end_to_js(env, *end)});
  } else {
    on_events.Call({batch});
  }
}

Napi::Object RunningJob::end_to_js(Napi::Env env, const End& end) {
  Napi::Object object = Napi::Object::New(env);
  if (const auto* statistics = std::get_if<JobStatistics>(&end)) {
    object.Set("type", "done");
    if (statistics->peak_device_memory_bytes) {
      object.Set("peakDeviceMemoryBytes", static_cast<double>(*statistics->peak_device_memory_bytes));
    }
    if (statistics->device_busy_seconds) object.Set("deviceBusySeconds", *statistics->device_busy_seconds);
  } else if (const auto* error = std::get_if<Error>(&end)) {
    object.Set("type", "failed");
    object.Set("code", code_name(error->code()));
    object.Set("message", error->what());
    if (!error->tensor().empty()) object.Set("tensor", error->tensor());
    if (!error->path().empty()) object.Set("path", error->path());
  } else {
    object.Set("type", "cancelled");
  }
  return object;
}

}  // namespace fp8::addon
