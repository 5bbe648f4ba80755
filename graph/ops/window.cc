#include "graph/ops/window.h"

#include <algorithm>

namespace treadle {
namespace {

int64_t product(const Dims& dims, size_t end) {
  int64_t count = 1;
  for (size_t i = 0; i < end; ++i) count = checked_mul(count, dims[i]);
  return count;
}

struct Range {
  int64_t begin;
  int64_t end;
};

// Kernel cells that meet the input on an axis, for windows that start in [start, start + slide].
Range met(const Window& w, size_t axis, int64_t start, int64_t slide) {
  const int64_t dilation = w.dilations[axis];
  return {std::max<int64_t>(0, ceil_div(-start - slide, dilation)),
          std::min(w.kernel[axis], floor_div(w.input[axis] - 1 - start, dilation) + 1)};
}

}  // namespace

WindowRows::WindowRows(const Window& window) : window_(window) {
  const size_t last = window.rank() - 1;
  row_count_ = product(window.output, last);
  row_length_ = window.output[last];
  input_plane_ = product(window.input, window.rank());
  kernel_size_ = product(window.kernel, window.rank());
  stride_ = window.strides[last];
  const Range all = met(window, last, -window.pads_begin[last], (row_length_ - 1) * stride_);
  for (int64_t k = all.begin; k < all.end; ++k) {
    const int64_t first = k * window.dilations[last] - window.pads_begin[last];
    const int64_t begin = std::max<int64_t>(0, ceil_div(-first, stride_));
    const int64_t end =
        std::min(row_length_, floor_div(window.input[last] - 1 - first, stride_) + 1);
    if (begin < end) columns_.push_back({k, begin, end, first});
  }
}

const std::vector<WindowRows::Tap>& WindowRows::taps(int64_t row) {
  taps_.assign(1, {0, 0});
  const size_t last = window_.rank() - 1;
  int64_t rows_left = row_count_;
  for (size_t i = 0; i < last; ++i) {
    rows_left /= window_.output[i];
    const int64_t position = row / rows_left % window_.output[i];
    const int64_t start = position * window_.strides[i] - window_.pads_begin[i];
    const Range range = met(window_, i, start, 0);
    next_.clear();
    for (const Tap& tap : taps_) {
      for (int64_t k = range.begin; k < range.end; ++k) {
        const int64_t at = start + k * window_.dilations[i];
        next_.push_back({tap.kernel * window_.kernel[i] + k, tap.input * window_.input[i] + at});
      }
    }
    std::swap(taps_, next_);
  }
  for (Tap& tap : taps_) {
    tap.kernel *= window_.kernel[last];
    tap.input *= window_.input[last];
  }
  return taps_;
}

}  // namespace treadle
