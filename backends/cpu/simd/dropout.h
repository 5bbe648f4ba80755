// The mask of dropout (treadle.DropoutMask), for the instruction set of the machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

struct DropoutDraw {
  uint64_t key;
  uint64_t draw;
  uint32_t bound;  // what is drawn below it becomes 0
  float kept;      // the rest
};

// mask[i] for i in [0, count) is element 4 * first + i of the draw.
void draw_dropout_mask(const DropoutDraw& draw, uint64_t first, float* mask, size_t count);

}  // namespace treadle::cpu
