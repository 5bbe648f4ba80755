// Every operator case with floats, as in double and moved off its kinks: its gradient against
// differences.
#include "graph/ops/op.h"
#include "tests/ops/gradient_exceptions.h"
#include "tests/ops/one_node.h"
#include "tests/support/gradcheck.h"
#include "training/in_double.h"

namespace treadle::test {
namespace {

// Moves the elements a little, each its own way: equal ones part, and whole numbers are left.
Value moved(const Value& value, uint64_t seed) {
  if (const auto* s = std::get_if<std::shared_ptr<const Sequence>>(&value)) {
    Sequence elements;
    for (const Value& v : **s) elements.push_back(moved(v, ++seed));
    return std::make_shared<const Sequence>(std::move(elements));
  }
  if (!value.is_tensor() || value.tensor().dtype() != DType::kDouble) return value;
  Tensor t = value.tensor().clone();
  const Tensor noise = random_tensor(DType::kDouble, t.dims(), seed, 0.01, 0.05);
  for (size_t i = 0; i < t.data<double>().size(); ++i) {
    double& x = t.data<double>()[i];
    x += noise.data<double>()[i] * (i % 2 == 0 ? 1 : -1);
  }
  return t;
}

bool has_doubles(const Graph& graph) {
  for (ValueId v : graph.inputs()) {
    if (graph.value(v).type.dtype == DType::kDouble) return true;
  }
  return false;
}

std::string check_case(const OpCase& c) {
  OneNode made = one_node(c, Constants::kIntegers);
  const GradientKind kind = gradient_support(*made.graph.node(made.node).op).kind;
  if (kind == GradientKind::kZero || kind == GradientKind::kMissing) return "";
  annotate(made.graph);
  const Graph graph = in_double(made.graph);
  if (!has_doubles(graph)) return "";
  std::vector<Value> inputs;
  for (const Value& v : made.inputs) {
    inputs.push_back(moved(in_double(v), 7 + 100 * inputs.size()));
  }
  return gradcheck(graph, inputs, {.order = checked_twice(c) ? 2 : 1, .tolerance = 1e-6});
}

}  // namespace

TEST_P(OpTest, Gradient) {
  const OpCase& c = GetParam();
  if (!c.error.empty()) return;
  const Exception* known = find_exception(case_name({c, 0}));
  std::string wrong;
  try {
    wrong = check_case(c);
  } catch (const Error& e) {
    wrong = e.what();
  }
  if (known == nullptr) {
    EXPECT_EQ(wrong, "");
  } else if (!known->name.ends_with('*')) {
    EXPECT_NE(wrong, "") << "passes, though excepted: " << known->reason;
  }
}

}  // namespace treadle::test
