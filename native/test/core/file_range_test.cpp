// Ranges of files: whole, or an error that names the file and the tensor.
#include "core/file_range.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <numeric>

#include "fp8/error.h"
#include "support/job_fixture.h"

namespace fp8 {
namespace {

template <typename Action>
Error error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorCode::internal, "");
}

TEST(FileRange, CopiesLargeRangesExactly) {
  const testing::TemporaryFolder folder;
  std::vector<std::uint32_t> data(io_chunk_bytes / 2);  // two chunks
  std::iota(data.begin(), data.end(), 1U);
  const std::string source = folder.write("source", data);
  const std::string output = folder.reserve("output", data.size() * 4 + 100);
  const File from = File::open_for_reading(source);
  const File to = File::open_for_writing(output);
  const std::uint64_t length = data.size() * 4 - 13;
  copy_range(from, {0, 7, length}, to, 31, "tensor", {});
  const std::vector<std::uint8_t> written = testing::read_file(output);
  ASSERT_EQ(written.size(), data.size() * 4 + 100);
  EXPECT_EQ(std::memcmp(written.data() + 31, reinterpret_cast<const std::uint8_t*>(data.data()) + 7, length), 0);
  EXPECT_EQ(written[30], 0);
  EXPECT_EQ(written[31 + length], 0);
}

TEST(FileRange, CopiesWhereTheKernelCannot) {
  // /dev/shm is another file system than the temporary folder, and /dev/zero is no regular file: the buffered way takes over.
  const testing::TemporaryFolder folder;
  const std::string output = folder.write("output", std::vector<std::uint8_t>(5000, 0xFF));
  const File from = File::open_for_reading("/dev/zero");
  const File to = File::open_for_writing(output);
  copy_range(from, {0, 0, 4000}, to, 500, "tensor", {});
  const std::vector<std::uint8_t> written = testing::read_file(output);
  for (std::size_t i = 0; i < written.size(); ++i) ASSERT_EQ(written[i], i >= 500 && i < 4500 ? 0 : 0xFF) << i;
}

TEST(FileRange, SaysThatAFileShrankAndWhichTensorIsHit) {
  const testing::TemporaryFolder folder;
  const std::string source = folder.write("model.safetensors", std::vector<std::uint8_t>(100, 1));
  const File file = File::open_for_reading(source);
  std::vector<std::byte> bytes(50);
  const Error read_error = error_of([&] { file.read(60, bytes, "layer.weight"); });
  EXPECT_EQ(read_error.code(), ErrorCode::file_changed);
  EXPECT_EQ(read_error.tensor(), "layer.weight");
  EXPECT_EQ(read_error.path(), source);
  EXPECT_NE(std::string(read_error.what()).find("shrank while it was read"), std::string::npos);
  const File output = File::open_for_writing(folder.reserve("output", 200));
  const Error copy_error = error_of([&] { copy_range(file, {0, 60, 50}, output, 0, "layer.weight", {}); });
  EXPECT_EQ(copy_error.code(), ErrorCode::file_changed);
}

TEST(FileRange, SaysThatTheDiskIsFull) {
  const File full = File::open_for_writing("/dev/full");
  const std::vector<std::byte> bytes(4096);
  const Error error = error_of([&] { write_range(full, 0, bytes, "layer.weight", {}); });
  EXPECT_EQ(error.code(), ErrorCode::disk_full);
  EXPECT_EQ(error.tensor(), "layer.weight");
  EXPECT_EQ(error.path(), "/dev/full");
}

TEST(JobFiles, TakeTheRoomOfTheOutputBeforeAnythingIsWritten) {
  const testing::TemporaryFolder folder;
  const std::uint64_t size = 1 << 20;
  const std::string probe = folder.reserve("probe", size);
  const int descriptor = ::open(probe.c_str(), O_WRONLY | O_CLOEXEC);
  const bool can_reserve = ::fallocate(descriptor, 0, 0, size) == 0;
  ::close(descriptor);
  if (!can_reserve) GTEST_SKIP() << "the file system of the temporary folder cannot reserve space";
  Job job;
  job.output = folder.reserve("output", size);
  const JobFiles files(job);
  struct stat status = {};
  ASSERT_EQ(::stat(job.output->c_str(), &status), 0);
  EXPECT_GE(static_cast<std::uint64_t>(status.st_blocks) * 512, size);
  EXPECT_EQ(static_cast<std::uint64_t>(status.st_size), size);
}

TEST(FileRange, SaysThatAFileIsMissing) {
  const Error error = error_of([] { File::open_for_reading("/nowhere/model.safetensors"); });
  EXPECT_EQ(error.code(), ErrorCode::file_not_found);
  EXPECT_EQ(error.path(), "/nowhere/model.safetensors");
}

TEST(FileRange, StopsBetweenChunks) {
  const testing::TemporaryFolder folder;
  const File file = File::open_for_reading(folder.reserve("source", 100));
  std::stop_source stop;
  stop.request_stop();
  std::vector<std::byte> bytes(100);
  EXPECT_THROW(read_range(file, 0, bytes, "tensor", stop.get_token()), Cancelled);
}

}  // namespace
}  // namespace fp8
