// Learned rounding at full rank against this machine's own matrix product, both on all cores, taking turns in one run.
//
//   learned_bench [rows columns]...     default 3072 3072 9216 3072
//
// Counted are 4·M·N² + N³/3 multiply-adds, whatever the solver really does; timed is everything from the BF16 source in memory to the
// codes. Exits with 1 where a shape stays below the promised share of the product's rate.
#include <cblas.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "core/progress.h"
#include "core/stopwatch.h"
#include "core/thread_pool.h"
#include "cpu/learned_rounding.h"
#include "cpu/scaled_matrix.h"
#include "fp8/fp8.h"

namespace {

constexpr double promised_share = 0.5;

class Silent : public fp8::Observer {
  void on_event(fp8::Event) override {}
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Gaussian weights whose columns differ in size, as those of trained layers do.
std::vector<std::uint16_t> weights(std::size_t rows, std::size_t columns) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> size(columns);
  for (float& value : size) value = 0.02F * std::exp(0.3F * normal(generator));
  std::vector<std::uint16_t> bits(rows * columns);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    bits[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(normal(generator) * size[i % columns]) >> 16);
  }
  return bits;
}

double seconds_of_product(std::size_t m, std::size_t n, int threads) {
  std::vector<float> a(m * n, 0.5F);
  std::vector<float> b(n * n, 0.25F);
  std::vector<float> c(m * n);
  openblas_set_num_threads(threads);
  const fp8::Stopwatch watch;
  const auto rows = static_cast<blasint>(m);
  const auto columns = static_cast<blasint>(n);
  cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, rows, columns, columns, 1, a.data(), rows, b.data(), columns, 0, c.data(), rows);
  const double seconds = watch.seconds();
  openblas_set_num_threads(1);
  return seconds;
}

// The share of the product's rate that learned rounding reaches.
double measure(std::size_t rows, std::size_t columns) {
  const auto threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const std::vector<std::uint16_t> source = weights(rows, columns);
  float largest = 0;
  for (const std::uint16_t bits : source) largest = std::max(largest, std::bit_cast<float>((bits & 0x7FFFU) << 16));
  Silent observer;
  fp8::ThreadPool pool(static_cast<std::size_t>(threads));
  std::vector<double> products;
  std::vector<double> solves;
  std::uint32_t sweeps = 0;
  double ratio = 0;
  for (int round = 0; round < 3; ++round) {
    products.push_back(seconds_of_product(rows, columns, threads));
    fp8::TaskProgress progress(observer, 0);
    fp8::Context context{pool, progress, {}};
    const fp8::Stopwatch watch;
    const fp8::ScaledMatrix matrix = fp8::scale_and_transpose(std::as_bytes(std::span(source)), fp8::SourceDtype::bf16, rows, columns,
                                                              fp8::e4m3_scale(largest), context);
    const fp8::RoundedMatrix rounded = fp8::round_learned(matrix, {}, 1.0, context);
    solves.push_back(watch.seconds());
    sweeps = rounded.sweeps;
    ratio = rounded.objective / rounded.objective_nearest;
  }
  const double m = static_cast<double>(rows);
  const double n = static_cast<double>(columns);
  const double product_rate = m * n * n / median(products);
  const double solve_rate = (4 * m * n * n + n * n * n / 3) / median(solves);
  const double share = solve_rate / product_rate;
  std::printf("%s %6zu x %6zu: sgemm %6.1f G/s, learned %6.1f G/s (%.2f s, %u sweeps, objective %.3f of nearest): %.0f %%\n",
              share >= promised_share ? "kept  " : "BROKEN", rows, columns, product_rate / 1e9, solve_rate / 1e9, median(solves), sweeps,
              ratio, 100 * share);
  return share;
}

}  // namespace

int main(int count, char** arguments) {
  double least = 1;
  if (count < 3) {
    least = measure(3072, 3072);
    least = std::min(least, measure(9216, 3072));
  }
  for (int i = 1; i + 1 < count; i += 2) {
    least = std::min(least, measure(std::strtoull(arguments[i], nullptr, 10), std::strtoull(arguments[i + 1], nullptr, 10)));
  }
  return least >= promised_share ? 0 : 1;
}
