// The seed of random operators that state none.
#pragma once

#include <cstdint>

namespace treadle {

// They go on from this one, in all sessions of the process. Thread-safe.
void set_random_seed(uint64_t seed);

}  // namespace treadle
