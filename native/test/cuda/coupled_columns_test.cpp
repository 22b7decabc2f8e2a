#include "cuda/coupled_columns.h"

#include "cuda/coupled_products.h"
#include "device.h"
#include "fp8/fp8.h"

namespace fp8::cuda {
namespace {

struct Size {
  int rows;
  int columns;
};

class CoupledColumnsTest : public CudaTest, public ::testing::WithParamInterface<Size> {};

float nearest(float value) { return decode_e4m3(encode_e4m3(value)); }

// Symmetric, correlated and of mean diagonal about 1, plus damping; as the kernel sees it, in halves.
std::vector<float> square(int size, unsigned seed, float damping) {
  const int depth = 3 * size / 2 + 4;
  const std::vector<float> x = normal_numbers(static_cast<std::size_t>(size) * depth, seed);
  const std::vector<float> common = normal_numbers(static_cast<std::size_t>(depth), seed + 1);
  std::vector<float> out(static_cast<std::size_t>(size) * size);
  for (int i = 0; i < size; ++i) {
    for (int j = 0; j < size; ++j) {
      float sum = 0;
      for (int k = 0; k < depth; ++k) {
        sum += (x[static_cast<std::size_t>(i) * depth + k] + common[k]) * (x[static_cast<std::size_t>(j) * depth + k] + common[k]);
      }
      out[static_cast<std::size_t>(i) * size + j] = rounded_to_half((sum / static_cast<float>(2 * depth) + (i == j ? damping : 0.0F)));
    }
  }
  return out;
}

struct Problem {
  explicit Problem(Size size)
      : leading((size.rows + 63) / 64 * 64),
        rows(size.rows),
        columns(size.columns),
        g(square(rows, 31, 0.5F)),
        h(square(columns, 33, 0.3F)) {
    const std::vector<float> numbers = normal_numbers(static_cast<std::size_t>(columns) * leading, 35, 20.0F);
    for (const float value : numbers) {
      w.push_back(value);
      codes.push_back(encode_e4m3(value));
    }
  }
  std::size_t at(int row, int column) const { return static_cast<std::size_t>(column) * leading + row; }
  double g_at(int i, int k) const { return static_cast<double>(g[static_cast<std::size_t>(i) * rows + k]); }
  double h_at(int j, int l) const { return static_cast<double>(h[static_cast<std::size_t>(j) * columns + l]); }

  // E H, columns × rows.
  std::vector<double> products(const std::vector<double>& e) const {
    std::vector<double> out(w.size(), 0.0);
    for (int c = 0; c < columns; ++c) {
      for (int k = 0; k < columns; ++k) {
        for (int r = 0; r < rows; ++r) out[at(r, c)] += e[at(r, k)] * h_at(k, c);
      }
    }
    return out;
  }
  // G E H.
  std::vector<double> gamma(const std::vector<double>& e) const {
    const std::vector<double> eh = products(e);
    std::vector<double> out(w.size(), 0.0);
    for (int c = 0; c < columns; ++c) {
      for (int k = 0; k < rows; ++k) {
        for (int r = 0; r < rows; ++r) out[at(r, c)] += g_at(r, k) * eh[at(k, c)];
      }
    }
    return out;
  }
  std::vector<double> errors(const std::vector<std::uint8_t>& of) const {
    std::vector<double> e(w.size(), 0.0);
    for (int c = 0; c < columns; ++c) {
      for (int r = 0; r < rows; ++r) e[at(r, c)] = static_cast<double>(decode_e4m3(of[at(r, c)])) - static_cast<double>(w[at(r, c)]);
    }
    return e;
  }
  double objective(const std::vector<std::uint8_t>& of) const {
    const std::vector<double> e = errors(of);
    const std::vector<double> product = gamma(e);
    double total = 0;
    for (std::size_t i = 0; i < e.size(); ++i) total += e[i] * product[i];
    return total;
  }
  // One element after the other, in double.
  std::vector<std::uint8_t> swept() const {
    std::vector<std::uint8_t> out = codes;
    std::vector<double> y = gamma(errors(codes));
    for (int c = 0; c < columns; ++c) {
      for (int r = 0; r < rows; ++r) {
        const double curvature = g_at(r, r) * h_at(c, c);
        const double q = static_cast<double>(decode_e4m3(out[at(r, c)]));
        const double move = static_cast<double>(nearest(static_cast<float>(q - y[at(r, c)] / curvature))) - q;
        if (move * (2 * y[at(r, c)] + move * curvature) >= 0) continue;
        out[at(r, c)] = encode_e4m3(static_cast<float>(q + move));
        for (int k = 0; k < columns; ++k) {
          for (int i = 0; i < rows; ++i) y[at(i, k)] += g_at(i, r) * move * h_at(c, k);
        }
      }
    }
    return out;
  }

