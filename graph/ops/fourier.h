// The discrete Fourier transform of one length, in O(n log n) for every n.
#pragma once

#include <complex>
#include <vector>

#include "graph/ops/op.h"

namespace treadle {

class Fourier {
 public:
  // Lengths from 1 to kMaxLength; kInvalidData and kLimit otherwise.
  static void check_length(int64_t length);
  explicit Fourier(int64_t length);
  static constexpr int64_t kMaxLength = int64_t{1} << 24;

  int64_t length() const { return length_; }
  // In place, not scaled: x[k] = sum of x[n] e^(∓2πi kn / length); + for the inverse.
  void run(std::vector<std::complex<double>>& x, bool inverse);

 private:
  void forward(std::vector<std::complex<double>>& x);
  // Bluestein's chirp: nk = (n² + k² - (k-n)²) / 2 makes a convolution of it, which transforms of a
  // power of two compute.
  void prepare_chirp();
  void powers_of_two(std::vector<std::complex<double>>& x) const;

  int64_t length_;
  size_t padded_;                               // a power of two
  std::vector<std::complex<double>> roots_;     // e^(-2πi k / padded), half a turn of them
  std::vector<std::complex<double>> chirp_;     // e^(-πi k² / length); empty for powers of two
  std::vector<std::complex<double>> spectrum_;  // of the conjugate chirp
  std::vector<std::complex<double>> work_;
};

}  // namespace treadle
