// The windows of a convolution, or the rows of a matrix, as the tiles that simd/float_tiles.h
// multiplies.
#pragma once

#include <span>
#include <vector>

#include "backends/cpu/simd/float_tiles.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// Numbers of a window in the order in which they are multiplied: runs that lie beside each other,
// each in steps of equal size. Behind a run's end stand zeros among the weights.
struct TileSteps {
  int64_t channels = 1;
  int64_t taps = 1;      // of a window
  int64_t run_taps = 1;  // of a run
  int64_t numbers = 2;   // of a step, even

  TileSteps(int64_t channels, int64_t taps, int64_t run_taps);
  int64_t run() const { return run_taps * channels; }
  int64_t in_run() const { return ceil_div(run(), numbers); }  // steps
  int64_t count() const { return taps / run_taps * in_run(); }
  // Of number i of a step: channel · taps + tap; -1: of zeros.
  int64_t source(int64_t step, int64_t i) const;
};

// The input is split into two planes of bfloat16, high and low, with its padding around it, so that
// rows of a tile are equally far apart. Where steps are one pixel a tile's rows go on from one line
// to the next, over positions that are none of the output's.
class TileRows {
 public:
  // Of one group, in channels-last; of up to two spatial axes, none: rows of a matrix.
  explicit TileRows(const ConvParams& p);

  const TileSteps& steps() const { return steps_; }
  bool points() const { return points_; }  // windows are single pixels: rows beside each other
  int64_t row_step() const { return row_step_; }
  std::span<const int64_t> offsets() const { return offsets_; }  // of steps
  std::span<const int64_t> places() const { return places_; }    // of tiles
  std::span<const int32_t> outputs() const { return outputs_; }  // [tiles][kTileOutputs]
  // The first output from a tile on; of the tile behind the last: of all.
  int64_t first_output(int64_t tile) const;

  // Lines of the planes that tiles [begin, end) read.
  struct Lines {
    int64_t begin, end;
  };
  Lines lines_of(int64_t begin, int64_t end) const;
  // Numbers of a plane of so many lines, with what tiles read behind the last; of one.
  int64_t plane(int64_t lines) const;
  int64_t line() const { return width_ * channels_; }
  // Lines of x become a plane of high numbers, and `low_part` numbers further one of low ones.
  void split(const float* x, Lines lines, uint16_t* high, int64_t low_part) const;

 private:
  struct Axis {
    int64_t kernel = 1, stride = 1, dilation = 1, pad = 0, input = 1, output = 1;
    int64_t reach() const { return (output - 1) * stride + (kernel - 1) * dilation + 1; }
  };
  void place_points();
  void place_windows();
  void add_tile(int64_t at) { places_.push_back(at); }
  void add_outputs(int64_t first, int64_t count);
  // Of a plane of high numbers, and the other.
  struct Planes {
    uint16_t* high;
    int64_t low_part;
  };
  void split_part(const float* from, int64_t count, int64_t end, Planes to) const;
  void split_line(const float* from, Planes to) const;
  void split_point(const float* x, int64_t i, Planes to) const;

  Axis down_, across_;
  int64_t images_, in_channels_;
  bool points_;
  TileSteps steps_;
  int64_t channels_;  // of a pixel of the planes
  int64_t lines_ = 1, width_ = 1;
  int64_t row_step_ = 1;
  int64_t all_outputs_;
  std::vector<int64_t> offsets_, places_;
  std::vector<int32_t> outputs_;
  FloatTileFunctions functions_ = float_tile_functions();
};

}  // namespace treadle::cpu
