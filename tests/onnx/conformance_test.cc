// ONNX's own backend tests, made from the installed onnx package (generate.py), by the reference and
// by the CPU, optimizer off and on. skips.txt lists those that may fail, with reasons. At its end
// the program prints the table of what passed.
//
// TREADLE_ONNX_ONLY=<text> runs just the cases whose name contains it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "backends/reference/reference.h"
#include "graph/ops/op.h"
#include "importer/importer.h"
#include "runtime/runtime.h"
#include "tests/onnx/cases.h"
#include "tests/paths.h"
#include "tests/support/tensors.h"
#include "training/gradient_nodes.h"

namespace treadle::test {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSets = {"node", "simple", "light", "pytorch-converted", "pytorch-operator"};

struct Way {
  const char* name;
  const char* device;  // null: evaluate() alone, without the runtime
  bool optimize;
};
constexpr std::array<Way, 4> kWays = {{{"reference", nullptr, false},
                                       {"reference, optimized", "reference", true},
                                       {"CPU", "cpu", false},
                                       {"CPU, optimized", "cpu", true}}};

using Skips = std::map<std::string, std::string>;

// Lines "name: reason".
Skips read_skips() {
  std::ifstream in(source_dir() + "/tests/onnx/skips.txt");
  Skips skips;
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (!line.starts_with('#') && colon != std::string::npos)
      skips[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return skips;
}

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

std::vector<Value> run(const Way& way, Graph graph, const std::vector<Value>& inputs) {
  if (way.device == nullptr) return evaluate(graph, inputs);
  ModelOptions options;
  options.device = way.device;
  options.optimize = way.optimize;
  options.passes.verify = true;
  Session session(Model::create(std::move(graph), options));
  std::vector<NamedValue> named;
  for (size_t i = 0; i < inputs.size(); ++i)
    named.push_back({session.model().input(i).name, inputs[i]});
  return session.run(named);
}

// "" when the case passes; else what is wrong.
std::string failure(const Way& way, const fs::path& folder, const Tolerance& tolerance) {
  try {
    Graph graph = load(folder / "model.onnx");
    expand_gradient_nodes(graph);
    const fs::path data = folder / "test_data_set_0";
    const std::vector<Value> inputs = case_inputs(folder, graph);
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

struct Score {
  size_t passed = 0;
  size_t skipped = 0;
  size_t failed = 0;
};

// What the program has run so far.
class Table {
 public:
  Score& cell(size_t set, size_t way) { return cells_[{set, way}]; }
  void add_skip(const std::string& reason, const std::string& name) { skips_[reason].insert(name); }

  void print() const {
    std::cout << "\npassed / skipped / failed\n\n| set |";
    for (const Way& way : kWays) std::cout << ' ' << way.name << " |";
    std::cout << "\n|---|---|---|---|---|\n";
    for (size_t set = 0; set < kSets.size(); ++set) print_row(set);
    for (const auto& [reason, names] : skips_) {
      std::cout << "\nskipped, " << reason << ":\n";
      for (const std::string& name : names) std::cout << "  " << name << '\n';
    }
    std::cout << std::endl;
  }

 private:
  void print_row(size_t set) const {
    std::cout << "| " << kSets[set] << " |";
    for (size_t way = 0; way < kWays.size(); ++way) {
      const auto found = cells_.find({set, way});
      if (found == cells_.end()) {
        std::cout << " not run |";
      } else {
        const Score& s = found->second;
        std::cout << ' ' << s.passed << " / " << s.skipped << " / " << s.failed << " |";
      }
    }
    std::cout << '\n';
  }

  std::map<std::pair<size_t, size_t>, Score> cells_;
  std::map<std::string, std::set<std::string>> skips_;
};

Table& table() {
  static Table table;
  return table;
}

// Parameters: indices of kSets and kWays.
class Conformance : public testing::TestWithParam<std::tuple<size_t, size_t>> {
 public:
  static void TearDownTestSuite() { table().print(); }
};

TEST_P(Conformance, Passes) {
  const auto [set, way] = GetParam();
  provide_external_kernels();
  const fs::path folder = cases_folder();
  if (folder.empty()) GTEST_SKIP() << "no Python with onnx to make the cases: run scripts/setup.sh";
  const Skips skips = read_skips();
  const std::vector<Case> cases = read_cases(folder, kSets[set]);
  EXPECT_TRUE(!cases.empty() || std::getenv("TREADLE_ONNX_ONLY") != nullptr) << kSets[set];
  Score& score = table().cell(set, way);
  for (const Case& c : cases) {
    const std::string wrong = failure(kWays[way], folder / kSets[set] / c.name, c.tolerance);
    const std::string* reason = skip_reason(skips, c.name);
    if (wrong.empty()) {
      ++score.passed;
      EXPECT_FALSE(skips.contains(c.name))
          << c.name << " passes: remove it from tests/onnx/skips.txt";
    } else if (reason != nullptr) {
      ++score.skipped;
      table().add_skip(*reason, c.name);
    } else {
      ++score.failed;
      ADD_FAILURE() << c.name << ": " << wrong;
    }
  }
}

std::string parameter_name(const testing::TestParamInfo<Conformance::ParamType>& info) {
  std::string name = cat(kSets[std::get<0>(info.param)], "_", kWays[std::get<1>(info.param)].name);
  std::erase_if(name, [](char c) { return c == ','; });
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == ' '; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Onnx, Conformance,
                         testing::Combine(testing::Range<size_t>(0, kSets.size()),
                                          testing::Range<size_t>(0, kWays.size())),
                         parameter_name);

}  // namespace
}  // namespace treadle::test
