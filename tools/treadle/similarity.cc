#include "tools/treadle/similarity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace treadle::tool {
namespace {

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

double cosine_of(double dot, double got_squares, double want_squares) {
  if (got_squares == 0 || want_squares == 0) return 0;
  return dot / (std::sqrt(got_squares) * std::sqrt(want_squares));
}

std::vector<double> excesses(const Tensor& got, const Tensor& want, double rtol, double atol) {
  const std::vector<double> g = got.to_doubles(), w = want.to_doubles();
  const double relative = is_float(want.dtype()) ? rtol : 0;
  std::vector<double> out(w.size());
  for (size_t i = 0; i < w.size(); ++i) {
    const double error = same(g[i], w[i]) ? 0 : std::abs(g[i] - w[i]);
    const double size = std::isfinite(w[i]) ? std::abs(w[i]) : 0;
    out[i] = std::isnan(error) ? INFINITY : error - (atol + relative * size);
  }
  return out;
}

}  // namespace

std::optional<Similarity> similarity(const Value& got, const Value& want) {
  if (!got.is_tensor() || !want.is_tensor()) return std::nullopt;
  const Tensor &a = got.tensor(), &b = want.tensor();
  if (a.dtype() != b.dtype() || a.dims() != b.dims() || !kNumbers.has(b.dtype()))
    return std::nullopt;
  const std::vector<double> g = a.to_doubles(), w = b.to_doubles();
  double errors = 0, squares = 0, dot = 0, got_squares = 0, want_squares = 0, peak = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    if (same(g[i], w[i]) && !std::isfinite(w[i])) continue;
    const double error = std::abs(g[i] - w[i]);
    errors += error;
    squares += error * error;
    dot += g[i] * w[i];
    got_squares += g[i] * g[i];
    want_squares += w[i] * w[i];
    peak = std::max(peak, std::abs(w[i]));
  }
  const auto count = static_cast<double>(std::max<size_t>(w.size(), 1));
  const double psnr = squares == 0 ? INFINITY : 10 * std::log10(peak * peak / (squares / count));
  const double cosine = squares == 0 ? 1 : cosine_of(dot, got_squares, want_squares);
  return Similarity{errors / count, cosine, psnr};
}

double mean_excess(const Tensor& got, const Tensor& want, double rtol, double atol) {
  const std::vector<double> e = excesses(got, want, rtol, atol);
  return e.empty() ? 0 : std::accumulate(e.begin(), e.end(), 0.0) / static_cast<double>(e.size());
}

double quantile_excess(const Tensor& got, const Tensor& want, double rtol, double atol,
                       double quantile) {
  std::vector<double> e = excesses(got, want, rtol, atol);
  if (e.empty()) return 0;
  const double rank = std::ceil(quantile * static_cast<double>(e.size()));
  const auto at = e.begin() + std::max<ptrdiff_t>(static_cast<ptrdiff_t>(rank), 1) - 1;
  std::nth_element(e.begin(), at, e.end());
  return *at;
}

}  // namespace treadle::tool
