// Data movement: Transpose, Slice, Split, Concat, Expand, Tile, Pad, DepthToSpace, SpaceToDepth;
// Gather; Cast.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeMove;
extern const Family kNativeGather;
extern const Family kNativeCast;

}  // namespace treadle::cpu
