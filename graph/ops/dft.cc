// DFT and STFT: Fourier transforms of signals whose last axis is the real, or the real and the
// imaginary part.
#include "graph/ops/arithmetic.h"
#include "graph/ops/families.h"
#include "graph/ops/fourier.h"
#include "graph/ops/iterate.h"
#include "graph/ops/scalar.h"

namespace treadle {
namespace {

using Complex = std::complex<double>;

// Real signals only have a one-sided spectrum; only a complex spectrum gives one back.
void check_parts(const Dim& parts, bool onesided, bool inverse) {
  if (!parts.known()) return;
  TREADLE_CHECK(parts.is(1) || parts.is(2), kInvalidModel, "the input's last dim is ", parts.text(),
                ", expected 1 (real) or 2 (complex)");
  TREADLE_CHECK(!onesided || parts.is(inverse ? 2 : 1), kInvalidModel, "a one-sided ",
                inverse ? "inverse transform needs complex" : "transform needs real", " input");
}

template <class D>
D half_spectrum(const D& length);
template <>
Dim half_spectrum(const Dim& length) {
  return Dim::floor_div(length, 2) + 1;
}
template <>
int64_t half_spectrum(const int64_t& length) {
  return length / 2 + 1;
}

// ---- DFT

struct Direction {
  bool inverse;
  bool onesided;
};
Direction direction_of(const Attributes& a) {
  return {a.i("inverse", 0) != 0, a.i("onesided", 0) != 0};
}

int64_t signal_axis(int64_t axis, int64_t rank) {
  TREADLE_CHECK(rank >= 2, kInvalidModel, "the input has rank ", rank, ", expected at least 2");
  const int64_t resolved = resolve_axis(axis, rank);
  TREADLE_CHECK(resolved != rank - 1, kInvalidModel, "axis ", axis,
                " is the one of the real and imaginary parts");
  return resolved;
}

void infer_dft(InferContext& c) {
  const auto [inverse, onesided] = direction_of(c.attributes());
  Shape shape = c.shape(0);
  const int64_t rank = c.rank(0);
  const auto axis = c.has(2) ? c.ints(2) : std::vector<int64_t>{-2};
  if (!axis || axis->size() != 1) {
    signal_axis(0, rank);
    shape.assign(shape.size(), Dim::unknown());
  } else {
    const auto at = static_cast<size_t>(signal_axis(axis->front(), rank));
    Dim length = shape[at];
    if (inverse && onesided) length = (length - 1) * 2;
    if (c.has(1)) length = scalar_dim(c, 1);
    if (length.known()) Fourier::check_length(length.value());
    shape[at] = onesided && !inverse ? half_spectrum(length) : length;
  }
  check_parts(c.shape(0).back(), onesided, inverse);
  shape.back() = inverse && onesided ? 1 : 2;
  c.set_shape(0, shape);
}

// A signal along one axis of a tensor: element k lies at (at + k * step) * parts.
template <class T>
void read_signal(const T* data, int64_t parts, int64_t step, int64_t count,
                 std::vector<Complex>& signal) {
  const int64_t given = std::min(count, static_cast<int64_t>(signal.size()));
  for (int64_t k = 0; k < given; ++k) {
    const T* from = data + k * step * parts;
    signal[static_cast<size_t>(k)] = {static_cast<double>(from[0]),
                                      parts == 2 ? static_cast<double>(from[1]) : 0};
  }
  std::fill(signal.begin() + given, signal.end(), Complex{});
}

template <class T>
void write_signal(const std::vector<Complex>& signal, double scale, int64_t parts, int64_t step,
                  int64_t count, T* data) {
  for (int64_t k = 0; k < count; ++k) {
    T* to = data + k * step * parts;
    to[0] = convert<T>(signal[static_cast<size_t>(k)].real() * scale);
    if (parts == 2) to[1] = convert<T>(signal[static_cast<size_t>(k)].imag() * scale);
  }
}

// The other half of a real signal's spectrum; bins that are their own mirror image are real.
void mirror(std::vector<Complex>& x) {
  const size_t n = x.size();
  x[0] = x[0].real();
  for (size_t k = 1; k <= n / 2; ++k) {
    if (k == n - k) x[k] = x[k].real();
    x[n - k] = std::conj(x[k]);
  }
}

void eval_dft(EvalContext& c) {
  const Direction direction = direction_of(c.attributes());
  const bool inverse = direction.inverse;
  const bool onesided = direction.onesided;
  const Tensor& x = c.input(0);
  const int64_t axis = signal_axis(c.has(2) ? scalar_int(c, 2) : -2, x.rank());
  const int64_t parts = x.dims().back();
  check_parts(parts, onesided, inverse);
  const AxisSplit from = split_axis({x.dims().begin(), x.dims().end() - 1}, axis);
  int64_t length = inverse && onesided ? 2 * (from.size - 1) : from.size;
  if (c.has(1)) length = scalar_int(c, 1);
  Fourier fourier(length);
  Dims dims = x.dims();
  const int64_t bins = onesided && !inverse ? half_spectrum(length) : length;
  dims[static_cast<size_t>(axis)] = bins;
  dims.back() = inverse && onesided ? 1 : 2;
  Tensor& y = c.output(0, dims);
  std::vector<Complex> signal(static_cast<size_t>(length));
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    for (int64_t i = 0; i < from.outer * from.inner; ++i) {
      c.poll();
      const int64_t outer = i / from.inner;
      const int64_t inner = i % from.inner;
      const T* source = x.data<T>().data() + (outer * from.size * from.inner + inner) * parts;
      // A one-sided spectrum has no more bins than half of the length.
      const int64_t given =
          inverse && onesided ? std::min(from.size, half_spectrum(length)) : from.size;
      read_signal(source, parts, from.inner, given, signal);
      if (inverse && onesided) mirror(signal);
      fourier.run(signal, inverse);
      write_signal(signal, inverse ? 1 / static_cast<double>(length) : 1, dims.back(), from.inner,
                   bins, y.data<T>().data() + (outer * bins * from.inner + inner) * dims.back());
    }
  });
}

