// Buffer: uninitialised memory, aligned for vectors, with one owner.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fp8 {

template <typename T>
requires std::is_trivially_copyable_v<T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size) : size_(size) {
    if (size == 0) return;
    if (size > (static_cast<std::size_t>(-1) - huge_page) / sizeof(T)) throw std::bad_alloc();
    const bool huge = size * sizeof(T) >= huge_page && size * sizeof(T) <= largest_on_huge_pages;
    const std::size_t unit = huge ? huge_page : alignment;
    const std::size_t bytes = (size * sizeof(T) + unit - 1) / unit * unit;
    data_.reset(static_cast<T*>(std::aligned_alloc(unit, bytes)));
    if (!data_) throw std::bad_alloc();
#if defined(__linux__)
    // Small pages cost a fault for every 4 kB, which is more than converting them takes.
    if (huge) static_cast<void>(::madvise(data_.get(), bytes, MADV_HUGEPAGE));
#endif
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t index) { return data_.get()[index]; }
  const T& operator[](std::size_t index) const { return data_.get()[index]; }
  std::span<T> span() { return {data_.get(), size_}; }
  std::span<const T> span() const { return {data_.get(), size_}; }
  void clear() { *this = Buffer(); }

 private:
  static constexpr std::size_t alignment = 64;
  static constexpr std::size_t huge_page = std::size_t{1} << 21;
  // The kernel may have to move memory about to find huge pages; for gigabytes that takes seconds, in which no cancel is heard.
  static constexpr std::size_t largest_on_huge_pages = std::size_t{256} << 20;
  struct Free {
    void operator()(T* pointer) const { std::free(pointer); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace fp8
