#include "training/autodiff.h"

#include <algorithm>
#include <map>
#include <set>

#include "graph/ops/op.h"
#include "training/body.h"
#include "training/capture_constants.h"
#include "training/gradient.h"
#include "training/gradients/families.h"
#include "training/route.h"

namespace treadle {
namespace {

class Sweep {
 public:
  Sweep(Graph& graph, GradientTargets targets) : graph_(graph), targets_(std::move(targets)) {}
  std::vector<ValueId> run();
  // The first half of it: all rules, but the results. What failed.
  const std::vector<std::string>& sweep();

 private:
  void expand_composites();
  void expand_once(const std::vector<NodeId>& composites);
  void start();
  void visit(NodeId id);
  void differentiate(GradientContext& context);
  ValueId total(ValueId value);
  void tap(ValueId value, bool summed);
  void report() const;
  ValueId result(ValueId wanted);
  std::string cut(ValueId wanted) const;

  Graph& graph_;
  GradientTargets targets_;
  Route route_;
  std::vector<std::vector<ValueId>> parts_;  // of the gradient of each value
  std::set<uint32_t> tapped_;                // values
  std::map<uint32_t, std::string> failed_expansions_;
  std::vector<std::string> failures_;
};

// Replaces the compositions without a rule by their nodes, theirs likewise. The outputs and wanted
// values are held as outputs of the graph meanwhile, so that they follow.
void Sweep::expand_composites() {
  const size_t before = graph_.outputs().size();
  for (ValueId v : targets_.outputs) graph_.add_output("", v);
  for (ValueId v : targets_.wrt) graph_.add_output("", v);
  for (;;) {
    std::vector<NodeId> composites;
    for (NodeId id : route_.nodes) {
      const Op& op = *graph_.node(id).op;
      const bool known_bad = failed_expansions_.contains(id.index);
      if (!known_bad && gradient_support(op).kind == GradientKind::kDecomposed) {
        composites.push_back(id);
      }
    }
    if (composites.empty()) break;
    expand_once(composites);
    route_ = find_route(graph_, targets_);
  }
  while (graph_.outputs().size() > before) graph_.remove_output(graph_.outputs().size() - 1);
}

// Puts the parts that a gradient's table names in the node's place.
void replace_by_parts(Graph& graph, NodeId id, PartsFn parts) {
  GradientContext context(graph, id, "");
  const std::vector<Expr> results = parts(context);
  const std::vector<ValueId> outputs = context.node().outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].valid()) graph.replace_uses(outputs[i], results.at(i).id());
  }
  graph.remove_node(id);
}

bool expand_node(Graph& graph, NodeId id) {
  const GradientDef* def = gradient_support(*graph.node(id).op).def;
  if (def == nullptr) return expand(graph, id);
  replace_by_parts(graph, id, def->parts);
  return true;
}

void Sweep::expand_once(const std::vector<NodeId>& composites) {
  bool any = false;
  for (NodeId id : composites) {
    try {
      any = expand_node(graph_, id) || any;
    } catch (const Error& e) {
      if (e.code() != Code::kUnsupported) throw;
      failed_expansions_[id.index] = e.what();
    }
  }
  if (any) annotate(graph_);
  const size_t held = graph_.outputs().size() - targets_.outputs.size() - targets_.wrt.size();
  for (size_t i = 0; i < targets_.outputs.size() + targets_.wrt.size(); ++i) {
    const bool output = i < targets_.outputs.size();
    ValueId& v = output ? targets_.outputs[i] : targets_.wrt[i - targets_.outputs.size()];
    v = graph_.outputs()[held + i].value;
  }
}

void Sweep::start() {
  Builder builder(graph_, "grad/");
  for (size_t i = 0; i < targets_.outputs.size(); ++i) {
    const ValueId output = targets_.outputs[i];
    if (!route_.counts[output.index]) continue;
    ValueId seed = i < targets_.seeds.size() ? targets_.seeds[i] : ValueId{};
    if (!seed.valid()) seed = ones_like({builder, output}).id();
    parts_[output.index].push_back(seed);
  }
}

