#include "training/hooks.h"

#include <algorithm>

#include "graph/builder.h"
#include "graph/ops/added.h"

namespace treadle {
namespace {

void eval_hook(EvalContext& c) {
  Tensor& value = c.output(0, c.input(0).dims());
  copy_elements(c.input(0), value);
  const Hook& hook = *static_cast<const Hook*>(c.node().state.get());
  hook.call(hook.name, value);
}

constexpr const char* kDomain = "treadle.hooks";
bool is_of_gradient(const Hook& hook) {
  return hook.name.starts_with("part:") || hook.name.starts_with("grad:");
}
// The output that the hook makes, by its number.
std::string output_name(size_t hook) { return cat("hooked/", hook); }

std::string value_name(const Hook& hook) {
  return is_of_gradient(hook) ? hook.name.substr(5) : hook.name;
}

// Adds a node that calls the hook with what `value` is; the value that it leaves.
ValueId add_hook(Graph& graph, ValueId value, const Hook& hook) {
  AddedOps ops;  // the node keeps its row
  NewOp op;
  op.row.kind = "Hook";
  op.row.domain = kDomain;
  op.row.inputs = "X:T";
  op.row.outputs = "Y:T";
  op.row.types = "T=all";
  op.row.infer = infer_same_shape;
  op.row.eval = eval_hook;
  op.row.traits = kRandom;
  op.make_state = [hook](const Node&) { return std::make_shared<const Hook>(hook); };
  ops.add(op);
  Node node;
  node.op = ops.find("Hook", kDomain);
  node.name = cat("hook on ", hook.name, "_", graph.value_count());
  node.inputs = {value};
  node.outputs.resize(1);
  ops.prepare(node);
  Builder builder(graph, "hook/");
  return builder.add(std::move(node))[0];
}

// All others that read the value read what the hook leaves.
void put_hook(Graph& graph, ValueId value, const Hook& hook) {
  const ValueId left = add_hook(graph, value, hook);
  const NodeId node = graph.value(left).producer;
  graph.replace_uses(value, left);
  graph.set_input(node, 0, value);
}

}  // namespace

// Values that hooks are on are outputs, so that they follow what becomes of their nodes, and stay
// where nobody else reads them.
void begin_hooks(Graph& graph, const std::vector<Hook>& hooks, GradientTargets& targets) {
  for (size_t i = 0; i < hooks.size(); ++i) {
    const Hook& hook = hooks[i];
    const std::string name = value_name(hook);
    const ValueId v = graph.find_value(name);
    TREADLE_CHECK(v.valid(), kInvalidArgument, "there is no value '", name, "' for a hook");
    TREADLE_CHECK(graph.value(v).type.is_tensor(), kInvalidArgument, "'", name,
                  "' is no tensor, which a hook takes");
    if (!is_of_gradient(hook)) {
      graph.add_output(output_name(i), v);
      continue;
    }
    const auto put = [hook](Graph& g, ValueId gradient) { return add_hook(g, gradient, hook); };
    targets.taps.push_back({targets.wrt.size(), hook.name.starts_with("grad:"), put});
    targets.wrt.push_back(v);
  }
}

void finish_hooks(Graph& graph, const std::vector<Hook>& hooks,
                  const std::vector<ValueId>& gradients) {
  auto gradient = gradients.end() - std::ranges::count_if(hooks, is_of_gradient);
  for (size_t i = 0; i < hooks.size(); ++i) {
    const Hook& hook = hooks[i];
    const std::string output = output_name(i);
    if (is_of_gradient(hook)) {
      TREADLE_CHECK(gradient->valid(), kInvalidArgument, "no gradient reaches '", value_name(hook),
                    "', which a hook is on");
      graph.add_output(output, *gradient++);
    } else {
      put_hook(graph, std::ranges::find(graph.outputs(), output, &GraphOutput::name)->value, hook);
    }
  }
}

}  // namespace treadle
