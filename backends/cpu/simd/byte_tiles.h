// The products of simd/byte_product.h by tiles of AMX.
#pragma once

#include "backends/cpu/simd/byte_product.h"

namespace treadle::cpu {

// Where AMX is in use. Results are the others', to the bit.
ByteProductFunctions byte_tile_functions();

}  // namespace treadle::cpu
