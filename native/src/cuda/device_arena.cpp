#include "device_arena.h"

#include <algorithm>
#include <utility>

#include "check.h"
#include "fp8/error.h"

namespace fp8::cuda {

DeviceArena::Piece::Piece(Piece&& other) noexcept
    : arena_(std::exchange(other.arena_, nullptr)), data_(std::exchange(other.data_, nullptr)) {}

DeviceArena::Piece& DeviceArena::Piece::operator=(Piece&& other) noexcept {
  std::swap(arena_, other.arena_);
  std::swap(data_, other.data_);
  return *this;
}

DeviceArena::Piece::~Piece() {
  if (arena_ != nullptr) arena_->give_back(data_);
}

DeviceArena::DeviceArena(std::int64_t bytes, std::int64_t least) {
  for (;;) {
    void* base = nullptr;
    const cudaError_t status = cudaMalloc(&base, static_cast<std::size_t>(bytes));
    if (status == cudaSuccess) {
      base_ = static_cast<std::byte*>(base);
      capacity_ = bytes;
      return;
    }
    if (status != cudaErrorMemoryAllocation || bytes <= least) check(status, "taking device memory");
    (void)cudaGetLastError();
    bytes = std::max(least, bytes / 2);
  }
}

DeviceArena::~DeviceArena() { (void)cudaFree(base_); }

std::vector<DeviceArena::Piece> DeviceArena::take(const std::vector<std::int64_t>& sizes, const std::stop_token& stop) {
  std::unique_lock<std::mutex> lock(mutex_);
  const std::uint64_t ticket = next_ticket_++;
  std::vector<std::int64_t> offsets;
  // Whoever gives up after a stop request leaves the queue stuck: everyone behind gives up as well.
  if (!changed_.wait(lock, stop, [&] { return ticket == now_serving_ && try_take(sizes, offsets); })) throw Cancelled{};
  ++now_serving_;
  changed_.notify_all();
  std::vector<Piece> pieces;
  for (const std::int64_t offset : offsets) pieces.push_back(Piece(this, base_ + offset));
  return pieces;
}

// First fit, all or nothing.
bool DeviceArena::try_take(const std::vector<std::int64_t>& sizes, std::vector<std::int64_t>& offsets) {
  offsets.clear();
  for (const std::int64_t size : sizes) {
    const std::int64_t bytes = std::max(rounded(size), granularity);
    std::int64_t offset = 0;
    for (const auto& [begin, length] : used_) {
      if (begin - offset >= bytes) break;
      offset = begin + length;
    }
    if (capacity_ - offset < bytes) {
      for (const std::int64_t taken : offsets) used_.erase(taken);
      return false;
    }
    used_.emplace(offset, bytes);
    offsets.push_back(offset);
  }
  return true;
}

void DeviceArena::give_back(void* data) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    used_.erase(static_cast<std::byte*>(data) - base_);
  }
  changed_.notify_all();
}

}  // namespace fp8::cuda
