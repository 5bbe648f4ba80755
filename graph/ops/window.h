// How the reference kernels walk a sliding window: by rows along the last spatial axis, padding
// left out.
#pragma once

#include <vector>

#include "graph/ops/conv_params.h"

namespace treadle {

class WindowRows {
 public:
  explicit WindowRows(const Window& window);

  int64_t row_count() const { return row_count_; }      // output rows of one plane
  int64_t row_length() const { return row_length_; }    // output cells of a row
  int64_t input_plane() const { return input_plane_; }  // cells of one input plane
  int64_t output_plane() const { return row_count_ * row_length_; }
  int64_t kernel_size() const { return kernel_size_; }  // cells of the window
  int64_t stride() const { return stride_; }            // along the row

  // A kernel row that meets an input row: offsets of their first cells in their planes.
  struct Tap {
    int64_t kernel;
    int64_t input;
  };
  // The taps of an output row; valid until the next call.
  const std::vector<Tap>& taps(int64_t row);

  // Column `kernel` of a kernel row meets the input at output cells [begin, end): cell o at input
  // column first + o*stride. Columns that lie in the padding everywhere are left out.
  struct Column {
    int64_t kernel;
    int64_t begin;
    int64_t end;
    int64_t first;
  };
  const std::vector<Column>& columns() const { return columns_; }

 private:
  const Window& window_;
  int64_t row_count_ = 1;
  int64_t row_length_ = 0;
  int64_t input_plane_ = 0;
  int64_t kernel_size_ = 0;
  int64_t stride_ = 1;
  std::vector<Tap> taps_;
  std::vector<Tap> next_;
  std::vector<Column> columns_;
};

// Convolves: for each batch, output row and channel calls emit(batch, channel, row, span of
// row_length() sums). load_x(element) and load_w(element, channel) give values of V, the type of
// the sums; padding contributes nothing.
template <class V, class X, class W, class LoadX, class LoadW, class Emit>
void convolve(const ConvParams& p, const X* x, const W* w, LoadX&& load_x, LoadW&& load_w,
              Emit&& emit) {
  WindowRows rows(p);
  const int64_t inputs = p.group_inputs();
  const int64_t stride = rows.stride();
  std::vector<V> sums(static_cast<size_t>(rows.row_length()));
  V* const sum = sums.data();
  for (int64_t n = 0; n < p.batch; ++n) {
    for (int64_t row = 0; row < rows.row_count(); ++row) {
      const auto& taps = rows.taps(row);
      for (int64_t m = 0; m < p.out_channels; ++m) {
        std::fill(sums.begin(), sums.end(), V{});
        for (int64_t c = 0; c < inputs; ++c) {
          const X* plane =
              x + (n * p.in_channels + m / p.group_outputs() * inputs + c) * rows.input_plane();
          const W* kernel = w + (m * inputs + c) * rows.kernel_size();
          for (const auto& tap : taps) {
            const W* weight = kernel + tap.kernel;
            for (const auto& column : rows.columns()) {
              const V factor = load_w(weight[column.kernel], m);
              const X* from = plane + tap.input + column.first;
              for (int64_t o = column.begin; o < column.end; ++o)
                sum[o] += load_x(from[o * stride]) * factor;
            }
          }
        }
        emit(n, m, row, sums);
      }
    }
  }
}

}  // namespace treadle
