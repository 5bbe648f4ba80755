// ONNX's own backend tests, as generate.py writes them from the installed onnx package.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "tests/support/tensors.h"

namespace treadle::test {

struct Case {
  std::string name;
  Tolerance tolerance;
};

// The folder of the cases; empty where Python or onnx is missing.
std::filesystem::path cases_folder();

// Those of one set ("node", "simple" …) whose name contains $TREADLE_ONNX_ONLY, where that is set.
std::vector<Case> read_cases(const std::filesystem::path& folder, const std::string& set);

// What a case's folder gives for the inputs of its graph.
std::vector<Value> case_inputs(const std::filesystem::path& folder, const Graph& graph);

}  // namespace treadle::test
