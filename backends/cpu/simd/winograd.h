// The transforms of Winograd's convolution F(m x m, 3 x 3), m = 2 or 4, and of F(m, 3) over lines,
// for the instruction set of the machine (Lavin and Gray, arXiv:1509.09308). Channels lie innermost
// everywhere.
#pragma once

#include <cstddef>

namespace treadle::cpu {

// One tile of (m+2) x (m+2) pixels becomes as many elements, each a row of channels.
struct WinogradInput {
  const float* const* pixels;  // [(m+2)²], row by row
  size_t channels;             // at least a vector
  float* out;                  // element e lies at out + e * stride
  size_t stride;
};

// (m+2)² elements become a tile of m x m pixels: clamp(transform + bias + residual, low, high).
struct WinogradOutput {
  const float* in;  // element e lies at in + e * stride, in whole vectors
  size_t stride;
  const float* bias;      // [channels]
  const float* residual;  // as `out`, may be the same; null: none
  float* out;             // the first pixel
  size_t row_stride;      // of `out` and `residual`, in floats
  size_t pixel_stride;    // in a row
  size_t channels;
  size_t rows;  // of the tile that lie within the output
  size_t columns;
  float low;
  float high;
};

// As many windows of 3 x 3 as a vector has lanes become (m+2)² elements, each a vector.
struct WinogradWindows {
  const std::byte* w;  // window i begins at w + i * step, at any address
  size_t step;         // in bytes
  bool turned;         // by 180 degrees
  float* out;          // element e lies at out + e * stride
  size_t stride;
};

// The transposed transform of outputs: m x m pixels of y's gradient become (m+2)² elements, in
// panels of `panel` channels.
struct WinogradSpread {
  const float* const* pixels;  // [m²], row by row
  size_t channels;             // a multiple of a panel
  float* out;                  // element e of panel p lies at out + p * panel_stride + e * stride
  size_t stride;
  size_t panel;
  size_t panel_stride;
};

// The transposed transform of windows: (m+2)² elements, each a vector, become as many windows of
// 3 x 3.
struct WinogradSums {
  const float* in;  // element e lies at in + e * stride
  size_t stride;
  float* w;     // window i begins at w + i * step
  size_t step;  // in floats
};

struct WinogradFunctions {
  void (*input)(const WinogradInput& tile);
  void (*output)(const WinogradOutput& tile);
  void (*windows)(const WinogradWindows& windows);
  void (*spread)(const WinogradSpread& tile);
  void (*sums)(const WinogradSums& sums);
  size_t lanes;
};
// `m` is 2 or 4.
const WinogradFunctions& winograd_functions(int m);
// Of one dimension: m+2 pixels become as many elements, and these a row of m pixels; windows have 3
// taps. `spread` and `sums` are null.
const WinogradFunctions& winograd_line_functions(int m);

}  // namespace treadle::cpu
