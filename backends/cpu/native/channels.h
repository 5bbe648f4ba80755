// Sums a channel over all the others: treadle.BatchStatistics, treadle.BatchSums, and ReduceSum
// over all axes but 1.
#pragma once

#include "backends/cpu/family.h"

namespace treadle::cpu {

extern const Family kNativeChannelSum;
extern const Family kNativeBatchStatistics;
extern const Family kNativeBatchSums;

}  // namespace treadle::cpu
