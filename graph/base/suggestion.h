// The end of a message on a name that is unknown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "graph/base/error.h"

namespace treadle {

// "; did you mean 'x'?" of the close match among the candidates, or `otherwise`.
inline std::string suggestion(std::string_view name, const std::vector<std::string>& candidates,
                              std::string_view otherwise = "") {
  const std::string near = close_match(name, candidates);
  return near.empty() ? std::string(otherwise) : cat("; did you mean '", near, "'?");
}

}  // namespace treadle
