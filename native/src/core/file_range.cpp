#include "core/file_range.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/stop.h"
#include "fp8/error.h"

namespace fp8 {

namespace {

ErrorCode code_of(int error) {
  switch (error) {
    case ENOENT:
      return ErrorCode::file_not_found;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::permission_denied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ErrorCode::disk_full;
    case ENOMEM:
      return ErrorCode::out_of_memory;
    default:
      return ErrorCode::io;
  }
}

std::string quoted(const std::string& tensor) { return tensor.empty() ? std::string() : " of tensor \"" + tensor + "\""; }

[[noreturn]] void fail(int error, const std::string& doing, const std::string& path, const std::string& tensor) {
  const ErrorCode code = code_of(error);
  std::string message = doing + ": " + std::strerror(error) + ".";
  if (code == ErrorCode::disk_full) message = doing + ": the disk is full. Free some space or choose another output folder.";
  throw Error(code, message, tensor, path);
}

[[noreturn]] void fail_shrunk(const std::string& path, const std::string& tensor) {
  throw Error(ErrorCode::file_changed,
              "\"" + path + "\" shrank while it was read: the data" + quoted(tensor) +
                  " ends early. Wait until nothing writes to the file, then convert it again.",
              tensor, path);
}

int open_or_throw(const std::string& path, int flags, const char* purpose) {
  int descriptor;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) fail(errno, "Cannot open \"" + path + "\" for " + purpose, path, {});
  return descriptor;
}

// Errors of copy_file_range that mean "not between these two files", not "the copy failed".
bool unsupported(int error) {
  return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EPERM || error == EBADF ||
         error == ETXTBSY;
}

void copy_through_buffer(const File& source, std::uint64_t from, const File& output, std::uint64_t to, std::uint64_t length,
                         const std::string& tensor, const std::stop_token& stop) {
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(length, io_chunk_bytes)));
  while (length > 0) {
    throw_if_stopped(stop);
    const std::span<std::byte> piece(buffer.data(), static_cast<std::size_t>(std::min<std::uint64_t>(length, buffer.size())));
    source.read(from, piece, tensor);
    output.write(to, piece, tensor);
    from += piece.size();
    to += piece.size();
    length -= piece.size();
  }
}

// Asks for the pages to go to the disk now, so that the fsync at the end of the job finds little left to wait for.
void start_writeback([[maybe_unused]] int descriptor, [[maybe_unused]] std::uint64_t offset, [[maybe_unused]] std::uint64_t length) {
#ifdef SYNC_FILE_RANGE_WRITE
  if (length >= (std::uint64_t{1} << 20)) {
    static_cast<void>(::sync_file_range(descriptor, static_cast<off64_t>(offset), static_cast<off64_t>(length), SYNC_FILE_RANGE_WRITE));
  }
#endif
}

// Takes the room for the whole file now: a disk that is too full is told of before any work, and the file lies in one piece. Some file
// systems cannot; there the file stays sparse and the disk may fill up later.
void reserve(int descriptor, const std::string& path) {
#ifdef __linux__
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return;
  while (::fallocate(descriptor, 0, 0, status.st_size) != 0) {
    if (errno == EINTR) continue;
    if (code_of(errno) == ErrorCode::disk_full) fail(errno, "Cannot reserve the space for \"" + path + "\"", path, {});
    return;
  }
#else
  static_cast<void>(descriptor);
  static_cast<void>(path);
#endif
}

}  // namespace

File File::open_for_reading(const std::string& path) { return File(open_or_throw(path, O_RDONLY, "reading"), path); }
File File::open_for_writing(const std::string& path) { return File(open_or_throw(path, O_WRONLY, "writing"), path); }

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void File::read(std::uint64_t offset, std::span<std::byte> bytes, const std::string& tensor) const {
  while (!bytes.empty()) {
    const ssize_t count = ::pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(errno, "Cannot read the data" + quoted(tensor) + " from \"" + path_ + "\"", path_, tensor);
    if (count == 0) fail_shrunk(path_, tensor);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

void File::write(std::uint64_t offset, std::span<const std::byte> bytes, const std::string& tensor) const {
  const std::uint64_t begin = offset;
  const std::uint64_t length = bytes.size();
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail(count < 0 ? errno : ENOSPC, "Cannot write the data" + quoted(tensor) + " to \"" + path_ + "\"", path_, tensor);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  start_writeback(descriptor_, begin, length);
}

JobFiles::JobFiles(const Job& job) {
  for (const std::string& path : job.files) sources_.push_back(File::open_for_reading(path));
  if (!job.output) return;
  output_.push_back(File::open_for_writing(*job.output));
  reserve(output_.front().descriptor(), *job.output);
}

const File& JobFiles::output() const {
  if (output_.empty()) throw Error(ErrorCode::internal, "A job that writes was given no output file.");
  return output_.front();
}

void read_range(const File& file, std::uint64_t offset, std::span<std::byte> bytes, const std::string& tensor,
                const std::stop_token& stop) {
  while (!bytes.empty()) {
    throw_if_stopped(stop);
    const std::span<std::byte> piece = bytes.first(std::min(bytes.size(), io_chunk_bytes));
    file.read(offset, piece, tensor);
    bytes = bytes.subspan(piece.size());
    offset += piece.size();
  }
}

void write_range(const File& file, std::uint64_t offset, std::span<const std::byte> bytes, const std::string& tensor,
                 const std::stop_token& stop) {
  while (!bytes.empty()) {
    throw_if_stopped(stop);
    const std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), io_chunk_bytes));
    file.write(offset, piece, tensor);
    bytes = bytes.subspan(piece.size());
    offset += piece.size();
  }
}

void copy_range(const File& source, const FileRange& range, const File& output, std::uint64_t output_offset, const std::string& tensor,
                const std::stop_token& stop) {
  std::uint64_t from = range.offset;
  std::uint64_t to = output_offset;
  std::uint64_t left = range.length;
#ifdef __linux__
  while (left > 0) {
    throw_if_stopped(stop);
    off64_t in = static_cast<off64_t>(from);
    off64_t out = static_cast<off64_t>(to);
    const std::size_t piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, io_chunk_bytes));
    const ssize_t count = ::copy_file_range(source.descriptor(), &in, output.descriptor(), &out, piece, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && unsupported(errno)) break;
    if (count < 0) {
      fail(errno, "Cannot copy the data" + quoted(tensor) + " from \"" + source.path() + "\" to \"" + output.path() + "\"", output.path(),
           tensor);
    }
    // Some file systems report 0 although there is data: the buffered copy then tells an early end from that.
    if (count == 0) break;
    start_writeback(output.descriptor(), to, static_cast<std::uint64_t>(count));
    from += static_cast<std::uint64_t>(count);
    to += static_cast<std::uint64_t>(count);
    left -= static_cast<std::uint64_t>(count);
  }
#endif
  if (left > 0) copy_through_buffer(source, from, output, to, left, tensor, stop);
}

}  // namespace fp8