void Sweep::tap(ValueId value, bool summed) {
  for (const GradientTap& t : targets_.taps) {
    if (t.summed != summed || targets_.wrt[t.wrt] != value) continue;
    for (ValueId& part : parts_[value.index]) part = t.put(graph_, part);
  }
}

// The sum of the parts; invalid where there are none.
ValueId Sweep::total(ValueId value) {
  std::vector<ValueId>& parts = parts_[value.index];
  const bool first = !parts.empty() && tapped_.insert(value.index).second;
  if (first) tap(value, false);
  if (parts.size() > 1) {
    Builder builder(graph_, "grad/" + graph_.value(value).name + "/");
    std::vector<Expr> terms;
    for (ValueId part : parts) terms.emplace_back(builder, part);
    const ValueId all = sum_of(terms).id();
    Type& type = graph_.value(all).type;
    if (type.kind == graph_.value(value).type.kind) type = graph_.value(value).type;
    parts = {all};
  }
  if (first) tap(value, true);
  return parts.empty() ? ValueId{} : parts[0];
}

void Sweep::visit(NodeId id) {
  GradientContext context(graph_, id);
  context.operators() = targets_.operators;
  bool any = false;
  for (ValueId v : context.node().outputs) {
    context.gradients().push_back(v.valid() && v.index < parts_.size() ? total(v) : ValueId{});
    any = any || context.gradients().back().valid();
  }
  if (!any) return;
  for_each_use(context.node(), [&](ValueId v) {
    if (route_.depends[v.index]) context.wanted().insert(v.index);
  });
  try {
    differentiate(context);
  } catch (const Error& e) {
    if (e.code() != Code::kUnsupported) throw;
    failures_.push_back(cat(describe(context.node()), ": ", e.what(), ", on the path ",
                            path_text(graph_, route_, id)));
    // Something of the right type, for the sweep to find the other ones.
    for_each_use(context.node(), [&](ValueId v) {
      if (route_.depends[v.index]) parts_[v.index].push_back(v);
    });
    return;
  }
  for (const auto& [value, part] : context.results()) {
    if (!route_.depends[value.index]) continue;
    Type& type = graph_.value(part).type;
    if (type.is_tensor() && graph_.value(value).type.shape) {
      type.shape = graph_.value(value).type.shape;
    }
    parts_[value.index].push_back(part);
  }
}

void Sweep::differentiate(GradientContext& context) {
  const GradientSupport support = gradient_support(*context.node().op);
  switch (support.kind) {
    case GradientKind::kDifferentiated: return support.def->fn(context);
    case GradientKind::kRefused: GradientContext::refuse(support.def->refused);
    case GradientKind::kDecomposed:
      GradientContext::refuse(failed_expansions_.at(context.id().index));
    case GradientKind::kZero: return;
    case GradientKind::kMissing: return differentiate_added(context);
  }
}

void Sweep::report() const {
  if (failures_.empty()) return;
  std::string text;
  for (const std::string& failure : failures_) text += (text.empty() ? " " : "; ") + failure;
  fail(Code::kUnsupported, "no gradient for ", failures_.size(),
       failures_.size() == 1 ? " node:" : " nodes:", text);
}

// Where the way from the value to the outputs ends.
std::string Sweep::cut(ValueId wanted) const {
  std::vector<bool> reached(graph_.value_count());
  reached[wanted.index] = true;
  for (NodeId id : graph_.topological_order()) {
    const Node& node = graph_.node(id);
    bool reads = false;
    for_each_use(node, [&](ValueId v) { reads = reads || reached[v.index]; });
    if (!reads) continue;
    const std::vector<bool> before = reached;
    spread(graph_, node, reached);
    if (reached == before) {
      return cat("it goes no further than ", describe(node), ", whose gradient is zero");
    }
  }
  return "no output depends on it";
}

