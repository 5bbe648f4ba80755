// Which convolutions Winograd's algorithm takes, and in what tiles.
#pragma once

#include "backends/cpu/family.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// F(rows x columns, kernel) over the whole output, where rows or columns are 1 if the kernel has
// one tap there, else `out`. Pixels of a tile are as far apart as taps of a window: tiles begin at
// each of the phases, the pixels between.
struct Tiling {
  int64_t out = 4;
  int64_t rows = out, columns = out;
  int64_t across = 0;
  int64_t down = 0;
  int64_t count = 0;
  int64_t row_step = 1, column_step = 1;
  int64_t row_phases = 1, column_phases = 1;
  int64_t side() const { return out + 2; }
  int64_t row_side() const { return rows == 1 ? 1 : side(); }
  int64_t column_side() const { return columns == 1 ? 1 : side(); }
  int64_t elements() const { return row_side() * column_side(); }
  bool is_line() const { return rows == 1 || columns == 1; }

  struct Place {
    int64_t image, row, column;  // of the output
  };
  Place place(int64_t tile) const {
    const int64_t column = tile % across * columns * column_step;
    tile /= across;
    const int64_t row = tile % down * rows * row_step;
    tile /= down;
    const int64_t phases = row_phases * column_phases;
    if (phases == 1) return {tile, row, column};
    const int64_t phase = tile % phases;
    return {tile / phases, row + phase / column_phases, column + phase % column_phases};
  }
};

Tiling tiling_of(const ConvParams& p, int64_t out);
// The tiles as blocks of about equal size, of which each thread has as many.
struct TileBlocks {
  int64_t slots;  // threads that work
  int64_t count;
  int64_t most;  // tiles of a block
};
// `rows`: tiles that are multiplied at once; of memory: a tile's elements, and all weights.
TileBlocks blocks_of(const Tiling& tiling, int64_t rows, int64_t tile_bytes, int64_t weight_bytes,
                     int threads);
// `packs`: the weights are transformed in the run.
Tiling choose_tiling(const ConvParams& p, bool packs);
// Plain ones are of 3x3, in one group and without dilations; all may have these, and be 1x3 or 3x1.
enum class Convolutions : uint8_t { kPlain, kAll };
// `lanes`: input channels that are transformed at once.
Support supports_tiling(const ConvParams& p, size_t lanes, Convolutions taken);
Support supports_tiling(const ConvParams& p, Convolutions taken);  // of floats
// What it takes of the time of a direct sum.
double tiling_share(const ConvParams& p, bool packs);
// Whether it is faster than one.
bool tiling_pays(const ConvParams& p, bool packs);

}  // namespace treadle::cpu