  int leading;
  int rows;
  int columns;
  std::vector<float> g, h, w;
  std::vector<std::uint8_t> codes;
};

TEST_P(CoupledColumnsTest, TheStepsFallAsFarAsOneElementAfterTheOther) {
  const Problem p(GetParam());
  // Y = E H, columns × rows, in halves of a fitting size.
  const std::vector<double> e = p.errors(p.codes);
  const std::vector<double> y = p.products(e);
  double largest = 0;
  for (const double value : y) largest = std::max(largest, std::abs(value));
  const float products_scale = static_cast<float>(std::exp2(13 - std::ceil(std::log2(largest))));
  std::vector<__half> products, g, h, errors_before;
  for (const double value : y) products.push_back(__float2half_rn(static_cast<float>(value) * products_scale));
  // Leading dimensions of operands are multiples of 8.
  const int g_leading = (p.rows + 7) / 8 * 8, h_leading = (p.columns + 7) / 8 * 8;
  for (int i = 0; i < p.rows; ++i) {
    for (int k = 0; k < g_leading; ++k) g.push_back(__float2half_rn(k < p.rows ? 4 * static_cast<float>(p.g_at(i, k)) : 7.0F));
  }
  for (int i = 0; i < p.columns; ++i) {
    for (int k = 0; k < h_leading; ++k) h.push_back(__float2half_rn(k < p.columns ? 8 * static_cast<float>(p.h_at(i, k)) : 7.0F));
  }
  std::vector<float> g_diagonal, h_diagonal;
  for (int i = 0; i < p.rows; ++i) g_diagonal.push_back(static_cast<float>(p.g_at(i, i)));
  for (int i = 0; i < p.columns; ++i) h_diagonal.push_back(static_cast<float>(p.h_at(i, i)));
  for (int r = 0; r < p.rows; ++r) {
    for (int c = 0; c < p.columns; ++c) errors_before.push_back(__float2half_rn(static_cast<float>(e[p.at(r, c)])));
  }
  const DeviceVector<float> w(p.w), device_g_diagonal(g_diagonal), device_h_diagonal(h_diagonal);
  const DeviceVector<__half> device_g(g), device_h(h), device_products(products), errors(errors_before);
  const DeviceVector<std::uint8_t> codes(p.codes);
  const DeviceVector<double> objective(std::vector<double>{0.0});
  Bump count;
  const CoupledBuffers counted(count, p.rows, p.columns);
  // NaN, so that what is read before it is written shows.
  const DeviceVector<std::uint8_t> memory(std::vector<std::uint8_t>(static_cast<std::size_t>(count.used()), 0xFF));
  Bump bump(memory.get());
  const CoupledBuffers buffers(bump, p.rows, p.columns);
  const CoupledMatrix matrix{.dtype = SourceDtype::f32,
                             .w = w.get(),
                             .w_leading = p.leading,
                             .scale = 1.0F,
                             .codes = codes.get(),
                             .codes_leading = p.leading,
                             .errors = errors.get(),
                             .errors_leading = p.columns,
                             .products = device_products.get(),
                             .products_leading = p.leading,
                             .products_scale = products_scale,
                             .g = device_g.get(),
                             .g_leading = g_leading,
                             .g_scale = 4,
                             .g_diagonal = device_g_diagonal.get(),
                             .h = device_h.get(),
                             .h_leading = h_leading,
                             .h_scale = 8,
                             .h_diagonal = device_h_diagonal.get(),
                             .objective = objective.get(),
                             .rows = p.rows,
                             .columns = p.columns};
  const int steps = CoupledSchedule(p.rows, p.columns).steps();
  for (int step = 0; step < steps; ++step) sweep_coupled_step(matrix, buffers, step, nullptr);
  const auto found = codes.host();
  const auto found_errors = errors.host();
  const auto found_products = device_products.host();
  const double before = p.objective(p.codes);
  const double after = p.objective(found);
  const double twin = p.objective(p.swept());
  const double told = objective.host().front();
  std::printf("%d x %d: before %.1f, after %.1f (told %.1f), one after the other %.1f\n", p.rows, p.columns, before, after, before + told,
              twin);
  EXPECT_LE(after, before);
  EXPECT_NEAR(before + told, after, 0.01 * (before - after));
  // With this much in common among rows and columns, warps and tiles often get into each other's way.
  EXPECT_LE(after - twin, (steps == 1 ? 0.1 : 0.3) * (before - twin));
  const std::vector<double> wanted = p.products(p.errors(found));
  for (int c = 0; c < p.columns; ++c) {
    for (int r = 0; r < p.rows; ++r) {
      const std::size_t index = static_cast<std::size_t>(r) * p.columns + c;
      ASSERT_EQ(__half2float(found_errors[index]), rounded_to_half(decode_e4m3(found[p.at(r, c)]) - p.w[p.at(r, c)])) << r << ", " << c;
      ASSERT_NEAR(__half2float(found_products[p.at(r, c)]) / products_scale, wanted[p.at(r, c)], 2e-3 * largest) << r << ", " << c;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, CoupledColumnsTest,
                         ::testing::Values(Size{128, 128}, Size{128, 40}, Size{100, 128}, Size{33, 32}, Size{5, 7}, Size{1, 1},
                                           Size{300, 260}, Size{130, 500}, Size{389, 100}, Size{900, 240}));

TEST_F(CudaTest, ProductsBecomeHalvesThatStayFinite) {
  const std::vector<float> in{1.0F, -70000.0F, 0.3F, 9.0F, 5e8F, -2.5F, 0.0F, 9.0F};
  const DeviceVector<float> from(in);
  const DeviceVector<__half> high(std::vector<__half>(6)), low(std::vector<__half>(6));
  split_products(from.get(), 4, 2, 3, 2.0F, high.get(), low.get(), 3, nullptr);
  const auto found = high.host();
  const auto rest = low.host();
  const std::vector<float> wanted{2.0F, -65504.0F, rounded_to_half(0.6F), 65504.0F, -5.0F, 0.0F};
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(__half2float(found[i]), wanted[i]) << i;
  EXPECT_NEAR(__half2float(found[2]) + __half2float(rest[2]), 0.6F, 1e-6F);
  store_products(from.get(), 4, 2, 3, 2.0F, low.get(), 3, nullptr);
  const auto alone = low.host();
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(__half2float(alone[i]), wanted[i]) << i;
}

}  // namespace
}  // namespace fp8::cuda
