// Error: the one exception type of the core, with a code from a closed set.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace fp8 {

enum class ErrorCode {
  file_not_found,
  permission_denied,
  disk_full,
  file_changed,
  device_unavailable,
  device_failed,
  out_of_memory,
  io,
  internal,
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, std::string tensor = {}, std::string path = {})
      : std::runtime_error(message), code_(code), tensor_(std::move(tensor)), path_(std::move(path)) {}

  ErrorCode code() const { return code_; }
  const std::string& tensor() const { return tensor_; }
  const std::string& path() const { return path_; }

 private:
  ErrorCode code_;
  std::string tensor_;
  std::string path_;
};

// Thrown where work stops because the stop token asked for it. Not an error.
struct Cancelled {};

}  // namespace fp8
