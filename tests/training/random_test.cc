// Random graphs: the gradient against differences. TREADLE_RANDOM_GRAPHS says how many (500).
#include <gtest/gtest.h>

#include <cstdlib>

#include "graph/builder.h"
#include "graph/ops/philox.h"
#include "graph/text.h"
#include "tests/support/gradcheck.h"
#include "tests/support/tensors.h"

namespace treadle::test {
namespace {

class Dice {
 public:
  explicit Dice(uint64_t seed) : seed_(seed) {}
  size_t below(size_t bound) {
    return static_cast<size_t>(philox_uniform(seed_, next_++) * static_cast<double>(bound));
  }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<size_t>(high - low + 1)));
  }
  template <class T>
  const T& of(const std::vector<T>& list) {
    return list[below(list.size())];
  }

 private:
  uint64_t seed_;
  uint64_t next_ = 0;
};

// A graph that grows by nodes whose values stay small.
class RandomGraph {
 public:
  explicit RandomGraph(uint64_t seed) : dice_(seed), builder_(graph_) {
    for (int64_t i = dice_.between(1, 3); i > 0; --i) {
      values_.push_back(graph_.add_input("", Type::tensor(DType::kDouble, symbolic(dims()))));
    }
    for (int64_t i = dice_.between(5, 30); i > 0; --i) grow();
    ValueId total;
    for (ValueId v : values_) {
      const ValueId sum = builder_.op("ReduceMean", {v}, {{"keepdims", int64_t{0}}});
      total = total.valid() ? builder_.op("Add", {total, sum}) : sum;
    }
    graph_.add_output("y", total);
  }
  const Graph& graph() const { return graph_; }
  // Some functions have no derivative somewhere.
  bool has_kinks() const { return has_kinks_; }

 private:
  using Grow = void (RandomGraph::*)();

  Dims dims() {
    Dims d(static_cast<size_t>(dice_.between(1, 3)));
    for (int64_t& size : d) size = dice_.between(1, 3);
    return d;
  }
  ValueId any() { return dice_.of(values_); }
  Dims of(ValueId v) { return *concrete(*graph_.value(v).type.shape); }
  int64_t rank(ValueId v) { return static_cast<int64_t>(of(v).size()); }
  ValueId small(ValueId v) { return builder_.op("Tanh", {v}); }
  void keep(ValueId v) {
    if (element_count(of(v)) > 0 && element_count(of(v)) <= 64) values_.push_back(v);
  }
  ValueId constant(const Dims& d) {
    return builder_.constant(random_tensor(DType::kDouble, d, dice_.below(1000000)));
  }
  int64_t axis(ValueId v) { return dice_.between(-rank(v), rank(v) - 1); }
  ValueId with_axis() {
    ValueId v = any();
    return rank(v) > 0 ? v : builder_.op("Unsqueeze", {v, builder_.ints({0})});
  }

