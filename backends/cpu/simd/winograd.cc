#include "backends/cpu/simd/winograd.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/winograd.cc"
#include <hwy/foreach_target.h>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;

HWY_INLINE V times(float factor, V x) { return hn::Mul(hn::Set(d, factor), x); }
HWY_INLINE V add_times(V sum, float factor, V x) { return hn::MulAdd(hn::Set(d, factor), x, sum); }

// One dimension of each transform. F2 and F4 interpolate at 0, ±1, ∞ and 0, ±1, ±2, ∞.
struct F2 {
  static constexpr size_t kOut = 2, kIn = 4;
  static HWY_INLINE void input(const V* x, V* y) {
    y[0] = hn::Sub(x[0], x[2]);
    y[1] = hn::Add(x[1], x[2]);
    y[2] = hn::Sub(x[2], x[1]);
    y[3] = hn::Sub(x[1], x[3]);
  }
  static HWY_INLINE void output(const V* x, V* y) {
    y[0] = hn::Add(hn::Add(x[0], x[1]), x[2]);
    y[1] = hn::Sub(hn::Sub(x[1], x[2]), x[3]);
  }
  static HWY_INLINE void window(const V* x, V* y) {
    const V ends = times(0.5F, hn::Add(x[0], x[2]));
    y[0] = x[0];
    y[1] = add_times(ends, 0.5F, x[1]);
    y[2] = add_times(ends, -0.5F, x[1]);
    y[3] = x[2];
  }
  static HWY_INLINE void spread(const V* x, V* y) {
    y[0] = x[0];
    y[1] = hn::Add(x[0], x[1]);
    y[2] = hn::Sub(x[0], x[1]);
    y[3] = hn::Neg(x[1]);
  }
  static HWY_INLINE void sums(const V* x, V* y) {
    const V half = times(0.5F, hn::Add(x[1], x[2]));
    y[0] = hn::Add(x[0], half);
    y[1] = times(0.5F, hn::Sub(x[1], x[2]));
    y[2] = hn::Add(half, x[3]);
  }
};

struct F4 {
  static constexpr size_t kOut = 4, kIn = 6;
  static HWY_INLINE void input(const V* x, V* y) {
    const V even = add_times(x[4], -4, x[2]);
    const V odd = add_times(x[3], -4, x[1]);
    const V even2 = hn::Sub(x[4], x[2]);
    const V odd2 = times(2, hn::Sub(x[3], x[1]));
    y[0] = add_times(add_times(x[4], -5, x[2]), 4, x[0]);
    y[1] = hn::Add(even, odd);
    y[2] = hn::Sub(even, odd);
    y[3] = hn::Add(even2, odd2);
    y[4] = hn::Sub(even2, odd2);
    y[5] = add_times(add_times(x[5], -5, x[3]), 4, x[1]);
  }
  static HWY_INLINE void output(const V* x, V* y) {
    const V sum = hn::Add(x[1], x[2]);
    const V difference = hn::Sub(x[1], x[2]);
    const V sum2 = hn::Add(x[3], x[4]);
    const V difference2 = hn::Sub(x[3], x[4]);
    y[0] = hn::Add(hn::Add(x[0], sum), sum2);
    y[1] = add_times(difference, 2, difference2);
    y[2] = add_times(sum, 4, sum2);
    y[3] = hn::Add(add_times(difference, 8, difference2), x[5]);
  }
  static HWY_INLINE void window(const V* x, V* y) {
    const V ends = times(-1.0F / 6, hn::Add(x[0], x[2]));
    const V far = add_times(times(1.0F / 24, x[0]), 1.0F / 6, x[2]);
    y[0] = times(0.25F, x[0]);
    y[1] = add_times(ends, -1.0F / 6, x[1]);
    y[2] = add_times(ends, 1.0F / 6, x[1]);
    y[3] = add_times(far, 1.0F / 12, x[1]);
    y[4] = add_times(far, -1.0F / 12, x[1]);
    y[5] = x[2];
  }
  static HWY_INLINE void spread(const V* x, V* y) {
    const V even = hn::Add(x[0], x[2]), odd = hn::Add(x[1], x[3]);
    const V even2 = add_times(x[0], 4, x[2]), odd2 = times(2, add_times(x[1], 4, x[3]));
    y[0] = x[0];
    y[1] = hn::Add(even, odd);
    y[2] = hn::Sub(even, odd);
    y[3] = hn::Add(even2, odd2);
    y[4] = hn::Sub(even2, odd2);
    y[5] = x[3];
  }
  static HWY_INLINE void sums(const V* x, V* y) {
    const V near = times(-1.0F / 6, hn::Add(x[1], x[2]));
    const V far = hn::Add(x[3], x[4]);
    y[0] = add_times(add_times(near, 0.25F, x[0]), 1.0F / 24, far);
    y[1] = add_times(times(-1.0F / 6, hn::Sub(x[1], x[2])), 1.0F / 12, hn::Sub(x[3], x[4]));
    y[2] = hn::Add(add_times(near, 1.0F / 6, far), x[5]);
  }
};

