// Context: what every step of one task on the CPU needs besides its numbers.
#pragma once

#include <stop_token>

#include "core/progress.h"
#include "core/thread_pool.h"

namespace fp8 {

struct Context {
  ThreadPool& pool;
  TaskProgress& progress;
  std::stop_token stop;
};

// How many blocks of `size` cover `total`, and where each begins and ends.
constexpr std::size_t block_count(std::size_t total, std::size_t size) { return (total + size - 1) / size; }
constexpr std::size_t round_up(std::size_t value, std::size_t multiple) { return block_count(value, multiple) * multiple; }

struct Block {
  std::size_t begin;
  std::size_t end;
  constexpr std::size_t size() const { return end - begin; }
};

constexpr Block block_at(std::size_t index, std::size_t size, std::size_t total) {
  const std::size_t begin = index * size;
  return {begin, begin + size < total ? begin + size : total};
}

// A stride for rows of `count` floats that keeps vectors aligned and neighbouring rows out of the same cache sets.
constexpr std::size_t padded_stride(std::size_t count) {
  const std::size_t stride = round_up(count, 16);
  return stride % 512 == 0 ? stride + 16 : stride;
}

}  // namespace fp8
