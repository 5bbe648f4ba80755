// A step of plain gradient descent, w - rate * g, whose gradient is never written: where g is a
// product a' b', one operator adds it to w in place; where it is zero but for what is added at some
// places (of an embedding), that is added to w.
#include "optimizer/passes.h"

namespace treadle {
namespace {

// The parts of w - rate * gradient.
struct Step {
  ValueId w, rate, gradient;
};

class Fuser {
 public:
  explicit Fuser(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  void run() {
    for (NodeId id : graph_.topological_order()) {
      if (pass_.stopped()) return;
      if (graph_.alive(id) && graph_.node(id).is("Sub")) fuse(id);
    }
  }

 private:
  void fuse(NodeId id) {
    const std::optional<Step> step = step_of(graph_.node(id));
    if (!step) return;
    ValueId end = graph_.node(id).output();
    ValueId on;
    // Sub's only reader may choose between it and w.
    if (graph_.has_one_use(end)) {
      const Node& user = graph_.node(graph_.value(end).users[0]);
      if (user.is("Where") && user.input(1) == end && user.input(2) == step->w &&
          is_number(user.input(0))) {
        on = user.input(0);
        end = user.output();
      }
    }
    Patch patch;
    patch.replace(end, graph_.producer(step->gradient)->is("Gemm")
                           ? product_step(patch, *step, on)
                           : scatter_step(patch, *step, on));
    pass_.apply(id, std::move(patch));
  }

  ValueId product_step(Patch& patch, const Step& step, ValueId on) const {
    const Node& product = *graph_.producer(step.gradient);
    Attributes attributes = product.attributes;
    attributes.erase("beta");
    std::vector<ValueId> inputs = {step.w, product.input(0), product.input(1), step.rate};
    if (on.valid()) inputs.push_back(on);
    return patch.op("GemmUpdate", inputs, attributes, "treadle");
  }

  ValueId scatter_step(Patch& patch, const Step& step, ValueId on) const {
    const Node& scatter = *graph_.producer(step.gradient);
    ValueId change = patch.op("Neg", {patch.op("Mul", {step.rate, scatter.input(2)})});
    if (on.valid()) change = patch.op("Where", {on, change, patch.constant(Tensor::scalar(0.0F))});
    return patch.op("ScatterND", {step.w, scatter.input(1), change}, scatter.attributes);
  }

  bool is_zero(ValueId v) const {
    const Node* expand = pass_.producer(v, "Expand");
    const Tensor* from = pass_.constant(expand != nullptr ? expand->input(0) : v);
    return from != nullptr && is_uniform(*from, 0);
  }

  // A product without an addend, or a sum over zeros.
  bool is_gradient(ValueId v) const {
    if (const Node* product = pass_.producer(v, "Gemm")) return !product->input(2).valid();
    const Node* scatter = pass_.producer(v, "ScatterND");
    return scatter != nullptr && scatter->attributes.s("reduction", "none") == "add" &&
           is_zero(scatter->input(0));
  }

  std::optional<Step> step_of(const Node& node) const {
    const Node* scaled = pass_.producer(node.input(1), "Mul");
    if (scaled == nullptr || !graph_.has_one_use(node.input(1))) return std::nullopt;
    for (size_t i : {0, 1}) {
      const Step step{node.input(0), scaled->input(1 - i), scaled->input(i)};
      if (!is_gradient(step.gradient) || !is_number(step.rate)) continue;
      if (!graph_.has_one_use(step.gradient)) {
        pass_.refuse(graph_.value(step.gradient).producer, "its output has several readers");
        continue;
      }
      const bool fits = pass_.type(step.w).dtype == DType::kFloat &&
                        same_type(pass_.type(step.w), pass_.type(step.gradient)) &&
                        same_type(pass_.type(step.w), pass_.type(node.output()));
      if (fits) return step;
    }
    return std::nullopt;
  }

  bool is_number(ValueId v) const {
    const auto& shape = pass_.type(v).shape;
    return shape && shape->empty();
  }

  Pass& pass_;
  Graph& graph_;
};

}  // namespace

void fuse_update(Pass& pass) { Fuser(pass).run(); }

}  // namespace treadle
