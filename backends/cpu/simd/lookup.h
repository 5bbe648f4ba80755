// Bytes looked up in a table, for the instruction set of the machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace treadle::cpu {

inline constexpr size_t kTableBytes = 256;

// to[i] = table[from[i]] for i < n; `to` may be `from`.
using LookupFn = void (*)(const uint8_t* table, const uint8_t* from, size_t n, uint8_t* to);
struct LookupFunction {
  LookupFn run;
  bool vectors;  // many at once; else one by one
};
LookupFunction lookup_function();

}  // namespace treadle::cpu
