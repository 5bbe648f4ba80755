// treadle.BatchStatistics and treadle.BatchSums: sums a channel over all the others.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeBatchStatistics;
extern const Family kNativeBatchSums;

}  // namespace treadle::cpu
