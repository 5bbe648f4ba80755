// Gradient of If.
#include "training/gradients/bodies.h"
#include "training/gradients/families.h"

namespace treadle {
namespace {

using Context = GradientContext;

// The branch that was taken once more, and its gradients; zeros for what only the other captures.

void differentiate_branch(Context& c, const Subgraph& branch, const std::vector<ValueId>& wanted,
                          Body& body) {
  const std::vector<Expr> results = body.inlined(branch, {});
  std::vector<std::optional<Expr>> seeds(results.size());
  for (size_t i = 0; i < c.output_count(); ++i) {
    if (c.has_gy(i)) seeds[i] = body.capture(c.gy(i).id());
  }
  std::vector<Expr> wrt;
  for (ValueId v : wanted) wrt.push_back(body.capture(v));
  for (const Expr& gradient : differentiate(c, body, results, seeds, wrt)) body.output(gradient);
}

// A branch that is wrong for the shapes at hand is the one that is not taken.
Subgraph branch_gradient(Context& c, const Subgraph& branch, const std::vector<ValueId>& wanted) {
  try {
    Body body(c.builder());
    differentiate_branch(c, branch, wanted, body);
    return body.take(branch.attribute);
  } catch (const Error& e) {
    if (e.code() != Code::kInvalidModel) throw;
  }
  Body body(c.builder());
  for (ValueId v : wanted) body.output(zeros_like(body.capture(v)));
  return body.take(branch.attribute);
}

void if_gradient(Context& c) {
  const std::vector<ValueId> wanted = wanted_captures(c);
  Node node = node_for(c, "If", "gradient");
  node.inputs = c.node().inputs;
  node.outputs.resize(wanted.size());
  for (const Subgraph& branch : c.node().subgraphs) {
    node.subgraphs.push_back(branch_gradient(c, branch, wanted));
  }
  const std::vector<Expr> gradients = add_with_bodies(c.builder(), std::move(node));
  for (size_t i = 0; i < wanted.size(); ++i) c.contribute(wanted[i], gradients[i]);
}

constexpr GradientDef kRules[] = {
    {"If", if_gradient},
};

}  // namespace

std::span<const GradientDef> if_gradients() { return kRules; }

}  // namespace treadle