ValueId Sweep::result(ValueId wanted) {
  const ValueId value = total(wanted);
  if (value.valid() || targets_.skip_unreachable) return value;
  TREADLE_CHECK(targets_.zero_unreachable, kInvalidArgument, "no gradient reaches '",
                graph_.value(wanted).name, "': ", cut(wanted));
  Builder builder(graph_, "grad/");
  return zeros_like({builder, wanted}).id();
}

const std::vector<std::string>& Sweep::sweep() {
  for (ValueId v : targets_.wrt) {
    TREADLE_CHECK(is_smooth(graph_.value(v).type), kInvalidArgument, "the gradient for '",
                  graph_.value(v).name, "' is asked for, which is ", graph_.value(v).type.text(),
                  ": only floats have one");
  }
  route_ = find_route(graph_, targets_);
  expand_composites();
  parts_.resize(graph_.value_count());
  route_.depends.resize(graph_.value_count());
  start();
  for (auto it = route_.nodes.rbegin(); it != route_.nodes.rend(); ++it) visit(*it);
  return failures_;
}

std::vector<ValueId> Sweep::run() {
  sweep();
  report();
  std::vector<ValueId> results;
  for (ValueId v : targets_.wrt) results.push_back(result(v));
  return results;
}

}  // namespace

// ---- By names

ValueId named_value(const Graph& graph, const std::string& name) {
  for (const GraphOutput& o : graph.outputs()) {
    if (o.name == name) return o.value;
  }
  const ValueId v = graph.find_value(name);
  TREADLE_CHECK(v.valid(), kInvalidArgument, "there is no value '", name, "'");
  return v;
}

namespace {

ValueId find_seed(Graph& graph, const GradientRequest& request, size_t i, ValueId output) {
  if (i >= request.seeds.size() || request.seeds[i].empty()) return {};
  const ValueId known = graph.find_value(request.seeds[i]);
  return known.valid() ? known : graph.add_input(request.seeds[i], graph.value(output).type);
}

void clear_outputs(Graph& graph) {
  while (!graph.outputs().empty()) graph.remove_output(graph.outputs().size() - 1);
}

}  // namespace

std::vector<ValueId> add_gradients(Graph& graph, const GradientTargets& targets) {
  return Sweep(graph, targets).run();
}

namespace {

// The graph to add to, and its values that the request names; its outputs are the request's.
struct Joint {
  Graph graph;
  GradientTargets targets;
};

Joint joint_graph(const Graph& graph, const GradientRequest& request) {
  Joint joint{graph.clone(), {}};
  capture_constants(joint.graph);
  annotate(joint.graph);
  GradientTargets& targets = joint.targets;
  targets.zero_unreachable = request.zero_unreachable;
  targets.operators = request.operators;
  for (const std::string& name : request.wrt) {
    targets.wrt.push_back(named_value(joint.graph, name));
  }
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    targets.outputs.push_back(named_value(joint.graph, request.outputs[i]));
    targets.seeds.push_back(find_seed(joint.graph, request, i, targets.outputs.back()));
  }
  clear_outputs(joint.graph);
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    joint.graph.add_output(request.outputs[i], targets.outputs[i]);
  }
  return joint;
}

}  // namespace

std::vector<std::string> missing_gradients(const Graph& graph, const GradientRequest& request) {
  Joint joint = joint_graph(graph, request);
  return Sweep(joint.graph, joint.targets).sweep();
}

Graph autodiff(const Graph& graph, const GradientRequest& request) {
  Joint joint = joint_graph(graph, request);
  const std::vector<ValueId> gradients = add_gradients(joint.graph, joint.targets);
  if (!request.keep_outputs) clear_outputs(joint.graph);
  for (size_t i = 0; i < gradients.size(); ++i) {
    joint.graph.add_output("grad_" + request.wrt[i], gradients[i]);
  }
  joint.graph.remove_dead();
  return std::move(joint.graph);
}

}  // namespace treadle
