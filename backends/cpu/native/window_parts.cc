#include "backends/cpu/native/window_parts.h"

#include <algorithm>
#include <cstring>

namespace treadle::cpu {

WindowParts::WindowParts(const ConvParams& p)
    : step_(p.in_channels), channels_(p.group_inputs()), images_(p.batch) {
  for (size_t i = 0; i < p.rank(); ++i) {
    Axis& axis = axes_[kAxes - p.rank() + i];
    axis = {p.kernel[i], p.strides[i], p.dilations[i], p.pads_begin[i], p.input[i], p.output[i]};
    windows_are_pixels_ &=
        axis.kernel == 1 && axis.stride == 1 && axis.pad == 0 && p.pads_end[i] == 0;
  }
  int64_t all_taps = 1;
  rows_ = images_;
  for (const Axis& axis : axes_) {
    rows_ *= axis.output;
    pixels_ *= axis.input;
    all_taps *= axis.kernel;
  }
  const Axis& last = axes_.back();
  constexpr int64_t kShort = 64;  // bytes
  lines_ = channels_ == step_ && (last.dilation == 1 || last.kernel == 1);
  gathered_ = all_taps > 1 && (lines_ ? last.kernel : 1) * channels_ < kShort;
  taps_ = gathered_ ? all_taps : lines_ ? last.kernel : 1;
  count_ = all_taps / taps_;
  copies_ = gathered_ || taps_ > 1 || channels_ % ByteForm::kQuad != 0;
}

// f(where a line of input pixels begins, null in the padding), for each line of a window's taps.
template <class F>
void WindowParts::for_each_line(const Source& source, int64_t image, const Place& at,
                                const F& f) const {
  const auto& [outer, middle, inner] = axes_;
  const uint8_t* x = source.x + image * pixels_ * step_ + source.group * channels_;
  for (int64_t i = 0; i < outer.kernel; ++i) {
    const int64_t plane = outer.at(at[0], i);
    for (int64_t j = 0; j < middle.kernel; ++j) {
      const int64_t row = middle.at(at[1], j);
      f(plane >= 0 && row >= 0 ? x + (plane * middle.input + row) * inner.input * step_ : nullptr);
    }
  }
}

void WindowParts::find(const Source& source, int64_t first, int64_t rows, const uint8_t** parts,
                       uint8_t* copies) const {
  if (windows_are_pixels_ && !copies_) {
    const uint8_t* x = source.x + first * step_ + source.group * channels_;
    for (int64_t i = 0; i < rows; ++i) parts[i] = x + i * step_;
    return;
  }
  const Axis& inner = axes_.back();
  for (int64_t done = 0, count; done < rows; done += count) {
    Place at;
    int64_t image = first + done;
    for (size_t i = kAxes; i-- > 0; image /= axes_[i].output) at[i] = image % axes_[i].output;
    count = std::min(rows - done, inner.output - at[2]);
    Run run{at[2] * inner.stride - inner.pad, count, parts + done * count_,
            copies + done * copied()};
    const auto take_line = [&](const uint8_t* line) {
      if (gathered_) return gather(source, line, run);
      for (int64_t k = 0; k < inner.kernel; k += taps_) add_part(source, line, k, run);
    };
    for_each_line(source, image, at, take_line);
    for (int64_t i = 0; gathered_ && i < count; ++i)
      parts[done + i] = copies + (done + i) * copied();
  }
}

// The part that begins with tap k of the line, of each window of the run.
void WindowParts::add_part(const Source& source, const uint8_t* line, int64_t k, Run& run) const {
  const Axis& axis = axes_.back();
  const int64_t part_bytes = bytes();
  int64_t first = run.first + k * axis.dilation;
  uint8_t* copy = run.copy;
  for (int64_t i = 0; i < run.count; ++i, first += axis.stride, copy += copied()) {
    const uint8_t*& part = run.parts[i * count_];
    if (line == nullptr || first + taps_ <= 0 || first >= axis.input) {
      part = source.zeros;
    } else if (first >= 0 && first + taps_ <= axis.input &&
               (!copies_ || left(source, line + first * step_) >= part_bytes)) {
      part = line + first * step_;
    } else {
      copy_taps(source, line, first, taps_, copy);
      part = copy;
    }
  }
  ++run.parts;
  if (copies_) run.copy += part_bytes;
}

// Up to kSlack more than so many bytes of each.
void WindowParts::copy_pieces(const Strided& s, int64_t bytes) {
  for (int64_t b = 0; b < bytes; b += kSlack) {
    const uint8_t* from = s.from + b;
    uint8_t* to = s.to + b;
    for (int64_t i = 0; i < s.count; ++i, from += s.from_step, to += s.to_step)
      std::memcpy(to, from, kSlack);
  }
}

void WindowParts::gather(const Source& source, const uint8_t* line, Run& run) const {
  const Axis& axis = axes_.back();
  const int64_t taken = axis.kernel * channels_, step = copied();
  uint8_t* copies = run.copy;
  run.copy += taken;
  const auto take_taps = [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i)
      copy_taps(source, line, run.first + i * axis.stride, axis.kernel, copies + i * step);
  };
  if (line == nullptr) return take_taps(0, run.count);
  // Windows within the line, and with room behind them, are copied in whole pieces: what follows
  // is written later, or is not read.
  const int64_t taps = lines_ ? 1 : axis.kernel, bytes = taken / taps;
  const int64_t span = (axis.kernel - 1) * axis.dilation + 1;
  const int64_t room = left(source, line) - (taps - 1) * axis.dilation * step_ - bytes - kSlack;
  const int64_t last = std::min(axis.input - span, room < 0 ? -1 : room / step_);
  const int64_t begin = std::clamp<int64_t>(ceil_div(-run.first, axis.stride), 0, run.count);
  const int64_t end =
      last < run.first ? begin : std::clamp((last - run.first) / axis.stride + 1, begin, run.count);
  take_taps(0, begin);
  const uint8_t* from = line + (run.first + begin * axis.stride) * step_;
  for (int64_t k = 0; k < taps; ++k) {
    copy_pieces({.from = from + k * axis.dilation * step_,
                 .from_step = axis.stride * step_,
                 .to = copies + begin * step + k * bytes,
                 .to_step = step,
                 .count = end - begin},
                bytes);
  }
  take_taps(end, run.count);
}

void WindowParts::copy_taps(const Source& source, const uint8_t* line, int64_t first, int64_t taps,
                            uint8_t* copy) const {
  const Axis& axis = axes_.back();
  // In whole pieces, of which the last ends behind what is copied.
  for (int64_t b = 0; b < taps * channels_; b += kSlack)
    std::memset(copy + b, source.zeros[0], kSlack);
  if (line == nullptr) return;
  if (lines_) {
    const int64_t begin = std::clamp<int64_t>(-first, 0, taps);
    const int64_t count = std::clamp(axis.input - first, begin, taps) - begin;
    std::copy_n(line + (first + begin) * step_, count * channels_, copy + begin * channels_);
    return;
  }
  for (int64_t k = 0; k < taps; ++k, first += axis.dilation, copy += channels_) {
    if (first >= 0 && first < axis.input) std::copy_n(line + first * step_, channels_, copy);
  }
}

}  // namespace treadle::cpu
