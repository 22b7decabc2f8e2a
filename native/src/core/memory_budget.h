// MemoryBudget: lets tasks start only while the memory they say they need fits together, in the order in which they asked.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

namespace fp8 {

class MemoryBudget {
 public:
  // Gives its bytes back when it goes.
  class Lease {
   public:
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    Lease(const Lease&) = delete;
    ~Lease();

   private:
    friend class MemoryBudget;
    Lease(MemoryBudget* budget, std::uint64_t bytes) : budget_(budget), bytes_(bytes) {}
    MemoryBudget* budget_;
    std::uint64_t bytes_;
  };

  explicit MemoryBudget(std::uint64_t bytes) : capacity_(bytes) {}

  // Waits for its turn and for room. A task that needs more than the whole budget runs alone. Throws Cancelled.
  Lease acquire(std::uint64_t bytes, const std::stop_token& stop);

 private:
  void release(std::uint64_t bytes);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  const std::uint64_t capacity_;
  std::uint64_t used_ = 0;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t now_serving_ = 0;
};

}  // namespace fp8
