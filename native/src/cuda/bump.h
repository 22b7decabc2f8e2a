// Bump: hands out pieces of one block of memory in order. Without a block it only counts, so that a plan of buffers tells its size.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fp8::cuda {

class Bump {
 public:
  explicit Bump(void* base = nullptr) : base_(static_cast<std::byte*>(base)) {}

  // `count` elements, aligned to 1024 bytes.
  template <typename T>
  T* take(std::int64_t count) {
    const std::int64_t offset = used_;
    used_ += (count * static_cast<std::int64_t>(sizeof(T)) + 1023) / 1024 * 1024;
    return base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + offset);
  }

  std::int64_t used() const { return used_; }

 private:
  std::byte* base_;
  std::int64_t used_ = 0;
};

constexpr std::int64_t round_up(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }

}  // namespace fp8::cuda