template <class F>
HWY_INLINE void input_vector(const WinogradInput& t, size_t c) {
  constexpr size_t n = F::kIn;
  V columns[n][n];  // [column][row]
#pragma GCC unroll 6
  for (size_t j = 0; j < n; ++j) {
    V x[n];
#pragma GCC unroll 6
    for (size_t i = 0; i < n; ++i) x[i] = hn::LoadU(d, t.pixels[i * n + j] + c);
    F::input(x, columns[j]);
  }
#pragma GCC unroll 6
  for (size_t i = 0; i < n; ++i) {
    V x[n], y[n];
#pragma GCC unroll 6
    for (size_t j = 0; j < n; ++j) x[j] = columns[j][i];
    F::input(x, y);
#pragma GCC unroll 6
    for (size_t j = 0; j < n; ++j) hn::StoreU(y[j], d, t.out + (i * n + j) * t.stride + c);
  }
}

// The last vector overlaps the one before it.
template <class F>
HWY_INLINE void for_each_vector(const WinogradInput& t, const F& f) {
  const size_t lanes = hn::Lanes(d);
  size_t c = 0;
  for (; c + lanes <= t.channels; c += lanes) f(c);
  if (c < t.channels) f(t.channels - lanes);
}

template <class F>
void input_tile(const WinogradInput& t) {
  for_each_vector(t, [&](size_t c) HWY_ATTR { input_vector<F>(t, c); });
}

// The pixels of a row from `at` on, with bias and residual, within the bounds.
template <size_t m, class Load, class Store>
HWY_INLINE void store_pixels(const WinogradOutput& t, const V* pixels, size_t c, size_t at,
                             const Load& load, const Store& store) {
  const V bias = load(t.bias + c);
  const V low = hn::Set(d, t.low), high = hn::Set(d, t.high);
#pragma GCC unroll 4
  for (size_t j = 0; j < m; ++j) {
    if (j >= t.columns) break;
    V sum = hn::Add(pixels[j], bias);
    if (t.residual != nullptr) sum = hn::Add(sum, load(t.residual + at + j * t.pixel_stride));
    store(clamp(sum, low, high), t.out + at + j * t.pixel_stride);
  }
}

// `load` and `store` take a vector of pixels' channels, or a part of one.
template <class F, class Load, class Store>
HWY_INLINE void output_vector(const WinogradOutput& t, size_t c, const Load& load,
                              const Store& store) {
  constexpr size_t n = F::kIn, m = F::kOut;
  V columns[n][m];
#pragma GCC unroll 6
  for (size_t j = 0; j < n; ++j) {
    V x[n];
#pragma GCC unroll 6
    for (size_t i = 0; i < n; ++i) x[i] = hn::LoadU(d, t.in + (i * n + j) * t.stride + c);
    F::output(x, columns[j]);
  }
#pragma GCC unroll 4
  for (size_t i = 0; i < m; ++i) {
    if (i >= t.rows) break;
    V x[n], y[m];
#pragma GCC unroll 6
    for (size_t j = 0; j < n; ++j) x[j] = columns[j][i];
    F::output(x, y);
    store_pixels<m>(t, y, c, i * t.row_stride + c, load, store);
  }
}

