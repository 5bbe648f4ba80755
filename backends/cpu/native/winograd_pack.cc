#include "backends/cpu/native/winograd_pack.h"

#include <cstring>
#include <vector>

#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/gemm.h"
#include "backends/cpu/simd/winograd.h"
#include "graph/base/lasting.h"

namespace treadle::cpu {

int64_t panelled_outputs(const ConvParams& p) {
  const auto panel = static_cast<int64_t>(gemm_functions().panel);
  return checked_mul(ceil_div(p.out_channels, panel), panel);
}

int64_t packed_window_floats(const ConvParams& p, int64_t out) {
  return checked_mul((out + 2) * (out + 2), checked_mul(panelled_outputs(p), p.in_channels));
}

void pack_window_panel(const ConvParams& p, int64_t out, bool turned, const void* windows,
                       int64_t index, float* panels) {
  constexpr auto kWindow = static_cast<int64_t>(9 * sizeof(float));
  const WinogradFunctions& transforms = winograd_functions(static_cast<int>(out));
  const auto panel = static_cast<int64_t>(gemm_functions().panel);
  const auto lanes = static_cast<int64_t>(transforms.lanes);
  const int64_t by_out = turned ? kWindow : p.in_channels * kWindow;
  const int64_t by_in = turned ? p.out_channels * kWindow : kWindow;
  const auto* from = static_cast<const std::byte*>(windows) + index * panel * by_out;
  float* to = panels + index * p.in_channels * panel;
  const auto stride = static_cast<size_t>(panelled_outputs(p) * p.in_channels);
  std::vector<std::byte> few(static_cast<size_t>(lanes * kWindow));  // of a part of a vector
  for (int64_t i = 0; i < p.in_channels; ++i) {
    for (int64_t v = 0; v < panel; v += lanes) {
      WinogradWindows vector{.w = from + i * by_in + v * by_out,
                             .step = static_cast<size_t>(by_out),
                             .turned = turned,
                             .out = to + i * panel + v,
                             .stride = stride};
      const int64_t left = p.out_channels - index * panel - v;
      if (left < lanes) {
        for (int64_t k = 0; k < left; ++k)
          std::memcpy(few.data() + k * kWindow, vector.w + k * by_out, kWindow);
        vector.w = few.data();
        vector.step = kWindow;
      }
      transforms.windows(vector);
    }
  }
}

std::shared_ptr<Buffer> pack_windows(const Tensor& w, const ConvParams& p, int64_t out,
                                     int threads) {
  auto buffer =
      allocate_lasting(static_cast<size_t>(byte_size(DType::kFloat, packed_window_floats(p, out))));
  auto* to = reinterpret_cast<float*>(buffer->data());
  const int64_t panels = panelled_outputs(p) / static_cast<int64_t>(gemm_functions().panel);
  parallel_for(threads, panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) pack_window_panel(p, out, false, w.raw(), i, to);
  });
  return buffer;
}

}  // namespace treadle::cpu
