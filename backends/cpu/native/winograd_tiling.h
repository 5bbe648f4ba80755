// Which convolutions Winograd's algorithm takes, and in what tiles.
#pragma once

#include "backends/cpu/family.h"
#include "graph/ops/conv_params.h"

namespace treadle::cpu {

// F(out x out, 3 x 3) over the whole output.
struct Tiling {
  int64_t out = 4;
  int64_t across = 0;
  int64_t down = 0;
  int64_t count = 0;
  int64_t side() const { return out + 2; }
  int64_t elements() const { return side() * side(); }

  struct Place {
    int64_t image, row, column;  // of the output
  };
  Place place(int64_t tile) const {
    const int64_t rest = tile / across;
    return {rest / down, rest % down * out, tile % across * out};
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
// Input channels that are transformed at once, output channels that are a multiple of so many.
struct TileChannels {
  size_t lanes, panel;
  bool groups = false;
};
TileChannels tile_channels();  // of floats
Support supports_tiling(const ConvParams& p, const TileChannels& channels);
Support supports_tiling(const ConvParams& p);  // of floats, in one group
// Whether it is faster than a direct sum.
bool tiling_pays(const ConvParams& p, bool packs);

}  // namespace treadle::cpu
