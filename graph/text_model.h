// A whole model in the text form: the graph, and the opsets that its text states.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "graph/graph.h"

namespace treadle {

struct TextModel {
  Graph graph;
  std::map<std::string, int64_t, std::less<>> opsets;  // by domain, "" for ONNX's own
};

// As `parse`, at any opset: operators are read by their rows, whose meaning at the opset that is
// stated the caller checks.
TextModel parse_model(std::string_view text);

}  // namespace treadle
