// The structs of the C API, which a caller built with another version may have in another size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "graph/base/error.h"

namespace treadle {

// Reads what the caller's struct has, which may be older (shorter) than this library's: `first` is
// the size of its first version. What it lacks is zero. A size that no version can have, within a
// member, is refused.
template <class Struct>
Struct read_struct(const Struct& given, size_t first, const char* name) {
  TREADLE_CHECK(given.struct_size >= first && given.struct_size % alignof(Struct) == 0,
                kInvalidArgument, name, ".struct_size is ", given.struct_size, ", expected ",
                sizeof(Struct));
  Struct out = {};
  std::memcpy(&out, &given, std::min(given.struct_size, sizeof(Struct)));
  return out;
}

// Writes as much of `made` as the caller's struct has.
template <class Struct>
void write_struct(const Struct& made, size_t first, const char* name, Struct* out) {
  const size_t size = read_struct(*out, first, name).struct_size;
  std::memcpy(out, &made, std::min(size, sizeof(Struct)));
  out->struct_size = size;
}

}  // namespace treadle
