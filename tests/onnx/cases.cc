#include "tests/onnx/cases.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "importer/importer.h"
#include "tests/paths.h"

namespace treadle::test {

namespace fs = std::filesystem;

fs::path cases_folder() {
  const std::string command =
      python_path() + " " + source_dir() + "/tests/onnx/generate.py 2>/dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  std::string line;
  for (int ch; (ch = std::fgetc(pipe)) != EOF && ch != '\n';) line += static_cast<char>(ch);
  return pclose(pipe) == 0 ? fs::path(line) : fs::path{};
}

std::vector<Case> read_cases(const fs::path& folder, const std::string& set) {
  const char* only = std::getenv("TREADLE_ONNX_ONLY");
  std::ifstream in(folder / "cases.txt");
  std::vector<Case> cases;
  std::string of;
  for (Case c; in >> of >> c.name >> c.tolerance.rtol >> c.tolerance.atol;) {
    if (of == set && (only == nullptr || c.name.find(only) != std::string::npos))
      cases.push_back(c);
  }
  return cases;
}

std::vector<Value> case_inputs(const fs::path& folder, const Graph& graph) {
  std::vector<Value> inputs;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    inputs.push_back(load_value(folder / "test_data_set_0" / cat("input_", i, ".pb"),
                                graph.value(graph.inputs()[i]).type));
  }
  return inputs;
}

}  // namespace treadle::test