  void grow() {
    static const std::vector<Grow> ways = {
        &RandomGraph::unary,  &RandomGraph::binary, &RandomGraph::binary, &RandomGraph::product,
        &RandomGraph::reduce, &RandomGraph::move,   &RandomGraph::move,   &RandomGraph::join,
        &RandomGraph::pick,   &RandomGraph::line,   &RandomGraph::branch, &RandomGraph::scan};
    (this->*dice_.of(ways))();
  }
  void unary() {
    static const std::vector<const char*> kinds = {
        "Tanh",  "Sigmoid", "Sin",   "Cos",      "Erf",      "Gelu", "Mish",
        "Swish", "Atan",    "Asinh", "Softplus", "Relu",     "Abs",  "Softsign",
        "Elu",   "Neg",     "Celu",  "Selu",     "Identity", "Mish", "HardSwish"};
    const std::string kind = dice_.of(kinds);
    has_kinks_ = has_kinks_ || kind == "Relu" || kind == "Abs" || kind == "Selu";
    keep(small(builder_.op(kind, {any()})));
  }
  void binary() {
    static const std::vector<const char*> kinds = {"Add", "Sub",  "Mul", "Max",
                                                   "Min", "Mean", "Div"};
    const std::string kind = dice_.of(kinds);
    has_kinks_ = has_kinks_ || kind == "Max" || kind == "Min";
    const ValueId a = any();
    ValueId b = dice_.below(2) == 0 ? a : any();
    if (!broadcasts(of(a), of(b))) b = constant({});
    if (kind == "Div") b = builder_.op("Softplus", {b});
    keep(small(builder_.op(kind, {a, b})));
  }
  static bool broadcasts(const Dims& a, const Dims& b) {
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      const int64_t x = a[a.size() - 1 - i];
      const int64_t y = b[b.size() - 1 - i];
      if (x != y && x != 1 && y != 1) return false;
    }
    return true;
  }
  void product() {
    const ValueId a = with_axis();
    const Dims d = of(a);
    const ValueId w = constant({d.back(), dice_.between(1, 3)});
    if (dice_.below(3) == 0) {
      return keep(builder_.op("Einsum", {a, a}, {{"equation", "...i,...i->..."}}));
    }
    if (d.size() != 2) return keep(small(builder_.op("MatMul", {a, w})));
    keep(small(builder_.op("Gemm", {a, w}, {{"alpha", 0.5F}})));
  }
  void reduce() {
    static const std::vector<const char*> kinds = {
        "ReduceSum", "ReduceMean", "ReduceLogSumExp", "ReduceSumSquare", "ReduceMax", "ReduceProd"};
    const std::string kind = dice_.of(kinds);
    has_kinks_ = has_kinks_ || kind == "ReduceMax";
    const ValueId v = with_axis();
    keep(small(
        builder_.op(kind, {v, builder_.ints({axis(v)})}, {{"keepdims", dice_.between(0, 1)}})));
  }
  void move() {
    const ValueId v = with_axis();
    const Dims d = of(v);
    switch (dice_.below(6)) {
      case 0: return keep(builder_.op("Reshape", {v, builder_.ints({-1})}));
      case 1: return keep(builder_.op("Transpose", {v}));
      case 2: return keep(builder_.op("Unsqueeze", {v, builder_.ints({axis(v)})}));
      case 3:
        return keep(builder_.op(
            "Slice", {v, builder_.ints({0}), builder_.ints({2}), builder_.ints({axis(v)})}));
      case 4: return keep(builder_.op("Tile", {v, builder_.ints(Dims(d.size(), 2))}));
      default: {
        Dims pads(2 * d.size());
        for (int64_t& p : pads) p = dice_.between(0, 1);
        return keep(builder_.op("Pad", {v, builder_.ints(pads)}));
      }
    }
  }
  void join() {
    const ValueId v = with_axis();
    keep(builder_.op("Concat", {v, builder_.op("Sin", {v})}, {{"axis", axis(v)}}));
  }
  void pick() {
    const ValueId v = with_axis();
    const int64_t a = axis(v);
    const int64_t size = of(v)[static_cast<size_t>(a < 0 ? a + rank(v) : a)];
    if (dice_.below(3) == 0) {
      has_kinks_ = true;
      const auto both = builder_.add("TopK", {v, builder_.ints({1})}, {{"axis", a}}, 2);
      return keep(both[0]);
    }
    const ValueId index = builder_.ints({dice_.between(-size, size - 1), 0});
    keep(builder_.op("Gather", {v, index}, {{"axis", a}}));
  }
  void line() {
    const ValueId v = with_axis();
    const ValueId a = builder_.constant(Tensor::scalar<int64_t>(axis(v)));
    switch (dice_.below(4)) {
      case 0: return keep(builder_.op("Softmax", {v}, {{"axis", axis(v)}}));
      case 1: return keep(small(builder_.op("LogSoftmax", {v}, {{"axis", axis(v)}})));
      case 2: return keep(small(builder_.op("CumSum", {v, a})));
      default: return keep(small(builder_.op("CumProd", {v, a})));
    }
  }
  void add_text(const std::string& text, ValueId v) {
    const Graph body = parse(text);
    const ValueId made = inline_graph(graph_, body, {v})[0];
    annotate(graph_);
    keep(made);
  }
  std::string signature(ValueId v) { return "f (" + graph_.value(v).type.text() + " x) => (y)"; }
  void branch() {
    const ValueId v = any();
    add_text(signature(v) + R"( <bool c = {)" + std::to_string(dice_.below(2)) + R"(}> {
      y = If (c) <then_branch = t () => (u) { u = Sin (x) },
                  else_branch = e () => (w) { w = Mul (x, x) }>
    })",
             v);
  }
  void scan() {
    const ValueId v = with_axis();
    const std::string direction = std::to_string(dice_.below(2));
    add_text(signature(v) + R"( <double zero = {0.3}, int64 first = {0}> {
      slice = Gather (x, first)
      start = Mul (slice, zero)
      last, y = Scan (start, x) <num_scan_inputs = 1, scan_input_directions = [)" +
                 direction + R"(],
        body = b (s, r) => (n, o) {
          p = Add (s, r)
          n = Tanh (p)
          o = Mul (n, r)
        }>
    })",
             v);
  }

  Dice dice_;
  Graph graph_;
  Builder builder_;
  std::vector<ValueId> values_;
  bool has_kinks_ = false;
};

std::string check_at(const RandomGraph& made, uint64_t seed) {
  std::vector<Value> inputs;
  for (ValueId v : made.graph().inputs()) {
    const Dims dims = *concrete(*made.graph().value(v).type.shape);
    inputs.emplace_back(random_tensor(DType::kDouble, dims, seed + 31 * inputs.size()));
  }
  return gradcheck(made.graph(), inputs, {.order = seed % 10 == 0 ? 2 : 1, .tolerance = 1e-6});
}

TEST(RandomGraphs, HaveTheGradientsOfTheirDifferences) {
  const char* count = std::getenv("TREADLE_RANDOM_GRAPHS");
  const uint64_t graphs = count != nullptr ? std::strtoull(count, nullptr, 10) : 500;
  for (uint64_t seed = 1; seed <= graphs; ++seed) {
    const RandomGraph made(seed);
    std::string wrong;
    try {
      wrong = check_at(made, seed);
      // By chance a point may lie on a kink, but not three.
      for (uint64_t again = 1; made.has_kinks() && !wrong.empty() && again < 3; ++again) {
        wrong = check_at(made, seed + 1000003 * again);
      }
    } catch (const Error& e) {
      wrong = e.what();
    }
    EXPECT_EQ(wrong, "") << "seed " << seed << "\n" << print(made.graph());
  }
}

}  // namespace
}  // namespace treadle::test
