// Reverse-mode differentiation, graph to graph: gradients are nodes of the same operators, so that
// they differentiate again.
//
// Only what the request needs is built. A value that several nodes read gets the sum of its
// gradients. An absent gradient is zero and is never materialised. Operators without a rule that
// are compositions (Op::decompose) are expanded first. Weights (constants) are differentiated like
// inputs: start from the graph as imported, since the optimizer folds constants.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace treadle {

class AddedOps;

struct GradientRequest {
  // Names of the graph's outputs, or of any values. Of several, the sum of the products with the
  // seeds is differentiated.
  std::vector<std::string> outputs;
  // Names of the graph's inputs, constants or any values, all of floats.
  std::vector<std::string> wrt;
  // For each output: the name of a value of its shape to start from, or of an input to be added;
  // "" (or nothing): ones.
  std::vector<std::string> seeds = {};
  // A `wrt` on which no output depends is an error that names the cut; with this, its gradient is
  // zeros.
  bool zero_unreachable = false;
  // The outputs that are asked for stay outputs of the result, before the gradients.
  bool keep_outputs = false;
  // Where the gradients of added operators are found; null: they have none.
  std::shared_ptr<const AddedOps> operators = nullptr;
};

// The value that a request means by a name; kInvalidArgument where there is none.
ValueId named_value(const Graph& graph, const std::string& name);

// A graph with the inputs of `graph` (and seeds that were added); its outputs are the gradients,
// "grad_<wrt>" in the order of `wrt`. Errors: kInvalidArgument for names, kUnsupported listing all
// nodes without a gradient at once, each with the path to the output.
Graph autodiff(const Graph& graph, const GradientRequest& request);

// What stands in the way of such a gradient: each node without one, with the path to the output.
// Empty where autodiff will find none. Errors: kInvalidArgument for names.
std::vector<std::string> missing_gradients(const Graph& graph, const GradientRequest& request);
// "differentiated", "decomposed" (into operators that are), "zero", "refused" or "missing".
std::string_view gradient_text(const Op& op);

// What is put upon the gradient of a `wrt`: `put` adds nodes, and returns the value that counts
// instead.
struct GradientTap {
  size_t wrt;
  bool summed;  // upon the sum; otherwise upon each part of it
  std::function<ValueId(Graph&, ValueId gradient)> put;
};

struct GradientTargets {
  std::vector<ValueId> outputs = {};
  std::vector<ValueId> seeds = {};  // as many, invalid ids: ones
  std::vector<ValueId> wrt = {};
  bool zero_unreachable = false;
  // The gradient of a `wrt` that none reaches is an invalid id instead.
  bool skip_unreachable = false;
  std::vector<ValueId> held = {};  // what they are computed from does not count
  std::vector<GradientTap> taps = {};
  std::shared_ptr<const AddedOps> operators = nullptr;
};

// Adds the gradients to the graph itself, whose types must be inferred; the values of the gradients
// of `wrt` in order. Nodes of `graph` may be expanded: hold on to values by the graph's outputs. On
// an error the graph is left half changed.
std::vector<ValueId> add_gradients(Graph& graph, const GradientTargets& targets);

}  // namespace treadle
