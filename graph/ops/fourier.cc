#include "graph/ops/fourier.h"

#include <algorithm>
#include <bit>
#include <numbers>

namespace treadle {
namespace {

using Complex = std::complex<double>;

// std::complex's own product also looks for infinities that turned into NaN.
Complex times(Complex a, Complex b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

}  // namespace

void Fourier::check_length(int64_t length) {
  TREADLE_CHECK(length >= 1, kInvalidData, "a Fourier transform of length ", length,
                ", expected at least 1");
  TREADLE_CHECK(length <= kMaxLength, kLimit, "a Fourier transform of length ", length,
                ", at most ", kMaxLength, " supported");
}

Fourier::Fourier(int64_t length) : length_(length) {
  check_length(length);
  const auto n = static_cast<size_t>(length);
  const bool power = std::has_single_bit(n);
  padded_ = power ? n : std::bit_ceil(2 * n - 1);
  roots_.resize(padded_ / 2);
  for (size_t k = 0; k < roots_.size(); ++k) {
    roots_[k] = std::polar(
        1.0, -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(padded_));
  }
  if (!power) prepare_chirp();
}

void Fourier::prepare_chirp() {
  const auto n = static_cast<size_t>(length_);
  chirp_.resize(n);
  for (size_t k = 0; k < n; ++k) {
    const auto turn = static_cast<double>(k * k % (2 * n));  // exact: k is below 2^24
    chirp_[k] = std::polar(1.0, -std::numbers::pi * turn / static_cast<double>(n));
  }
  spectrum_.assign(padded_, {});
  for (size_t k = 0; k < n; ++k) {
    spectrum_[k] = std::conj(chirp_[k]);
    if (k != 0) spectrum_[padded_ - k] = spectrum_[k];
  }
  powers_of_two(spectrum_);
}

void Fourier::powers_of_two(std::vector<Complex>& x) const {
  const size_t n = x.size();
  for (size_t i = 1, j = 0; i < n; ++i) {  // j is i with its bits reversed
    size_t bit = n / 2;
    for (; (j & bit) != 0; bit /= 2) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (size_t half = 1; half < n; half *= 2) {
    const size_t step = n / (2 * half);
    for (size_t start = 0; start < n; start += 2 * half) {
      for (size_t k = 0; k < half; ++k) {
        const Complex odd = times(x[start + half + k], roots_[k * step]);
        x[start + half + k] = x[start + k] - odd;
        x[start + k] += odd;
      }
    }
  }
}

void Fourier::forward(std::vector<Complex>& x) {
  if (chirp_.empty()) return powers_of_two(x);
  work_.assign(padded_, {});
  for (size_t k = 0; k < x.size(); ++k) work_[k] = times(x[k], chirp_[k]);
  powers_of_two(work_);
  // A second forward transform of conjugates is the inverse one.
  for (size_t k = 0; k < padded_; ++k) work_[k] = std::conj(times(work_[k], spectrum_[k]));
  powers_of_two(work_);
  const double scale = 1 / static_cast<double>(padded_);
  for (size_t k = 0; k < x.size(); ++k) x[k] = times(std::conj(work_[k]) * scale, chirp_[k]);
}

void Fourier::run(std::vector<Complex>& x, bool inverse) {
  TREADLE_CHECK(x.size() == static_cast<size_t>(length_), kInternal, "a signal of ", x.size(),
                " for a transform of ", length_);
  if (!inverse) return forward(x);
  for (Complex& v : x) v = std::conj(v);
  forward(x);
  for (Complex& v : x) v = std::conj(v);
}

}  // namespace treadle
