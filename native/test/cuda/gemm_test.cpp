#include "device.h"

namespace fp8::cuda {
namespace {

struct Shape {
  int rows;
  int columns;
  int depth;
};

class GemmTest : public CudaTest, public ::testing::WithParamInterface<Shape> {};

std::vector<std::uint16_t> bits_of(const std::vector<float>& values, Element element) {
  std::vector<std::uint16_t> bits;
  for (const float value : values) {
    bits.push_back(element == Element::bf16 ? to_bf16(value) : std::bit_cast<std::uint16_t>(__float2half_rn(value)));
  }
  return bits;
}

float value_of(std::uint16_t bits, Element element) {
  return element == Element::bf16 ? from_bf16(bits) : __half2float(std::bit_cast<__half>(bits));
}

TEST_P(GemmTest, EqualsTheProductInDouble) {
  const Shape shape = GetParam();
  const int leading = (shape.depth + 7) / 8 * 8 + 8;
  const int c_leading = (shape.columns + 1) / 2 * 2 + 2;
  for (const GemmPath path : paths()) {
    for (const Element element : {Element::f16, Element::bf16}) {
      if (element == Element::bf16 && capability_ < 80) continue;
      for (const Triangle triangle : {Triangle::all, Triangle::lower}) {
        if (triangle == Triangle::lower && shape.rows != shape.columns) continue;
        SCOPED_TRACE(::testing::Message() << "path " << static_cast<int>(path) << " element " << static_cast<int>(element) << " triangle "
                                          << static_cast<int>(triangle));
        // Poison beyond the depth: what is there must not count.
        const auto a = bits_of(normal_numbers(static_cast<std::size_t>(shape.rows) * leading, 1), element);
        const auto b = bits_of(normal_numbers(static_cast<std::size_t>(shape.columns) * leading, 2), element);
        const auto c = normal_numbers(static_cast<std::size_t>(shape.rows) * c_leading, 3);
        const DeviceVector<std::uint16_t> device_a(a), device_b(b);
        const DeviceVector<float> device_c(c);
        gemm({.element = element,
              .rows = shape.rows,
              .columns = shape.columns,
              .depth = shape.depth,
              .a = {device_a.get(), leading},
              .b = {device_b.get(), leading},
              .c = device_c.get(),
              .c_leading = c_leading,
              .alpha = 0.5F,
              .beta = -2.0F,
              .triangle = triangle},
             path, nullptr);
        const std::vector<float> result = device_c.host();
        for (int i = 0; i < shape.rows; ++i) {
          for (int j = 0; j < c_leading; ++j) {
            const std::size_t at = static_cast<std::size_t>(i) * c_leading + j;
            if (j >= shape.columns) {
              ASSERT_EQ(result[at], c[at]) << "written beyond the edge at " << i << ", " << j;
              continue;
            }
            if (triangle == Triangle::lower && j > i) continue;
            double expected = 0;
            double magnitude = 0;
            for (int k = 0; k < shape.depth; ++k) {
              const double term = static_cast<double>(value_of(a[static_cast<std::size_t>(i) * leading + k], element)) *
                                  static_cast<double>(value_of(b[static_cast<std::size_t>(j) * leading + k], element));
              expected += term;
              magnitude += std::abs(term);
            }
            expected = 0.5 * expected - 2.0 * static_cast<double>(c[at]);
            ASSERT_NEAR(result[at], expected, 1e-6 * (magnitude + 1)) << i << ", " << j;
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, GemmTest,
                         ::testing::Values(Shape{1, 1, 1}, Shape{128, 128, 64}, Shape{128, 128, 256}, Shape{129, 127, 65},
                                           Shape{300, 300, 384}, Shape{5, 700, 33}, Shape{640, 3, 1000}));

}  // namespace
}  // namespace fp8::cuda
