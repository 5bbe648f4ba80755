// Values as the user sees them: a line of text, or JSON.
#pragma once

#include <string>

#include "tools/treadle/json.h"

namespace treadle::tool {

// Without control characters: a line break is "\n", any other '?'.
std::string printable(const std::string& text);
// "float[1, 1000]  min -3.1  max 12.4  mean 0.02  3 NaN"; few elements are all there:
// "float[2]  [1, 2]".
std::string summary(const Value& value);
// Of all tensors in it.
size_t count_nan(const Value& value);
// The same facts as numbers (of the finite elements), and all elements where there are at most
// 1,000.
Json value_json(const std::string& name, const Value& value);

}  // namespace treadle::tool
