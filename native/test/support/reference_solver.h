// Learned rounding as plainly as it can be written, in double: what the solvers are tested against.
#pragma once

#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "fp8/fp8.h"

namespace fp8::testing {

struct Reference {
  std::size_t rows;
  std::size_t columns;
  std::vector<double> w;  // in units of the scale
  std::vector<double> h;  // normalised to mean diagonal 1 and damped

  Reference(const std::vector<float>& weights, std::size_t row_count, std::size_t column_count, float scale, double damping)
      : rows(row_count), columns(column_count), w(weights.size()), h(column_count * column_count, 0.0) {
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<double>(weights[i] / scale);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = 0; i < columns; ++i) {
        for (std::size_t j = 0; j < columns; ++j) h[i * columns + j] += w[r * columns + i] * w[r * columns + j];
      }
    }
    double mean = 0;
    for (std::size_t i = 0; i < columns; ++i) mean += h[i * columns + i] / static_cast<double>(columns);
    for (double& value : h) value /= mean;
    for (std::size_t i = 0; i < columns; ++i) h[i * columns + i] += damping;
  }

  static double nearest(double value) { return static_cast<double>(decode_e4m3(encode_e4m3(static_cast<float>(value)))); }

  // tr(E H Eᵀ), in units of scale².
  double objective(const std::vector<double>& q) const {
    double total = 0;
    std::vector<double> e(columns);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t i = 0; i < columns; ++i) e[i] = q[r * columns + i] - w[r * columns + i];
      for (std::size_t i = 0; i < columns; ++i) {
        total += e[i] * std::inner_product(e.begin(), e.end(), h.begin() + static_cast<std::ptrdiff_t>(i * columns), 0.0);
      }
    }
    return total;
  }

  double objective_of_codes(const std::uint8_t* codes) const {
    std::vector<double> q(w.size());
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = static_cast<double>(decode_e4m3(codes[i]));
    return objective(q);
  }

  double objective_of_nearest() const {
    std::vector<double> q(w.size());
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = nearest(w[i]);
    return objective(q);
  }

  // Error feedback in order of falling diagonal, by eliminating one variable after the other, then `sweeps` coordinate sweeps.
  std::vector<double> solve(int sweeps) const {
    std::vector<std::size_t> order(columns);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return h[a * columns + a] > h[b * columns + b]; });
    // H = U D Uᵀ with U unit upper triangular in that order: eliminate from the last column.
    const std::size_t n = columns;
    std::vector<double> a(n * n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) a[i * n + j] = h[order[i] * n + order[j]];
    }
    std::vector<double> u(n * n, 0.0);
    for (std::size_t k = n; k-- > 0;) {
      const double d = a[k * n + k];
      for (std::size_t i = 0; i <= k; ++i) u[i * n + k] = a[i * n + k] / d;
      for (std::size_t i = 0; i < k; ++i) {
        for (std::size_t j = 0; j < k; ++j) a[i * n + j] -= u[i * n + k] * d * u[j * n + k];
      }
    }
    std::vector<double> q(w.size());
    for (std::size_t r = 0; r < rows; ++r) {
      std::vector<double> e(n);
      for (std::size_t j = 0; j < n; ++j) {
        double target = w[r * n + order[j]];
        for (std::size_t i = 0; i < j; ++i) target -= e[i] * u[i * n + j];
        q[r * n + order[j]] = nearest(target);
        e[j] = q[r * n + order[j]] - w[r * n + order[j]];
      }
      for (int sweep = 0; sweep < sweeps; ++sweep) {
        for (std::size_t j = 0; j < n; ++j) {
          double y = 0;
          for (std::size_t i = 0; i < n; ++i) y += (q[r * n + i] - w[r * n + i]) * h[i * n + j];
          q[r * n + j] = nearest(q[r * n + j] - y / h[j * n + j]);
        }
      }
    }
    return q;
  }
};

}  // namespace fp8::testing
