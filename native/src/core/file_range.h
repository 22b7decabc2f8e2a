// Byte ranges of files: whole reads, whole writes and copies, with errors that name the path and the tensor. Thread-safe: nothing here has
// a file position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "fp8/job.h"

namespace fp8 {

// Owns one file descriptor.
class File {
 public:
  static File open_for_reading(const std::string& path);
  static File open_for_writing(const std::string& path);

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  // Fills `bytes` from `offset`. Throws Error{file_changed} when the file ends before that: its size was right when the job was planned.
  void read(std::uint64_t offset, std::span<std::byte> bytes, const std::string& tensor) const;
  void write(std::uint64_t offset, std::span<const std::byte> bytes, const std::string& tensor) const;

  const std::string& path() const { return path_; }
  int descriptor() const { return descriptor_; }

 private:
  File(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}

  int descriptor_ = -1;
  std::string path_;
};

// The files of a job, all open for as long as it runs.
class JobFiles {
 public:
  explicit JobFiles(const Job& job);

  const File& source(const FileRange& range) const { return sources_.at(range.file); }
  // Throws Error{internal} for a job without output.
  const File& output() const;

 private:
  std::vector<File> sources_;
  std::vector<File> output_;  // empty or one
};

// Reads and writes in pieces of this size look at the stop token between them.
inline constexpr std::size_t io_chunk_bytes = std::size_t{8} << 20;

void read_range(const File& file, std::uint64_t offset, std::span<std::byte> bytes, const std::string& tensor, const std::stop_token& stop);
void write_range(const File& file, std::uint64_t offset, std::span<const std::byte> bytes, const std::string& tensor,
                 const std::stop_token& stop);

// Copies inside the kernel where the file systems can, else through a buffer.
void copy_range(const File& source, const FileRange& range, const File& output, std::uint64_t output_offset, const std::string& tensor,
                const std::stop_token& stop);

}  // namespace fp8