// ---- STFT

void check_signal(const Shape& signal, bool onesided) {
  TREADLE_CHECK(signal.size() == 3, kInvalidModel, "the signal has shape ", shape_text(signal),
                ", expected [batch, length, 1 or 2]");
  check_parts(signal[2], onesided, false);
}

void check_frames(int64_t signal, int64_t frame, int64_t step) {
  TREADLE_CHECK(step >= 1, kInvalidData, "frame_step is ", step, ", expected at least 1");
  TREADLE_CHECK(frame >= 1 && frame <= signal, kInvalidData, "a frame of length ", frame,
                " in a signal of length ", signal);
}

void infer_stft(InferContext& c) {
  const bool onesided = c.attributes().i("onesided", 1) != 0;
  const Shape& signal = c.shape(0);
  check_signal(signal, onesided);
  const Dim step = scalar_dim(c, 1);
  Dim frame = signal[1];
  if (c.has(3)) {
    frame = scalar_dim(c, 3);
  } else if (c.has(2)) {
    frame = c.rank_known(2) && c.rank(2) == 1 ? c.shape(2)[0] : Dim::unknown();
  }
  Dim frames = Dim::unknown();
  if (step.known()) {
    if (frame.known() && signal[1].known())
      check_frames(signal[1].value(), frame.value(), step.value());
    TREADLE_CHECK(step.value() >= 1, kInvalidModel, "frame_step is ", step.value(),
                  ", expected at least 1");
    frames = Dim::floor_div(signal[1] - frame, step) + 1;
  }
  c.set_shape(0, {signal[0], frames, onesided ? half_spectrum(frame) : frame, 2});
}

void eval_stft(EvalContext& c) {
  const bool onesided = c.attributes().i("onesided", 1) != 0;
  const Tensor& x = c.input(0);
  check_signal(symbolic(x.dims()), onesided);
  const int64_t step = scalar_int(c, 1);
  int64_t frame = x.dim(1);
  std::vector<double> window;
  if (c.has(2)) {
    window = c.input(2).to_doubles();
    TREADLE_CHECK(c.input(2).rank() == 1, kInvalidData, "the window has shape ",
                  shape_text(c.input(2).dims()), ", expected rank 1");
    frame = c.input(2).dim(0);
  }
  if (c.has(3)) {
    frame = scalar_int(c, 3);
    TREADLE_CHECK(!c.has(2) || c.input(2).dim(0) == frame, kInvalidData, "a window of ",
                  window.size(), " elements for frames of length ", frame);
  }
  check_frames(x.dim(1), frame, step);
  Fourier fourier(frame);
  const int64_t frames = (x.dim(1) - frame) / step + 1;
  const int64_t bins = onesided ? half_spectrum(frame) : frame;
  const int64_t parts = x.dim(2);
  Tensor& y = c.output(0, {x.dim(0), frames, bins, 2});
  std::vector<Complex> signal(static_cast<size_t>(frame));
  dispatch(x.dtype(), FloatTypes{}, [&]<class T>() {
    T* to = y.data<T>().data();
    for (int64_t b = 0; b < x.dim(0); ++b) {
      for (int64_t f = 0; f < frames; ++f, to += bins * 2) {
        c.poll();
        read_signal(x.data<T>().data() + (b * x.dim(1) + f * step) * parts, parts, 1, frame,
                    signal);
        for (size_t k = 0; k < window.size(); ++k) signal[k] *= window[k];
        fourier.run(signal, false);
        write_signal(signal, 1, 2, 1, bins, to);
      }
    }
  });
}

constexpr OpDef kRows[] = {
    {.kind = "DFT",
     .inputs = "input:T1 dft_length?:T2 axis?:int64",
     .outputs = "output:T1",
     .types = "T1=floats T2=int32,int64",
     .attributes = "inverse:i=0 onesided:i=0",
     .infer = infer_dft,
     .eval = eval_dft},
    {.kind = "STFT",
     .inputs = "signal:T1 frame_step:T2 window?:T1 frame_length?:T2",
     .outputs = "output:T1",
     .types = "T1=floats T2=int32,int64",
     .attributes = "onesided:i=1",
     .infer = infer_stft,
     .eval = eval_stft},
};

}  // namespace

std::span<const OpDef> dft_ops() { return kRows; }

}  // namespace treadle
