#include "backends/cpu/native/winograd_pack.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/parallel.h"
#include "backends/cpu/simd/gemm.h"
#include "backends/cpu/simd/winograd.h"
#include "graph/base/lasting.h"

namespace treadle::cpu {

WindowMatrices::WindowMatrices(const ConvParams& p)
    : count(p.group), ins(p.group_inputs()), outs(p.group_outputs()) {
  const auto panel = static_cast<int64_t>(gemm_functions().panel);
  columns = checked_mul(ceil_div(outs, panel), panel);
}

int64_t WindowMatrices::panels() const {
  return count * (columns / static_cast<int64_t>(gemm_functions().panel));
}

int64_t WindowMatrices::floats(const Tiling& t) const {
  return checked_mul(t.elements(), checked_mul(checked_mul(count, columns), ins));
}

const WinogradFunctions& transforms_of(const Tiling& t) {
  const auto out = static_cast<int>(t.out);
  return t.is_line() ? winograd_line_functions(out) : winograd_functions(out);
}

void pack_window_panel(const ConvParams& p, const Tiling& t, bool turned, const void* windows,
                       int64_t index, float* panels) {
  const int64_t window = p.kernel[0] * p.kernel[1] * static_cast<int64_t>(sizeof(float));
  const WinogradFunctions& transforms = transforms_of(t);
  const WindowMatrices m(p);
  const auto panel = static_cast<int64_t>(gemm_functions().panel);
  const auto lanes = static_cast<int64_t>(transforms.lanes);
  const int64_t matrix = index * panel / m.columns, column = index * panel % m.columns;
  const int64_t by_out = turned ? window : m.ins * window;
  const int64_t by_in = turned ? m.outs * window : window;
  const auto* from = static_cast<const std::byte*>(windows) + (matrix * m.outs + column) * by_out;
  float* to = panels + index * m.ins * panel;
  constexpr size_t kMostBytes = 16 * 9 * sizeof(float);
  for (int64_t i = 0; i < m.ins; ++i) {
    for (int64_t v = 0; v < panel; v += lanes) {
      const std::byte* w = from + i * by_in + v * by_out;
      const int64_t count = std::clamp<int64_t>(m.outs - column - v, 0, lanes);
      std::array<std::byte, kMostBytes> few;  // where windows are fewer than lanes
      if (count < lanes) {
        few.fill(std::byte{0});
        for (int64_t k = 0; k < count; ++k)
          std::memcpy(few.data() + k * window, w + k * by_out, static_cast<size_t>(window));
      }
      transforms.windows({.w = count < lanes ? few.data() : w,
                          .step = static_cast<size_t>(count < lanes ? window : by_out),
                          .turned = turned,
                          .out = to + i * panel + v,
                          .stride = static_cast<size_t>(m.count * m.columns * m.ins)});
    }
  }
}

std::shared_ptr<Buffer> pack_windows(const Tensor& w, const ConvParams& p, const Tiling& t,
                                     int threads) {
  const WindowMatrices m(p);
  auto buffer = allocate_lasting(static_cast<size_t>(byte_size(DType::kFloat, m.floats(t))));
  auto* to = reinterpret_cast<float*>(buffer->data());
  parallel_for(threads, m.panels(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) pack_window_panel(p, t, false, w.raw(), i, to);
  });
  return buffer;
}

}  // namespace treadle::cpu
