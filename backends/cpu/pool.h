// Average pooling and its gradient, and local response normalization through oneDNN.
#pragma once

#include "backends/cpu/family.h"

namespace treadle {
struct PoolParams;
}

namespace treadle::cpu {

// Every window holds an element of the input.
bool windows_meet_input(const PoolParams& p);

extern const Family kOnednnPool;
extern const Family kOnednnPoolGrad;
extern const Family kOnednnLrn;

}  // namespace treadle::cpu
