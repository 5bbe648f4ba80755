// How far two values are apart: the one comparison, of the command and of all tests.
#pragma once

#include <string>

#include "graph/base/tensor.h"

namespace treadle::tool {

struct Difference {
  bool equal = true;
  std::string text;           // what differs, and where it differs most; "" when equal
  double worst_absolute = 0;  // the largest finite |got − want|
  double worst_relative = 0;  // that over the largest finite magnitude in either value

  // Takes in a part's; `where` names the part.
  void merge(const Difference& part, const std::string& where);
};

// Kinds, dtypes and dims must be the same. Floats: |got − want| ≤ atol + rtol·|want|, NaN equals
// NaN, an infinity only itself. Integers may be atol apart, whatever rtol is; all else is exact.
// Sequences by element, maps by key.
Difference compare_values(const Value& got, const Value& want, double rtol, double atol);

}  // namespace treadle::tool
