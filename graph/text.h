// The text form of a graph: ONNX's own textual syntax, as Python's onnx.parser reads it.
//
//   mlp (float[N, 128] x) => (float[N, 10] y)
//   <float[10] b = {0, 0, …}>
//   {
//     [first] t = Gemm <transB = 1> (x, w, b)
//     y = com.microsoft.FastGelu (t)
//   }
#pragma once

#include <string>
#include <string_view>

#include "graph/graph.h"

namespace treadle {

struct PrintOptions {
  bool header = false;   // ir_version, opsets and metadata: what onnx.parser.parse_model wants
  bool types = false;    // the types of intermediate values too
  bool origins = false;  // a comment before each node that has origins
  int64_t max_elements =
      -1;  // longer constants become "{...}", which nobody parses; -1 = print all
};

// Prints nodes in topological order. A graph output whose name differs from its value's renames the
// value, or becomes an Identity where the value is an input, a constant or another output too.
std::string print(const Graph& graph, const PrintOptions& options = {});

// Reads a graph, or a model whose opsets are the ones of this build; verifies it and infers its
// types. Values must be defined before they are used; subgraphs name outer values freely.
// Attributes may leave out what the operator's row tells: `alpha = 1` is a float, `pads = []` a
// list of integers. kInvalidModel or kUnsupported with line and column.
Graph parse(std::string_view text);

}  // namespace treadle
