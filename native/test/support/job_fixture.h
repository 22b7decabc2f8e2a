// Runs jobs of one backend on temporary files and keeps what they report.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "fp8/backend.h"

namespace fp8::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fp8-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string file(const std::string& name) const { return (path_ / name).string(); }

  template <typename T>
  std::string write(const std::string& name, const std::vector<T>& values) const {
    std::ofstream(file(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
    return file(name);
  }

  std::string reserve(const std::string& name, std::uint64_t size) const {
    std::ofstream(file(name), std::ios::binary).close();
    std::filesystem::resize_file(file(name), size);
    return file(name);
  }

 private:
  std::filesystem::path path_;
};

inline std::vector<std::uint8_t> read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

class Recorder : public Observer {
 public:
  void on_event(Event event) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    events_.push_back(std::move(event));
  }

  template <typename T>
  std::vector<T> all() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<T> found;
    for (const Event& event : events_) {
      if (const auto* value = std::get_if<T>(&event)) found.push_back(*value);
    }
    return found;
  }

  template <typename T>
  T only() const {
    const std::vector<T> found = all<T>();
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? T{} : found.front();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Event> events_;
};

// A job of one matrix that fills `source`; the codes come first in the output, then the scale.
inline Job one_matrix(const std::string& source, const std::string& output, SourceDtype dtype, std::uint64_t rows, std::uint64_t columns,
                      Rounding rounding) {
  QuantizeTask task;
  task.name = "layer.weight";
  task.source = {0, 0, rows * columns * byte_size(dtype)};
  task.dtype = dtype;
  task.rows = rows;
  task.columns = columns;
  task.scale_offsets = {rows * columns};
  task.rounding = rounding;
  Job job;
  job.files = {source};
  job.output = output;
  job.tasks = {task};
  job.device = "cpu";
  return job;
}

}  // namespace fp8::testing
