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

// The input is split into planes of bfloat16, one a part, with its padding around it, so that rows
// of a tile are equally far apart. Where steps are one pixel a tile's rows go on from one line
// to the next, over positions that are none of the output's.
class TileRows {
 public:
  // Of one group, in channels-last; of up to two spatial axes, none: rows of a matrix.
  explicit TileRows(const ConvParams& p);
  // Whether the planes are not much larger than the input.
  static bool fits(const ConvParams& p);

  const TileSteps& steps() const { return steps_; }
  std::span<const int64_t> offsets() const { return offsets_; }  // of steps
  bool points() const { return points_; }  // windows are single pixels: rows beside each other
  int64_t row_step() const { return row_step_; }

  int64_t tiles() const { return paths_ * tiles_of_path(); }
  int64_t place(int64_t tile) const;
  // Those of its rows: [kTileOutputs]; -1: of none.
  void outputs(int64_t tile, int32_t* to) const;
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
  // Lines of x become planes, `step` numbers apart.
  struct Planes {
    uint16_t* first;
    int64_t step;
  };
  void split(const float* x, Lines lines, Planes to) const;

 private:
  struct Axis {
    int64_t kernel = 1, stride = 1, dilation = 1, pad = 0, input = 1, output = 1;
    int64_t extent() const { return (kernel - 1) * dilation + 1; }
    int64_t reach() const { return (output - 1) * stride + extent(); }
  };
  // Positions that tiles follow, of which the first `outputs` of each `period` are the output's.
  struct Path {
    int64_t length = 1, period = 1, outputs = 1;
  };
  int64_t tiles_of_path() const;
  void lay_points();
  void lay_windows();
  void split_part(const float* from, int64_t count, int64_t end, Planes to) const;
  void split_line(const float* from, Planes to) const;
  void split_point(const float* x, int64_t i, Planes to) const;

  Axis down_, across_;
  int64_t images_, in_channels_;
  bool points_;
  TileSteps steps_;
  int64_t channels_ = 1;  // of a pixel of the planes
  int64_t lines_ = 1, width_ = 1;
  int64_t row_step_ = 1;
  int64_t paths_ = 1;
  Path path_;
  std::vector<int64_t> offsets_;
  FloatTileFunctions functions_ = float_tile_functions();
};

}  // namespace treadle::cpu
