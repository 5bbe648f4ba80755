// Where the windows of a convolution lie in bytes whose channels are last.
#pragma once

#include <array>

#include "backends/cpu/native/lines.h"
#include "backends/cpu/simd/byte_product.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// A window consists of parts, each read in quads of bytes: lines of taps that lie beside each
// other, or single taps. They are read in place but in the padding and at the input's end. Short
// ones are copied, so that a window is one part.
class WindowParts {
 public:
  // Of up to three spatial axes.
  explicit WindowParts(const ConvParams& p);

  int64_t rows() const { return rows_; }    // windows of all the input
  int64_t count() const { return count_; }  // parts of a window
  int64_t taps() const { return taps_; }    // of a part
  int64_t bytes() const {                   // of a part
    return ceil_div(taps_ * channels_, ByteForm::kQuad) * ByteForm::kQuad;
  }
  // Bytes of the copies of a window, at most, in whole lines.
  int64_t copied() const { return copies_ ? whole_lines(count_ * bytes() + kSlack) : 0; }

  struct Source {
    const uint8_t* x;
    int64_t group;
    const uint8_t* zeros;  // what padding holds: bytes() of them
  };
  // parts[i * count() + k] becomes the k-th part of window first + i; `copies` holds copied() bytes
  // of each.
  void find(const Source& source, int64_t first, int64_t rows, const uint8_t** parts,
            uint8_t* copies) const;

 private:
  static constexpr size_t kAxes = 3;
  static constexpr int64_t kSlack = 32;  // that gathering may write beyond a window
  struct Axis {
    int64_t kernel = 1, stride = 1, dilation = 1, pad = 0, input = 1, output = 1;
    // The input's place that a tap reads, or -1 in the padding.
    int64_t at(int64_t out, int64_t tap) const {
      const int64_t i = out * stride - pad + tap * dilation;
      return i >= 0 && i < input ? i : -1;
    }
  };
  using Place = std::array<int64_t, kAxes>;  // of an output

  // Windows beside each other: where the first begins on the last axis, and what comes next.
  struct Run {
    int64_t first;
    int64_t count;
    const uint8_t** parts;
    uint8_t* copy;
  };

  // Of each window something, so many bytes apart.
  struct Strided {
    const uint8_t* from;
    int64_t from_step;
    uint8_t* to;
    int64_t to_step, count;
  };

  template <class F>
  void for_each_line(const Source& source, int64_t image, const Place& at, const F& f) const;
  void add_part(const Source& source, const uint8_t* line, int64_t k, Run& run) const;
  void gather(const Source& source, const uint8_t* line, Run& run) const;
  static void copy_pieces(const Strided& s, int64_t bytes);
  void copy_taps(const Source& source, const uint8_t* line, int64_t first, int64_t taps,
                 uint8_t* copy) const;
  // Bytes from there to the input's end.
  int64_t left(const Source& source, const uint8_t* from) const {
    return source.x + images_ * pixels_ * step_ - from;
  }

  std::array<Axis, kAxes> axes_;
  int64_t step_;      // from a pixel to the next
  int64_t channels_;  // of a group
  int64_t images_;
  int64_t pixels_ = 1;  // of an image
  int64_t rows_ = 1;
  int64_t taps_ = 1, count_ = 1;
  bool windows_are_pixels_ = true;
  bool lines_;     // of taps lie in one piece
  bool gathered_;  // a window is copied
  bool copies_;
};

}  // namespace treadle::cpu