// f(channel, how to load, how to store) for whole vectors, and for a part of one.
template <class F>
HWY_INLINE void for_each_part(const WinogradOutput& t, const F& f) {
  const size_t lanes = hn::Lanes(d);
  size_t c = 0;
  for (; c + lanes <= t.channels; c += lanes) {
    f(
        c, [](const float* from) HWY_ATTR { return hn::LoadU(d, from); },
        [](V x, float* to) HWY_ATTR { hn::StoreU(x, d, to); });
  }
  const size_t left = t.channels - c;
  if (left == 0) return;
  f(
      c, [left](const float* from) HWY_ATTR { return load_part(d, from, left); },
      [left](V x, float* to) HWY_ATTR { store_part(d, x, to, left); });
}

template <class F>
void output_tile(const WinogradOutput& t) {
  for_each_part(t, [&](size_t c, const auto& load, const auto& store)
                       HWY_ATTR { output_vector<F>(t, c, load, store); });
}

// kTaps of as many windows as a vector has lanes.
template <size_t kTaps>
struct Taps {
  explicit Taps(const WinogradWindows& t) {
    for (size_t i = 0; i < hn::Lanes(d); ++i) {
      float window[kTaps];
      std::memcpy(window, t.w + i * t.step, sizeof window);
      for (size_t k = 0; k < kTaps; ++k) cells[k][i] = window[t.turned ? kTaps - 1 - k : k];
    }
  }
  HWY_ALIGN float cells[kTaps][hn::MaxLanes(d)];
};

template <class F>
void window_vector(const WinogradWindows& t) {
  constexpr size_t n = F::kIn;
  const Taps<9> taps(t);
  V columns[3][n];
  for (size_t j = 0; j < 3; ++j) {
    V x[3];
    for (size_t i = 0; i < 3; ++i) x[i] = hn::Load(d, taps.cells[i * 3 + j]);
    F::window(x, columns[j]);
  }
#pragma GCC unroll 6
  for (size_t i = 0; i < n; ++i) {
    V x[3], y[n];
    for (size_t j = 0; j < 3; ++j) x[j] = columns[j][i];
    F::window(x, y);
#pragma GCC unroll 6
    for (size_t j = 0; j < n; ++j) hn::StoreU(y[j], d, t.out + (i * n + j) * t.stride);
  }
}

// ---- Lines: of one dimension

template <class F>
HWY_INLINE void input_line_vector(const WinogradInput& t, size_t c) {
  constexpr size_t n = F::kIn;
  V x[n], y[n];
#pragma GCC unroll 6
  for (size_t i = 0; i < n; ++i) x[i] = hn::LoadU(d, t.pixels[i] + c);
  F::input(x, y);
#pragma GCC unroll 6
  for (size_t i = 0; i < n; ++i) hn::StoreU(y[i], d, t.out + i * t.stride + c);
}

template <class F>
void input_line(const WinogradInput& t) {
  for_each_vector(t, [&](size_t c) HWY_ATTR { input_line_vector<F>(t, c); });
}

template <class F, class Load, class Store>
HWY_INLINE void output_line_vector(const WinogradOutput& t, size_t c, const Load& load,
                                   const Store& store) {
  constexpr size_t n = F::kIn, m = F::kOut;
  V x[n], y[m];
#pragma GCC unroll 6
  for (size_t i = 0; i < n; ++i) x[i] = hn::LoadU(d, t.in + i * t.stride + c);
  F::output(x, y);
  store_pixels<m>(t, y, c, c, load, store);
}

template <class F>
void output_line(const WinogradOutput& t) {
  if (t.rows == 0) return;
  for_each_part(t, [&](size_t c, const auto& load, const auto& store)
                       HWY_ATTR { output_line_vector<F>(t, c, load, store); });
}

