// Every model of the shared folder loads, and so does its test data.
#include <gtest/gtest.h>

#include <filesystem>

#include "graph/ops/op.h"
#include "importer/importer.h"
#include "tests/paths.h"

namespace treadle {
namespace {

namespace fs = std::filesystem;

TEST(Models, Load) {
  const fs::path folder = fs::path(test::shared_dir()) / "models";
  if (test::shared_dir().empty() || !fs::exists(folder))
    GTEST_SKIP() << "no folder of models (TREADLE_SHARED)";
  int loaded = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path model = entry.path() / "model.onnx";
    if (!fs::exists(model)) continue;
    SCOPED_TRACE(model.string());
    try {
      const Graph graph = load(model);
      EXPECT_GT(graph.node_count(), 0u);
      ++loaded;
      const fs::path data = entry.path() / "test_data_set_0";
      for (size_t i = 0; i < graph.inputs().size(); ++i) {
        const fs::path file = data / cat("input_", i, ".pb");
        if (fs::exists(file)) load_value(file, graph.value(graph.inputs()[i]).type);
      }
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
  }
  EXPECT_GE(loaded, 34);
}

}  // namespace
}  // namespace treadle
