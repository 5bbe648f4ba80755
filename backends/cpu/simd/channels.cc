#include "backends/cpu/simd/channels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd/channels.cc"
#include <hwy/foreach_target.h>

#include <algorithm>

#include "backends/cpu/simd/math.h"
#include "backends/cpu/simd/simd.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::cpu::HWY_NAMESPACE {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;

// Rows whose sums are kept in floats before they go to doubles.
constexpr size_t kChunk = 64;

struct Pair {
  V first, second;
};

HWY_INLINE void add_lanes(V sums, double* to, size_t n) {
  HWY_ALIGN float lane[hn::MaxLanes(d)];
  hn::Store(sums, d, lane);
  for (size_t i = 0; i < n; ++i) to[i] += static_cast<double>(lane[i]);
}

// kVectors vectors of columns from `at` on; f(x, other, centre) gives what to add.
template <size_t kVectors, class L, class F>
HWY_INLINE void sum_chunk(const ChannelRows& r, size_t row, size_t rows, size_t at, const L& load,
                          const F& f, Pair (&sums)[kVectors]) {
  const size_t lanes = hn::Lanes(d);
  V centre[kVectors];
  Pair odd[kVectors];
  for (size_t v = 0; v < kVectors; ++v) {
    centre[v] = load(r.centre + at + v * lanes);
    sums[v] = odd[v] = {hn::Zero(d), hn::Zero(d)};
  }
  const float* x = r.x + row * r.stride + at;
  const float* other = r.other == nullptr ? x : r.other + row * r.stride + at;
  const auto add = [&](Pair& s, size_t v, const float* a, const float* b)
                       HWY_ATTR { f(load(a + v * lanes), load(b + v * lanes), centre[v], s); };
  size_t i = 0;
  for (; i + 2 <= rows; i += 2, x += 2 * r.stride, other += 2 * r.stride) {
#pragma GCC unroll 2
    for (size_t v = 0; v < kVectors; ++v) {
      add(sums[v], v, x, other);
      add(odd[v], v, x + r.stride, other + r.stride);
    }
  }
  for (size_t v = 0; v < kVectors; ++v) {
    if (i < rows) add(sums[v], v, x, other);
    sums[v] = {hn::Add(sums[v].first, odd[v].first), hn::Add(sums[v].second, odd[v].second)};
  }
}

template <class F>
HWY_INLINE void sum_columns(const ChannelRows& r, double* first, double* second, const F& f) {
  const size_t lanes = hn::Lanes(d);
  for (size_t row = 0; row < r.rows; row += kChunk) {
    const size_t rows = std::min(kChunk, r.rows - row);
    size_t at = 0;
    for (; at + 2 * lanes <= r.count; at += 2 * lanes) {
      Pair two[2];
      sum_chunk(
          r, row, rows, at, [](const float* p) HWY_ATTR { return hn::LoadU(d, p); }, f, two);
      for (size_t v = 0; v < 2; ++v) {
        add_lanes(two[v].first, first + at + v * lanes, lanes);
        add_lanes(two[v].second, second + at + v * lanes, lanes);
      }
    }
    for (; at < r.count; at += lanes) {
      Pair one[1];
      const size_t left = std::min(lanes, r.count - at);
      if (left == lanes) {
        sum_chunk(
            r, row, rows, at, [](const float* p) HWY_ATTR { return hn::LoadU(d, p); }, f, one);
      } else {
        sum_chunk(
            r, row, rows, at, [left](const float* p) HWY_ATTR { return load_part(d, p, left); }, f,
            one);
      }
      add_lanes(one[0].first, first + at, left);
      add_lanes(one[0].second, second + at, left);
    }
  }
}

void moments(const ChannelRows& rows, double* first, double* second) {
  sum_columns(rows, first, second, [](V x, V, V centre, Pair& s) HWY_ATTR {
    const V away = hn::Sub(x, centre);
    s.first = hn::Add(s.first, away);
    s.second = hn::MulAdd(away, away, s.second);
  });
}

void products(const ChannelRows& rows, double* first, double* second) {
  sum_columns(rows, first, second, [](V x, V other, V centre, Pair& s) HWY_ATTR {
    s.first = hn::Add(s.first, other);
    s.second = hn::MulAdd(other, hn::Sub(x, centre), s.second);
  });
}

// One vector of columns, of any length.
template <bool kAdd, class W, class L, class S>
HWY_INLINE void spread_at(W w, const GreatestRows& g, size_t at, const float* from, const L& load,
                          const S& store) {
  auto best = load(g.rows[0] + at);
  auto which = hn::Zero(w);
  for (size_t r = 1; r < g.count; ++r) {
    const auto x = load(g.rows[r] + at);
    const auto greater = hn::Or(hn::Gt(x, best), hn::AndNot(hn::IsNaN(best), hn::IsNaN(x)));
    best = hn::IfThenElse(greater, x, best);
    which = hn::IfThenElse(greater, hn::Set(w, static_cast<float>(r)), which);
  }
  const auto value = load(from + at);
  for (size_t r = 0; r < g.count; ++r) {
    const auto mine = hn::Eq(which, hn::Set(w, static_cast<float>(r)));
    const auto share = hn::IfThenElseZero(mine, value);
    store(kAdd ? hn::Add(load(g.to[r] + at), share) : share, g.to[r] + at);
  }
}

template <bool kAdd, class W>
HWY_INLINE size_t spread_whole(W w, const GreatestRows& g, size_t at, const float* from) {
  for (; at + hn::Lanes(w) <= g.n; at += hn::Lanes(w)) {
    spread_at<kAdd>(
        w, g, at, from, [w](const float* p) HWY_ATTR { return hn::LoadU(w, p); },
        [w](auto v, float* p) HWY_ATTR { hn::StoreU(v, w, p); });
  }
  return at;
}

// What is left of the whole vectors goes by fours first: masked stores are slow on some processors.
template <bool kAdd>
void spread_greatest(const GreatestRows& g, const float* from) {
  size_t at = spread_whole<kAdd>(d, g, 0, from);
  at = spread_whole<kAdd>(hn::CappedTag<float, 4>(), g, at, from);
  if (at == g.n) return;
  const size_t left = g.n - at;
  spread_at<kAdd>(
      d, g, at, from, [left](const float* p) HWY_ATTR { return load_part(d, p, left); },
      [left](V v, float* p) HWY_ATTR { store_part(d, v, p, left); });
}

const ChannelFunctions* channel_table() {
  static const ChannelFunctions table{moments, products, spread_greatest<true>,
                                      spread_greatest<false>};
  return &table;
}

}  // namespace treadle::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::cpu {

const ChannelFunctions& channel_functions() { return *TREADLE_DISPATCH(channel_table)(); }

}  // namespace treadle::cpu
#endif
