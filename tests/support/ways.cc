#include "tests/support/ways.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "graph/ops/op.h"
#include "importer/importer.h"
#include "runtime/runtime.h"

namespace treadle::test {
namespace {

std::vector<Value> run_session(Graph graph, const std::vector<Value>& inputs, bool optimized) {
  ModelOptions options;
  options.optimize = optimized;
  options.passes.verify = true;
  Session session(Model::create(std::move(graph), options));
  std::vector<NamedValue> named;
  for (size_t i = 0; i < inputs.size(); ++i) {
    named.push_back({session.model().input(i).name, inputs[i]});
  }
  return session.run(named);
}

std::vector<Value> run_saved(const Graph& graph, const std::vector<Value>& inputs) {
  const std::string bytes = save_bytes(graph);
  return evaluate(load_bytes(std::as_bytes(std::span(bytes))), inputs);
}

// One way's failure does not hide the others'. What a file cannot express is no failure.
template <class F>
void expect(const std::string& what, const std::vector<Value>& want, const Tolerance& tolerance,
            F&& run) {
  try {
    expect_same(run(), want, tolerance, what);
  } catch (const Error& e) {
    const bool inexpressible = what == "saved and loaded" && e.code() == Code::kUnsupported;
    if (!inexpressible) ADD_FAILURE() << what << ": " << e.what();
  }
}

}  // namespace

void expect_same(const std::vector<Value>& got, const std::vector<Value>& want,
                 const Tolerance& tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what << ": number of outputs";
  for (size_t i = 0; i < want.size(); ++i) {
    const std::string d = difference(got[i], want[i], tolerance);
    EXPECT_TRUE(d.empty()) << what << ", output " << i << ": " << d;
  }
}

void expect_same_everywhere(const Graph& graph, const std::vector<Value>& inputs,
                            const std::vector<Value>& want, const Tolerance& tolerance) {
  expect("runtime", want, tolerance, [&] { return run_session(graph.clone(), inputs, false); });
  expect("optimized", want, tolerance, [&] { return run_session(graph.clone(), inputs, true); });
  expect("saved and loaded", want, tolerance, [&] { return run_saved(graph, inputs); });
}

void expect_error(const std::string& text, const std::string& what,
                  const std::function<void()>& run) {
  try {
    run();
    ADD_FAILURE() << what << ": no error, expected: " << text;
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << what << ": " << e.what();
    EXPECT_NE(e.code(), Code::kInternal) << what << ": " << e.what();
  }
}

void expect_error_everywhere(const Graph& graph, const std::vector<Value>& inputs,
                             const std::string& text) {
  expect_error(text, "runtime", [&] { run_session(graph.clone(), inputs, false); });
  expect_error(text, "optimized", [&] { run_session(graph.clone(), inputs, true); });
}

}  // namespace treadle::test
