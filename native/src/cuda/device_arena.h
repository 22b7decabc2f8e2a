// DeviceArena: one block of device memory, handed out in pieces to whoever waits longest. Everything a tensor needs is asked for at once,
// so that waiting tensors never hold what another waits for.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <stop_token>
#include <vector>

namespace fp8::cuda {

class DeviceArena {
 public:
  // Gives its bytes back when it goes.
  class Piece {
   public:
    Piece() = default;
    Piece(Piece&& other) noexcept;
    Piece& operator=(Piece&& other) noexcept;
    Piece(const Piece&) = delete;
    ~Piece();

    void* data() const { return data_; }

   private:
    friend class DeviceArena;
    Piece(DeviceArena* arena, void* data) : arena_(arena), data_(data) {}
    DeviceArena* arena_ = nullptr;
    void* data_ = nullptr;
  };

  // Takes `bytes`, or half as much, and so on, where the device has less; at least `least`. Throws Error{out_of_memory}.
  DeviceArena(std::int64_t bytes, std::int64_t least);
  ~DeviceArena();
  DeviceArena(const DeviceArena&) = delete;
  DeviceArena& operator=(const DeviceArena&) = delete;

  std::int64_t capacity() const { return capacity_; }

  // One piece for each size, together. Sizes whose sum with rounding exceeds the capacity never fit: the caller has looked. Throws
  // Cancelled.
  std::vector<Piece> take(const std::vector<std::int64_t>& sizes, const std::stop_token& stop);

  // What `take` accounts for a piece.
  static std::int64_t rounded(std::int64_t bytes) { return (bytes + granularity - 1) / granularity * granularity; }
  static std::int64_t rounded_down(std::int64_t bytes) { return bytes / granularity * granularity; }

 private:
  static constexpr std::int64_t granularity = 64 << 10;

  bool try_take(const std::vector<std::int64_t>& sizes, std::vector<std::int64_t>& offsets);
  void give_back(void* data);

  std::byte* base_ = nullptr;
  std::int64_t capacity_ = 0;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::int64_t, std::int64_t> used_;  // offset → bytes
  std::uint64_t next_ticket_ = 0;
  std::uint64_t now_serving_ = 0;
};

}  // namespace fp8::cuda
