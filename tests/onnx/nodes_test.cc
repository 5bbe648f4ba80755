// ONNX's own node tests, all that the installed onnx package defines (generate.py), by the
// reference and by the runtime on the CPU, optimizer off and on. skips.txt lists those that may
// fail, with reasons.
//
// TREADLE_ONNX_ONLY=<text> runs just the cases whose name contains it and prints each failure.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "backends/reference/reference.h"
#include "graph/ops/op.h"
#include "importer/importer.h"
#include "runtime/runtime.h"
#include "tests/paths.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

namespace fs = std::filesystem;

struct NodeCase {
  std::string name;
  Tolerance tolerance;
};

// The folder of the cases; empty where Python or onnx is missing.
fs::path cases_folder() {
  const std::string command =
      python_path() + " " + source_dir() + "/tests/onnx/generate.py 2>/dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  std::string line;
  for (int ch; (ch = std::fgetc(pipe)) != EOF && ch != '\n';) line += static_cast<char>(ch);
  return pclose(pipe) == 0 ? fs::path(line) : fs::path{};
}

std::vector<NodeCase> read_cases(const fs::path& folder) {
  const char* only = std::getenv("TREADLE_ONNX_ONLY");
  std::ifstream in(folder / "cases.txt");
  std::vector<NodeCase> cases;
  for (NodeCase c; in >> c.name >> c.tolerance.rtol >> c.tolerance.atol;) {
    if (only == nullptr || c.name.find(only) != std::string::npos) cases.push_back(c);
  }
  return cases;
}

// Lines "name: reason" and "operator kind: reason".
std::map<std::string, std::string> read_skips() {
  std::ifstream in(source_dir() + "/tests/onnx/skips.txt");
  std::map<std::string, std::string> skips;
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (!line.starts_with('#') && colon != std::string::npos)
      skips[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return skips;
}

using Skips = std::map<std::string, std::string>;

// Null when the case must pass.
const std::string* skip_reason(const Skips& skips, const std::string& name) {
  const auto exact = skips.find(name);
  if (exact != skips.end()) return &exact->second;
  for (const auto& [pattern, reason] : skips) {
    const bool open = pattern.ends_with('*');
    if (open && name.starts_with(pattern.substr(0, pattern.size() - 1))) return &reason;
  }
  return nullptr;
}

// The case could not be loaded, for want of a listed operator.
bool lacks_operator(const Skips& skips, const std::string& failure) {
  return std::any_of(skips.begin(), skips.end(), [&](const auto& entry) {
    if (!entry.first.starts_with("operator ")) return false;
    const std::string kind = entry.first.substr(sizeof("operator ") - 1);
    return failure.find(cat("operator ai.onnx.", kind, " (")) != std::string::npos;
  });
}

enum class Way { kReference, kRuntime, kOptimized };

std::vector<Value> run(Way way, Graph graph, const std::vector<Value>& inputs) {
  if (way == Way::kReference) return evaluate(graph, inputs);
  ModelOptions options;
  options.optimize = way == Way::kOptimized;
  options.passes.verify = true;
  Session session(Model::create(std::move(graph), options));
  std::vector<NamedValue> named;
  for (size_t i = 0; i < inputs.size(); ++i)
    named.push_back({session.model().input(i).name, inputs[i]});
  return session.run(named);
}

// "" when the case passes; else what is wrong.
std::string failure(Way way, const fs::path& folder, const Tolerance& tolerance) {
  try {
    const Graph graph = load(folder / "model.onnx");
    const fs::path data = folder / "test_data_set_0";
    std::vector<Value> inputs;
    for (size_t i = 0; i < graph.inputs().size(); ++i) {
      inputs.push_back(
          load_value(data / cat("input_", i, ".pb"), graph.value(graph.inputs()[i]).type));
    }
    const std::vector<Value> got = run(way, graph.clone(), inputs);
    for (size_t i = 0; i < graph.outputs().size(); ++i) {
      const Type& type = graph.value(graph.outputs()[i].value).type;
      Tolerance allowed = tolerance;
      // As ONNX's own runner: two units in the last place.
      if (type.dtype == DType::kBfloat16) allowed.rtol = std::max(allowed.rtol, 0x1p-6);
      const Value want = load_value(data / cat("output_", i, ".pb"), type);
      const std::string d = difference(got.at(i), want, allowed);
      if (!d.empty()) return cat("output ", i, ": ", d);
    }
    return "";
  } catch (const std::exception& e) {
    return e.what();
  }
}

void run_all(Way way) {
  provide_external_kernels();
  const fs::path folder = cases_folder();
  if (folder.empty()) GTEST_SKIP() << "no Python with onnx to make the cases: run scripts/setup.sh";
  const auto skips = read_skips();
  size_t passed = 0;
  size_t skipped = 0;
  for (const NodeCase& c : read_cases(folder)) {
    const std::string wrong = failure(way, folder / c.name, c.tolerance);
    const std::string* reason = skip_reason(skips, c.name);
    if (wrong.empty()) {
      ++passed;
      EXPECT_FALSE(skips.contains(c.name))
          << c.name << " passes: remove it from tests/onnx/skips.txt";
    } else if (reason != nullptr || lacks_operator(skips, wrong)) {
      ++skipped;
    } else {
      ADD_FAILURE() << c.name << ": " << wrong;
    }
  }
  std::cout << passed << " passed, " << skipped << " failed as tests/onnx/skips.txt expects\n";
}

TEST(OnnxNodes, Reference) { run_all(Way::kReference); }
TEST(OnnxNodes, Runtime) { run_all(Way::kRuntime); }
TEST(OnnxNodes, Optimized) { run_all(Way::kOptimized); }

}  // namespace
}  // namespace treadle::test
