// The operator cases whose gradients do not agree with differences, each with its reason.
#pragma once

#include <string_view>

#include "tests/ops/runner.h"
#include "training/gradient.h"

namespace treadle::test {

struct Exception {
  std::string_view name;  // of the case, or the beginning of its name before '*'
  std::string_view reason;
};
const Exception* find_exception(std::string_view case_name);

// Whether the gradient of the gradient is checked too: small cases.
bool checked_twice(const OpCase& c);

}  // namespace treadle::test
