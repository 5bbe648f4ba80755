// Packs weights of floats for simd/float_tiles.h.
#pragma once

#include "backends/cpu/family.h"
#include "backends/cpu/native/tile_rows.h"

namespace treadle::cpu {

// The weight of column n and number k of a window (TileSteps::source) is scale · source[k · row + n
// · column]; row or column is 1.
struct TileWeightSource {
  int64_t n = 1;
  int64_t row = 1;
  int64_t column = 1;
  float scale = 1;
};

// Floats, in blocks of kTileColumns, each of all steps.
std::shared_ptr<Buffer> tile_weights(const Tensor& source, const TileWeightSource& shape,
                                     const TileSteps& steps, const CompileContext& context);
// Numbers of a block.
int64_t tile_block(const TileSteps& steps);

}  // namespace treadle::cpu
