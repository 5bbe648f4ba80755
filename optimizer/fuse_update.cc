// A step of plain gradient descent whose gradient is a product, w - rate * a' b', becomes one
// operator that adds the product to w in place: the gradient is never written.
#include "optimizer/passes.h"

namespace treadle {
namespace {

// The parts of w - rate * product.
struct Step {
  ValueId w, rate, product;
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
    const Node& product = *graph_.producer(step->product);
    Patch patch;
    Attributes attributes = product.attributes;
    attributes.erase("beta");
    std::vector<ValueId> inputs = {step->w, product.input(0), product.input(1), step->rate};
    if (on.valid()) inputs.push_back(on);
    patch.replace(end, patch.op("GemmUpdate", inputs, attributes, "treadle"));
    pass_.apply(id, std::move(patch));
  }

  std::optional<Step> step_of(const Node& node) const {
    const Node* scaled = pass_.producer(node.input(1), "Mul");
    if (scaled == nullptr || !graph_.has_one_use(node.input(1))) return std::nullopt;
    for (size_t i : {0, 1}) {
      const Step step{node.input(0), scaled->input(1 - i), scaled->input(i)};
      const Node* product = pass_.producer(step.product, "Gemm");
      if (product == nullptr || product->input(2).valid() || !is_number(step.rate)) continue;
      if (!graph_.has_one_use(step.product)) {
        pass_.refuse(graph_.value(step.product).producer, "its output has several readers");
        continue;
      }
      const bool fits = pass_.type(step.w).dtype == DType::kFloat &&
                        same_type(pass_.type(step.w), pass_.type(step.product)) &&
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
