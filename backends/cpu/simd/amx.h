// Tiles of AMX, the matrix unit of Intel's server processors.
#pragma once

namespace treadle::cpu {

// Whether the processor promises AMX without describing its tiles, as in some virtual machines:
// oneDNN's code for it dies there.
bool amx_without_tiles();

// Whether products of bytes and of bfloat16 by tiles run here. The first call asks the system for
// their state on behalf of the whole process, as oneDNN does: from then on an alternate signal
// stack must have room for it (AT_MINSIGSTKSZ).
bool amx_available();

}  // namespace treadle::cpu