template <class F>
void window_line(const WinogradWindows& t) {
  constexpr size_t n = F::kIn;
  const Taps<3> taps(t);
  V x[3], y[n];
  for (size_t i = 0; i < 3; ++i) x[i] = hn::Load(d, taps.cells[i]);
  F::window(x, y);
#pragma GCC unroll 6
  for (size_t i = 0; i < n; ++i) hn::StoreU(y[i], d, t.out + i * t.stride);
}

template <class F>
HWY_INLINE void spread_vector(const WinogradSpread& t, size_t c) {
  constexpr size_t n = F::kIn, m = F::kOut;
  V columns[m][n];  // [column][row]
#pragma GCC unroll 4
  for (size_t j = 0; j < m; ++j) {
    V x[m];
#pragma GCC unroll 4
    for (size_t i = 0; i < m; ++i) x[i] = hn::LoadU(d, t.pixels[i * m + j] + c);
    F::spread(x, columns[j]);
  }
  float* out = t.out + c / t.panel * t.panel_stride + c % t.panel;
#pragma GCC unroll 6
  for (size_t i = 0; i < n; ++i) {
    V x[m], y[n];
#pragma GCC unroll 4
    for (size_t j = 0; j < m; ++j) x[j] = columns[j][i];
    F::spread(x, y);
#pragma GCC unroll 6
    for (size_t j = 0; j < n; ++j) hn::StoreU(y[j], d, out + (i * n + j) * t.stride);
  }
}

template <class F>
void spread_tile(const WinogradSpread& t) {
  for (size_t c = 0; c < t.channels; c += hn::Lanes(d)) spread_vector<F>(t, c);
}

template <class F>
void sum_vector(const WinogradSums& t) {
  constexpr size_t n = F::kIn;
  V columns[n][3];  // [column][row]
#pragma GCC unroll 6
  for (size_t j = 0; j < n; ++j) {
    V x[n];
#pragma GCC unroll 6
    for (size_t i = 0; i < n; ++i) x[i] = hn::LoadU(d, t.in + (i * n + j) * t.stride);
    F::sums(x, columns[j]);
  }
  HWY_ALIGN float cells[9][hn::MaxLanes(d)];
  for (size_t i = 0; i < 3; ++i) {
    V x[n], y[3];
#pragma GCC unroll 6
    for (size_t j = 0; j < n; ++j) x[j] = columns[j][i];
    F::sums(x, y);
    for (size_t j = 0; j < 3; ++j) hn::Store(y[j], d, cells[i * 3 + j]);
  }
  for (size_t lane = 0; lane < hn::Lanes(d); ++lane) {
    float window[9];
    for (size_t k = 0; k < 9; ++k) window[k] = cells[k][lane];
    std::memcpy(t.w + lane * t.step, window, sizeof window);
  }
}

template <class F>
WinogradFunctions functions_of() {
  return {.input = input_tile<F>,
          .output = output_tile<F>,
          .windows = window_vector<F>,
          .spread = spread_tile<F>,
          .sums = sum_vector<F>,
          .lanes = hn::Lanes(d)};
}

template <class F>
WinogradFunctions line_functions_of() {
  return {.input = input_line<F>,
          .output = output_line<F>,
          .windows = window_line<F>,
          .spread = nullptr,
          .sums = nullptr,
          .lanes = hn::Lanes(d)};
}

const WinogradFunctions* winograd_line_table(int m) {
  static const WinogradFunctions two = line_functions_of<F2>(), four = line_functions_of<F4>();
  return m == 2 ? &two : &four;
}

const WinogradFunctions* winograd_table(int m) {
  static const WinogradFunctions two = functions_of<F2>(), four = functions_of<F4>();
  return m == 2 ? &two : &four;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

const WinogradFunctions& winograd_functions(int m) { return *TREADLE_DISPATCH(winograd_table)(m); }

const WinogradFunctions& winograd_line_functions(int m) {
  return *TREADLE_DISPATCH(winograd_line_table)(m);
}

}  // namespace treadle::cpu
#endif
