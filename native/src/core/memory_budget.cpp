#include "core/memory_budget.h"

#include <algorithm>
#include <utility>

#include "fp8/error.h"

namespace fp8 {

MemoryBudget::Lease::Lease(Lease&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}

MemoryBudget::Lease::~Lease() {
  if (budget_ != nullptr) budget_->release(bytes_);
}

MemoryBudget::Lease MemoryBudget::acquire(std::uint64_t bytes, const std::stop_token& stop) {
  const std::uint64_t granted = std::min(bytes, capacity_);
  std::unique_lock<std::mutex> lock(mutex_);
  const std::uint64_t ticket = next_ticket_++;
  // Whoever gives up after a stop request leaves the queue stuck: everyone behind gives up as well.
  if (!changed_.wait(lock, stop, [&] { return ticket == now_serving_ && used_ + granted <= capacity_; })) throw Cancelled{};
  ++now_serving_;
  used_ += granted;
  changed_.notify_all();
  return Lease(this, granted);
}

void MemoryBudget::release(std::uint64_t bytes) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    used_ -= bytes;
  }
  changed_.notify_all();
}

}  // namespace fp8
