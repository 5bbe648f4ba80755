// Convolutions of few channels, as images have, as products of windows.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kThinConv;

}  // namespace treadle::cpu
