// Gradients of Fourier transforms: transforms the other way. STFT is differentiated as the DFT of
// its frames.
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// Cut or filled with zeros at the end of an axis.
Expr fitted(const Expr& x, int64_t axis, const Expr& from, const Expr& to) {
  if (from.constant().defined() && to.constant().defined() &&
      from.constant().to_ints() == to.constant().to_ints()) {
    return x;
  }
  const auto rank = static_cast<size_t>(x.rank());
  std::vector<int64_t> before(rank + static_cast<size_t>(axis));
  std::vector<int64_t> after(rank - static_cast<size_t>(axis) - 1);
  return x.op("Pad", {concat({x.ints(before), to - from, x.ints(after)}, 0)});
}

struct Transform {
  Context& c;
  int64_t axis;
  bool inverse;
  bool onesided;
  Expr length;  // int64[1]
  Expr count;   // the same, as a number of the signal's type
};

int64_t signal_axis(Context& c) {
  if (!c.has(2)) return c.x().rank() - 2;
  return c.axis_of(c.known_ints(2).at(0));
}

Expr signal_length(Context& c, int64_t axis, bool from_spectrum) {
  if (c.has(1)) return reshape(cast(c.x(1), DType::kInt64), c.ints({1}));
  const Expr size = size_of(c.x(), axis);
  if (!from_spectrum) return size;
  return (size - 1) * 2;
}

Expr transformed(const Transform& t, const Expr& x, Attributes attributes) {
  const Expr axis = {t.c.builder(),
                     t.c.builder().scalar(DType::kInt64, static_cast<double>(t.axis))};
  return x.op("DFT", {scalar(t.length), axis}, std::move(attributes));
}

// Each bin of half a spectrum stands for its mirror image too, but for those that are their own.
Expr mirrored(const Transform& t, const Expr& bins) {
  const Expr k = range(size_of(bins, t.axis));
  const Expr doubled = k * 2;
  const Expr own = equal(k, 0).op("Or", {equal(doubled, t.length)});
  std::vector<int64_t> trailing;
  for (int64_t d = t.axis + 1; d < bins.rank(); ++d) trailing.push_back(d - t.axis);
  const Expr weight = cast(where(own, k.number(1), k.number(2)), bins.dtype());
  return bins * unsqueeze(weight, trailing);
}

void dft(Context& c) {
  const int64_t axis = signal_axis(c);
  Transform t{c,  axis, c.attributes().i("inverse", 0) != 0, c.attributes().i("onesided", 0) != 0,
              {}, {}};
  t.length = signal_length(c, axis, t.inverse && t.onesided);
  t.count = cast(scalar(t.length), c.x().dtype());
  const int64_t last = c.x().rank() - 1;
  Expr gradient;
  Expr size = t.length;
  if (!t.inverse) {
    gradient = transformed(t, c.gy(), {{"inverse", int64_t{1}}}) * t.count;
  } else if (t.onesided) {
    gradient = mirrored(t, transformed(t, c.gy(), {{"onesided", int64_t{1}}})) / t.count;
    size = t.length / size.number(2) + 1;
  } else {
    gradient = transformed(t, c.gy(), {}) / t.count;
  }
  gradient = fitted(gradient, last, c.ints({2}), size_of(c.x(), last));  // the real part of reals
  c.set(0, fitted(gradient, axis, size, size_of(c.x(), axis)));
}

std::vector<Expr> stft(Context& c) {
  const Expr x = c.x(0);
  const Expr step = reshape(cast(c.x(1), DType::kInt64), c.ints({1}));
  Expr frame = size_of(x, 1);
  if (c.has(3)) {
    frame = reshape(cast(c.x(3), DType::kInt64), c.ints({1}));
  } else if (c.has(2)) {
    frame = size_of(c.x(2), 0);
  }
  const Expr frames = (size_of(x, 1) - frame) / step + 1;
  const Expr at = unsqueeze(range(frames) * step, {1}) + range(frame);
  Expr cut = x.op("Gather", {at}, {{"axis", int64_t{1}}});  // [batch, frames, frame, parts]
  if (c.has(2)) cut = cut * unsqueeze(c.x(2), {1});
  const Expr none = {c.builder(), {}};
  const Expr axis = {c.builder(), c.builder().scalar(DType::kInt64, 2)};
  return {cut.op("DFT", {none, axis}, {{"onesided", c.attributes().i("onesided", 1)}})};
}

constexpr GradientDef kRules[] = {
    {"DFT", dft},
    {.kind = "STFT", .parts = stft},
    {"MelWeightMatrix"},
};

}  // namespace

std::span<const GradientDef> signal_gradients() { return kRules; }

}  // namespace treadle
