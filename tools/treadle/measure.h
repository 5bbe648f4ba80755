// Times of calls that are made again and again, by one thread or several at once.
#pragma once

#include <functional>
#include <vector>

#include "tools/treadle/command.h"
#include "tools/treadle/json.h"

namespace treadle::tool {

struct Times {
  std::vector<double> each;  // milliseconds of each call; those of a lane in their order
  double seconds = 0;        // from the first call's begin to the last one's end
  double per_second() const { return static_cast<double>(each.size()) / seconds; }
};

// UsageError for what measure and times_json would refuse.
void check_measuring(const Args& args);
// Calls each lane in a thread of its own (the first in the caller's): --warmup times, then all at
// once for --duration or until --iterations calls are made. Throws what a lane throws.
Times measure(const Args& args, const std::vector<std::function<void()>>& lanes);
// min_ms, median_ms, mean_ms, p90_ms and the others of --percentiles, max_ms.
Json times_json(const Times& times, const Args& args);

}  // namespace treadle::tool
