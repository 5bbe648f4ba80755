#include "backends/cpu/winograd_pack.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/simd_gemm.h"

namespace treadle::cpu {
namespace {

constexpr int64_t kMaxElements = 36;

// G g Gᵀ of the 3x3 window `g`, element by element; G is that of Lavin and Gray.
void transform_window(int64_t out, const float* g, double* elements) {
  static constexpr double kTwo[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
  static constexpr double kFour[6][3] = {{1. / 4, 0, 0},
                                         {-1. / 6, -1. / 6, -1. / 6},
                                         {-1. / 6, 1. / 6, -1. / 6},
                                         {1. / 24, 1. / 12, 1. / 6},
                                         {1. / 24, -1. / 12, 1. / 6},
                                         {0, 0, 1}};
  const auto* matrix = out == 2 ? kTwo : kFour;
  const int64_t side = out + 2;
  for (int64_t i = 0; i < side; ++i) {
    double row[3] = {};
    for (int k = 0; k < 3; ++k) {
      for (int j = 0; j < 3; ++j) row[j] += matrix[i][k] * static_cast<double>(g[k * 3 + j]);
    }
    for (int64_t j = 0; j < side; ++j) {
      double sum = 0;
      for (int k = 0; k < 3; ++k) sum += row[k] * matrix[j][k];
      elements[i * side + j] = sum;
    }
  }
}

}  // namespace

std::shared_ptr<Buffer> pack_windows(const Tensor& w, const ConvParams& p, int64_t out) {
  const auto panel = static_cast<int64_t>(gemm_functions().panel);
  const int64_t elements = (out + 2) * (out + 2);
  const int64_t padded = ceil_div(p.out_channels, panel) * panel;
  const int64_t matrix = checked_mul(padded, p.in_channels);
  auto buffer = Buffer::allocate(
      static_cast<size_t>(byte_size(DType::kFloat, checked_mul(elements, matrix))));
  auto* to = reinterpret_cast<float*>(buffer->data());
  std::fill_n(to, elements * matrix, 0.0f);
  const std::byte* from = w.raw();  // at any address
  for (int64_t m = 0; m < p.out_channels; ++m) {
    for (int64_t c = 0; c < p.in_channels; ++c, from += 9 * sizeof(float)) {
      float window[9];
      double transformed[kMaxElements];
      std::memcpy(window, from, sizeof window);
      transform_window(out, window, transformed);
      float* first = to + (m / panel * p.in_channels + c) * panel + m % panel;
      for (int64_t e = 0; e < elements; ++e) first[e * matrix] = static_cast<float>(transformed[e]);
    }
  }
  return buffer;
}

}  // namespace treadle::cpu
