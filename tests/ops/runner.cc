#include "tests/ops/runner.h"

#include "graph/builder.h"
#include "graph/ops/op.h"
#include "tests/ops/one_node.h"
#include "tests/support/ways.h"

namespace treadle::test {
namespace {

// Reports an exception of one check and lets the others run.
template <class F>
void check(const std::string& what, F&& f) {
  SCOPED_TRACE(what);
  try {
    f();
  } catch (const Error& e) {
    ADD_FAILURE() << what << ": " << e.what();
  }
}

// ---- Inference

enum class Given { kDims, kSymbols, kNothing };

std::vector<Known> knowledge(const OneNode& made, Given given) {
  std::vector<Known> known;
  for (size_t i = 0; i < made.inputs.size(); ++i) {
    Known k;
    k.type = made.graph.value(made.graph.inputs()[i]).type;
    if (k.type.is_tensor() && given == Given::kNothing) k.type.shape.reset();
    if (k.type.is_tensor() && given == Given::kSymbols) {
      for (size_t d = 0; d < k.type.shape->size(); ++d)
        (*k.type.shape)[d] = Dim::symbol(cat("i", i, "_", d));
    }
    known.push_back(std::move(k));
  }
  return known;
}

void expect_type(const Type& inferred, const Value& actual, bool exact, const std::string& what) {
  const Type real = type_of(actual);
  ASSERT_EQ(inferred.kind, real.kind) << what << ": inferred " << inferred.text();
  if (!inferred.is_tensor()) return;
  EXPECT_EQ(dtype_name(inferred.dtype), dtype_name(real.dtype)) << what;
  if (!inferred.shape) {
    EXPECT_FALSE(exact) << what << ": the rank was not inferred";
    return;
  }
  const Shape& shape = *inferred.shape;
  ASSERT_EQ(shape.size(), real.shape->size())
      << what << ": inferred " << inferred.text() << ", actual " << real.text();
  for (size_t d = 0; d < shape.size(); ++d) {
    const bool fits = shape[d].known() ? shape[d] == (*real.shape)[d] : !exact;
    EXPECT_TRUE(fits) << what << ": inferred " << inferred.text() << ", actual " << real.text();
  }
}

void check_inference(const OpCase& c, const std::vector<Value>& actual) {
  const OneNode made = one_node(c, Constants::kIntegers);
  const bool data_dependent = made.graph.node(made.node).op->has(kDataDependent);
  const std::pair<Given, const char*> levels[] = {
      {Given::kDims, "inference"},
      {Given::kSymbols, "inference from symbols"},
      {Given::kNothing, "inference from ranks unknown"}};
  for (const auto& [given, what] : levels) {
    check(what, [&, given = given, what = what] {
      const std::vector<Known> known = infer(made.graph, knowledge(made, given));
      const bool exact = given == Given::kDims && c.exact_shape && !data_dependent;
      for (size_t i = 0; i < actual.size(); ++i) {
        expect_type(known[made.graph.outputs()[i].value.index].type, actual[i], exact,
                    cat(what, ", output ", i));
      }
    });
  }
}

// ---- The same result by other ways

void check_decomposition(const OpCase& c, const std::vector<Value>& reference) {
  OneNode made = one_node(c, Constants::kIntegers);
  annotate(made.graph);
  const Op& op = *made.graph.node(made.node).op;
  if (op.decompose == nullptr) return;
  ASSERT_TRUE(expand(made.graph, made.node));
  verify(made.graph);
  expect_same(evaluate(made.graph, made.inputs), reference, {c.rtol, c.atol}, "decomposition");
}

void check_error(const OpCase& c) {
  for (const Constants constants : {Constants::kNone, Constants::kAllButFirst}) {
    const OneNode made = one_node(c, constants);
    SCOPED_TRACE(cat(made.inputs.size(), " of ", c.inputs.size(), " inputs are the caller's"));
    expect_error(c.error, "reference", [&] { evaluate(made.graph, made.inputs); });
    const bool planned = !c.planned.empty() && made.inputs.size() < c.inputs.size();
    expect_error_everywhere(made.graph, made.inputs, planned ? c.planned : c.error);
  }
}

// The runtime and a saved file, with inputs from the caller and with what a model would hold.
void check_ways(const OpCase& c, const std::vector<Value>& reference) {
  for (const Constants constants : {Constants::kNone, Constants::kAllButFirst, Constants::kAll}) {
    OneNode made = one_node(c, constants);
    if (constants != Constants::kNone && made.inputs.size() == c.inputs.size()) continue;
    annotate(made.graph);
    SCOPED_TRACE(cat(made.inputs.size(), " of ", c.inputs.size(), " inputs are the caller's"));
    expect_same_everywhere(made.graph, made.inputs, reference, {c.rtol, c.atol});
  }
}

using Check = void (*)(const OpCase&, const std::vector<Value>& reference);
constexpr std::pair<const char*, Check> kChecks[] = {
    {"inference", check_inference},
    {"decomposition", check_decomposition},
    {"ways", check_ways},
};

void run(const OpCase& c) {
  if (!c.error.empty()) return check_error(c);
  const OneNode made = one_node(c, Constants::kNone);
  verify(made.graph);
  const std::vector<Value> reference = evaluate(made.graph, made.inputs);
  if (!c.want.empty()) {
    std::vector<Value> want = c.want;
    std::erase_if(want, [](const Value& v) { return v.empty(); });
    expect_same(reference, want, {c.rtol, c.atol}, "reference");
  }
  for (const auto& [what, f] : kChecks) {
    check(what, [&, f = f] { f(c, reference); });
  }
}

}  // namespace

TEST_P(OpTest, Check) {
  check("reference", [&] { run(GetParam()); });
}

}  // namespace treadle::test
