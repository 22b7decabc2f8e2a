// Sources that are codes and scales: written back as numbers, and rounded again as their numbers would be.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/half_float.h"
#include "fp8/fp8.h"
#include "support/job_fixture.h"

namespace fp8::testing {
namespace {

constexpr std::uint64_t rows = 70;
constexpr std::uint64_t columns = 66;

// Codes with a scale for each block of 32 × 16, ragged at both edges.
struct QuantizedFile {
  std::vector<std::uint8_t> bytes;
  StoredCodes codes;
  std::vector<float> values;

  QuantizedFile() {
    codes.rows = rows;
    codes.columns = columns;
    codes.storage.block = ScaleBlock{32, 16};
    std::vector<float> scales;
    for (int i = 0; i < 3 * 5; ++i) scales.push_back(0.001F * static_cast<float>(i + 1));
    for (std::uint64_t i = 0; i < rows * columns; ++i) {
      const auto code = static_cast<std::uint8_t>((i * 37 + i / 7) % 126 + (i % 2) * 128);
      bytes.push_back(code);
      values.push_back(decode_e4m3(code) * scales[i / columns / 32 * 5 + i % columns / 16]);
    }
    codes.scales = {0, bytes.size(), scales.size() * sizeof(float)};
    bytes.resize(bytes.size() + codes.scales.length);
    std::memcpy(bytes.data() + codes.scales.offset, scales.data(), codes.scales.length);
  }
};

TEST(Dequantize, WritesEveryValueRoundedOnce) {
  const TemporaryFolder folder;
  const QuantizedFile file;
  for (const SourceDtype dtype : {SourceDtype::f32, SourceDtype::bf16, SourceDtype::f16}) {
    DequantizeTask task;
    task.name = "layer.weight";
    task.values = {{0, 0, rows * columns}, ValueDtype::f8_e4m3, 1, file.codes};
    task.dtype = dtype;
    task.output_offset = 3;
    Job job;
    job.files = {folder.write("codes", file.bytes)};
    job.output = folder.reserve("out", 3 + rows * columns * byte_size(dtype));
    job.tasks = {task};
    Recorder recorder;
    (void)make_cpu_backend()->run(job, recorder, {});
    EXPECT_EQ(recorder.all<Copied>().size(), 1U);
    const std::vector<std::uint8_t> out = read_file(*job.output);
    for (std::size_t i = 0; i < file.values.size(); ++i) {
      const float written = decode_source(reinterpret_cast<const std::byte*>(out.data()) + 3, i, dtype);
      const float value = file.values[i];
      if (dtype == SourceDtype::f32) {
        ASSERT_EQ(written, value) << i;
      } else {
        // Half of the last place, which is relative above the smallest normal number and fixed below it.
        const float step = dtype == SourceDtype::bf16 ? std::fabs(value) * 0x1p-8F : std::max(std::fabs(value) * 0x1p-11F, 0x1p-25F);
        ASSERT_LE(std::fabs(written - value), step) << i;
      }
    }
  }
}

TEST(Dequantize, SaysWhatIsBeyondTheDtype) {
  const TemporaryFolder folder;
  DequantizeTask task;
  task.name = "layer.weight";
  task.values = {{0, 0, 3 * sizeof(float)}, ValueDtype::f32, 1};
  task.dtype = SourceDtype::f16;
  Job job;
  job.files = {folder.write("values", std::vector<float>{1, 65519, 70000})};
  job.output = folder.reserve("out", 6);
  job.tasks = {task};
  Recorder recorder;
  (void)make_cpu_backend()->run(job, recorder, {});
  EXPECT_NE(recorder.only<Note>().message.find("1 of its values"), std::string::npos);
}

TEST(Requantize, GivesWhatTheValuesThemselvesGive) {
  const TemporaryFolder folder;
  const QuantizedFile file;
  for (const Rounding rounding : {Rounding::nearest, Rounding::learned}) {
    const std::uint64_t size = rows * columns + sizeof(float);
    const Job plain = one_matrix(folder.write("values", file.values), folder.reserve("a", size), SourceDtype::f32, rows, columns, rounding);
    Job again = one_matrix(folder.write("codes", file.bytes), folder.reserve("b", size), SourceDtype::f32, rows, columns, rounding);
    auto& task = std::get<QuantizeTask>(again.tasks.front());
    task.source.length = rows * columns;
    task.codes = file.codes;
    Recorder recorder;
    (void)make_cpu_backend()->run(plain, recorder, {});
    (void)make_cpu_backend()->run(again, recorder, {});
    EXPECT_EQ(read_file(*plain.output), read_file(*again.output));
    EXPECT_EQ(recorder.all<Quantized>().size(), 2U);
  }
}

TEST(Compare, GoesByTheValuesOfCodesOnBothSides) {
  const TemporaryFolder folder;
  const QuantizedFile file;
  for (const bool same : {true, false}) {
    std::vector<std::uint8_t> converted = file.bytes;
    if (!same) converted[columns] ^= 0x80U;
    CompareTask task;
    task.name = "layer.weight";
    task.converted = {0, 0, rows * columns};
    task.source = {1, 0, rows * columns};
    task.dtype = SourceDtype::f32;
    task.rows = rows;
    task.columns = columns;
    task.codes = file.codes;
    task.source_codes = file.codes;
    task.source_codes->scales.file = 1;
    Job job;
    job.files = {folder.write("converted", converted), folder.write("source", file.bytes)};
    job.tasks = {task};
    Recorder recorder;
    (void)make_cpu_backend()->run(job, recorder, {});
    const Compared result = recorder.only<Compared>();
    EXPECT_EQ(result.equal, same);
    const double value = same ? 0 : file.values[columns];
    EXPECT_FLOAT_EQ(static_cast<float>(result.max_absolute_error), static_cast<float>(2 * std::fabs(value)));
    EXPECT_EQ(result.squared_nearest.value_or(-1), 0);
  }
}

TEST(HalfFloat, EncodesWhatItDecodes) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const auto code = static_cast<std::uint16_t>(bits);
    const float half = decode_f16(code);
    const float brain = decode_bf16(code);
    if (std::isnan(half)) {
      ASSERT_TRUE(std::isnan(decode_f16(encode_f16(half))));
    } else {
      ASSERT_EQ(encode_f16(half), code);
    }
    if (std::isnan(brain)) {
      ASSERT_TRUE(std::isnan(decode_bf16(encode_bf16(brain))));
    } else {
      ASSERT_EQ(encode_bf16(brain), code);
    }
  }
}

TEST(HalfFloat, RoundsTiesToEven) {
  EXPECT_EQ(decode_f16(encode_f16(1 + 0x1p-11F)), 1.0F);
  EXPECT_EQ(decode_f16(encode_f16(1 + 3 * 0x1p-11F)), 1 + 0x1p-9F);
  EXPECT_EQ(decode_f16(encode_f16(0x1p-25F)), 0.0F);
  EXPECT_EQ(decode_f16(encode_f16(3 * 0x1p-25F)), 0x1p-23F);
  EXPECT_EQ(decode_f16(encode_f16(65519)), 65504.0F);
  EXPECT_EQ(decode_f16(encode_f16(65520)), std::numeric_limits<float>::infinity());
  EXPECT_EQ(decode_bf16(encode_bf16(1 + 0x1p-8F)), 1.0F);
  EXPECT_EQ(decode_bf16(encode_bf16(1 + 3 * 0x1p-8F)), 1 + 0x1p-6F);
}

}  // namespace
}  // namespace fp8::testing
