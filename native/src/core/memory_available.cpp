#include "core/memory_available.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace fp8 {

namespace {

std::optional<std::uint64_t> meminfo(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key + ":", 0) != 0) continue;
    return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10) * 1024;
  }
  return std::nullopt;
}

// A number in a file of its own; nothing for "max" and for a file that is not there.
std::optional<std::uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// What control groups version 2 leave. Cached file pages count as used there although they can go, so this errs on the safe side.
std::optional<std::uint64_t> control_group_leaves() {
  const std::string folder = "/sys/fs/cgroup/";
  const auto limit = number_in(folder + "memory.max");
  const auto used = number_in(folder + "memory.current");
  if (!limit || !used) return std::nullopt;
  std::uint64_t cached = 0;
  std::ifstream statistics(folder + "memory.stat");
  std::string key;
  for (std::uint64_t value = 0; statistics >> key >> value;) {
    if (key == "inactive_file") cached = value;
  }
  const std::uint64_t needed = *used - std::min(*used, cached);
  return *limit > needed ? *limit - needed : 0;
}

}  // namespace

std::optional<std::uint64_t> memory_available() {
  const auto machine = meminfo("MemAvailable");
  const auto group = control_group_leaves();
  if (machine && group) return std::min(*machine, *group);
  return machine ? machine : group;
}

std::optional<std::uint64_t> memory_total() { return meminfo("MemTotal"); }

}  // namespace fp8
