#include "graph/rewrite.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "graph/builder.h"
#include "graph/ops/op.h"
#include "graph/text.h"

namespace treadle {
namespace {

constexpr uint32_t kPatchBit = 0x80000000u;  // marks the patch's own values

bool is_patch_value(ValueId id) { return id.valid() && (id.index & kPatchBit) != 0; }

// "" when a reader of `from` may read `to`.
std::string type_conflict(const Type& from, const Type& to) {
  const std::string text = cat("the type would change from ", from.text(), " to ", to.text());
  if (from.kind != to.kind) return text;
  if (from.dtype != DType::kUndefined && to.dtype != DType::kUndefined && from.dtype != to.dtype) {
    return text;
  }
  if (!from.is_tensor() || !from.shape || !to.shape) return "";
  if (from.shape->size() != to.shape->size()) return text;
  for (size_t i = 0; i < from.shape->size(); ++i) {
    const Dim &a = (*from.shape)[i], &b = (*to.shape)[i];
    if (a.known() && b.known() && !(a == b)) return text;
  }
  return "";
}

// Adds to `type` what `other`, of the same value, knows better.
void refine(Type& type, const Type& other) {
  if (type.dtype == DType::kUndefined) type.dtype = other.dtype;
  if (!type.element) type.element = other.element;
  if (!type.shape || !other.shape) {
    if (!type.shape) type.shape = other.shape;
    return;
  }
  for (size_t i = 0; i < type.shape->size(); ++i) {
    Dim& dim = (*type.shape)[i];
    const Dim& better = (*other.shape)[i];
    if (dim.is_unknown() || (!dim.known() && better.known())) dim = better;
  }
}

}  // namespace

ValueId Patch::fresh() { return ValueId{kPatchBit | count_++}; }

ValueId Patch::constant(Tensor tensor) {
  steps_.push_back({std::move(tensor), {}, {fresh()}});
  return steps_.back().results[0];
}

ValueId Patch::ints(const std::vector<int64_t>& values) {
  return constant(Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values));
}

ValueId Patch::op(std::string_view kind, std::vector<ValueId> inputs, Attributes attributes,
                  std::string_view domain) {
  Node added;
  added.op = find_op(kind, domain);
  TREADLE_CHECK(added.op != nullptr, kInternal, "a patch names the unknown operator ", kind);
  added.inputs = std::move(inputs);
  added.attributes = std::move(attributes);
  added.outputs.resize(1);
  return node(std::move(added))[0];
}

std::vector<ValueId> Patch::node(Node added) {
  std::vector<ValueId> results(added.outputs.size());
  for (ValueId& v : results) v = fresh();
  steps_.push_back({{}, std::move(added), results});
  return results;
}

// One application of a patch.
class Application {
 public:
  Application(Graph& graph, Patch& patch) : graph_(graph), patch_(patch) {}

  std::string run() {
    std::string refused;
    try {
      add_steps();
    } catch (const Error& e) {
      refused = e.what();
    }
    for (const auto& [from, to] : patch_.moves_) {
      if (refused.empty()) refused = type_conflict(type(from), type(mapped(to)));
    }
    if (!refused.empty()) {
      undo();
      return refused;
    }
    move_readers();
    return "";
  }

 private:
  const Type& type(ValueId id) const { return graph_.value(id).type; }
  ValueId mapped(ValueId id) const { return is_patch_value(id) ? own_[id.index & ~kPatchBit] : id; }

  void add_steps() {
    own_.resize(patch_.count_);
    Builder builder(graph_);
    for (Patch::Step& step : patch_.steps_) {
      if (step.constant.defined()) {
        constants_.push_back(graph_.add_constant("const", std::move(step.constant)));
        own_[step.results[0].index & ~kPatchBit] = constants_.back();
        continue;
      }
      for (ValueId& v : step.node.inputs) v = mapped(v);
      check_against_row(step.node);
      const std::vector<ValueId> results = builder.add(std::move(step.node));
      for (size_t i = 0; i < results.size(); ++i) {
        own_[step.results[i].index & ~kPatchBit] = results[i];
      }
      added_.push_back(graph_.value(results[0]).producer);
    }
  }

  void undo() {
    while (!added_.empty()) {
      graph_.remove_node(added_.back());
      added_.pop_back();
    }
    for (ValueId v : constants_) graph_.remove_constant(v);
  }

  void move_readers() {
    std::string root_name;
    std::vector<std::pair<ValueId, std::string>> renames;
    for (const auto& [from, patch_to] : patch_.moves_) {
      const ValueId to = mapped(patch_to);
      refine(graph_.value(to).type, type(from));
      graph_.replace_uses(from, to);
      const Node* old = graph_.producer(from);
      if (old == nullptr) continue;
      if (root_name.empty()) root_name = old->name;
      if (is_patch_value(patch_to)) renames.emplace_back(to, graph_.value(from).name);
      dying_.push_back(graph_.value(from).producer);
    }
    const NodeId root = dying_.empty() ? NodeId{} : dying_.back();
    remove_dying();
    if (dead_.empty() && root.valid()) bury(root);
    label(root_name);
    for (const auto& [value, name] : renames) graph_.rename_value(value, name);
  }

  // Removes what lost its last reader, upwards.
  void remove_dying() {
    while (!dying_.empty()) {
      const NodeId id = dying_.back();
      dying_.pop_back();
      if (!graph_.alive(id) || is_read(graph_.node(id))) continue;
      std::vector<ValueId> inputs;
      for_each_use(graph_.node(id), [&](ValueId v) { inputs.push_back(v); });
      bury(id);
      graph_.remove_node(id);
      for (ValueId v : inputs) {
        const ValueDef& def = graph_.value(v);
        if (def.producer.valid()) dying_.push_back(def.producer);
        if (def.is_constant() && def.users.empty() && !is_interface(v)) graph_.remove_constant(v);
      }
    }
  }

  bool is_interface(ValueId v) const {
    const auto& inputs = graph_.inputs();
    return graph_.is_output(v) || std::find(inputs.begin(), inputs.end(), v) != inputs.end();
  }

  bool is_read(const Node& node) const {
    return std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
      return v.valid() && (!graph_.value(v).users.empty() || graph_.is_output(v));
    });
  }

  // Notes the names that a node stands for.
  void bury(NodeId id) {
    const Node& node = graph_.node(id);
    std::vector<std::string> names = node.origins;
    if (names.empty() && !node.name.empty()) names.push_back(node.name);
    dead_.emplace_back(id, std::move(names));
  }

  void label(const std::string& root_name) {
    std::sort(dead_.begin(), dead_.end());
    std::vector<std::string> origins;
    std::unordered_set<std::string_view> seen;
    for (const auto& [id, names] : dead_) {
      for (const std::string& name : names) {
        if (seen.insert(name).second) origins.push_back(name);
      }
    }
    for (NodeId id : added_) {
      Node& node = graph_.mutable_node(id);
      node.origins = origins;
      const bool last = id == added_.back();
      node.name = last || root_name.empty() ? root_name : cat(root_name, "/", node.op->kind);
    }
  }

  Graph& graph_;
  Patch& patch_;
  std::vector<ValueId> own_;
  std::vector<ValueId> constants_;
  std::vector<NodeId> added_;
  std::vector<NodeId> dying_;
  std::vector<std::pair<NodeId, std::vector<std::string>>> dead_;
};

std::string apply(Graph& graph, Patch patch) { return Application(graph, patch).run(); }

std::optional<double> scalar_value(const Tensor& tensor) {
  if (!tensor.defined() || tensor.count() != 1) return std::nullopt;
  if (!kNumbers.has(tensor.dtype())) return std::nullopt;
  return tensor.to_doubles()[0];
}

// Matches pairs of a pattern's and a graph's value, with backtracking over operand orders.
class Matcher {
 public:
  Matcher(const Graph& pattern, const Graph& graph) : pattern_(pattern), graph_(graph) {
    bound_.resize(pattern.value_count());
  }

  bool match_node(NodeId wanted, NodeId found) {
    Pairs pending;
    return enter(wanted, found, pending);
  }
  std::vector<ValueId> take() { return std::move(bound_); }

 private:
  using Pairs = std::vector<std::pair<ValueId, ValueId>>;

  bool solve(Pairs pending) {
    if (pending.empty()) return true;
    const auto [wanted, found] = pending.back();
    pending.pop_back();
    if (!wanted.valid() || !found.valid()) {
      return wanted.valid() == found.valid() && solve(std::move(pending));
    }
    const ValueId before = bound_[wanted.index];
    if (before.valid()) return before == found && solve(std::move(pending));
    const ValueDef& def = pattern_.value(wanted);
    if (def.is_constant() && !near(def.constant, graph_.value(found).constant)) return false;
    if (!def.producer.valid()) {
      bound_[wanted.index] = found;
      if (solve(std::move(pending))) return true;
      bound_[wanted.index] = {};
      return false;
    }
    const NodeId producer = graph_.value(found).producer;
    return producer.valid() && enter(def.producer, producer, pending);
  }

  bool enter(NodeId wanted_id, NodeId found_id, const Pairs& pending) {
    const Node& wanted = pattern_.node(wanted_id);
    const Node& found = graph_.node(found_id);
    if (wanted.op->id != found.op->id || !same_attributes(wanted, found)) return false;
    const size_t count = std::max(wanted.inputs.size(), found.inputs.size());
    for (size_t i = 0; i < wanted.outputs.size(); ++i)
      bound_[wanted.output(i).index] = found.output(i);
    Pairs next = pending;
    for (size_t i = 0; i < count; ++i) next.emplace_back(wanted.input(i), found.input(i));
    if (solve(next)) return true;
    if (wanted.op->has(kCommutative) && count == 2) {
      next = pending;
      next.emplace_back(wanted.input(0), found.input(1));
      next.emplace_back(wanted.input(1), found.input(0));
      if (solve(next)) return true;
    }
    for (ValueId v : wanted.outputs) bound_[v.index] = {};
    return false;
  }

  static bool same_attributes(const Node& wanted, const Node& found) {
    return std::all_of(wanted.attributes.begin(), wanted.attributes.end(), [&](const auto& entry) {
      if (const Attribute* given = found.attributes.find(entry.first)) {
        return Attributes{{entry.first, entry.second}} == Attributes{{entry.first, *given}};
      }
      const AttributeDef* def = found.op->attribute(entry.first);
      return def != nullptr && def->default_text == attribute_text(entry.second);
    });
  }

  static bool near(const Tensor& wanted, const Tensor& found) {
    const auto a = scalar_value(wanted);
    const auto b = scalar_value(found);
    if (!a || !b) return false;
    const bool coarse = found.dtype() == DType::kFloat16 || found.dtype() == DType::kBfloat16;
    if (std::abs(*a - *b) <= (coarse ? 4e-3 : 1e-5) * std::abs(*a)) return true;
    const auto want = static_cast<float>(*a);  // as a file of 16 bits had it
    return *b == double{Float16(want)} || *b == double{Bfloat16(want)};
  }

  const Graph& pattern_;
  const Graph& graph_;
  std::vector<ValueId> bound_;
};

Pattern::Pattern(std::string_view text) : graph_(parse(text)) {
  TREADLE_CHECK(graph_.outputs().size() == 1, kInternal, "a pattern has one output");
  root_ = graph_.value(graph_.outputs()[0].value).producer;
  TREADLE_CHECK(root_.valid(), kInternal, "a pattern's output has no producer");
}

ValueId Pattern::Match::operator[](std::string_view name) const {
  const ValueId id = pattern_->find_value(name);
  TREADLE_CHECK(id.valid(), kInternal, "the pattern has no value '", name, "'");
  return values_[id.index];
}

std::optional<Pattern::Match> Pattern::match(const Graph& graph, NodeId root) const {
  if (graph.node(root).op->id != graph_.node(root_).op->id) return std::nullopt;
  Matcher matcher(graph_, graph);
  if (!matcher.match_node(root_, root)) return std::nullopt;
  Match match;
  match.pattern_ = &graph_;
  match.values_ = matcher.take();
  for (NodeId id : graph_.topological_order()) {
    const ValueId found = match.values_[graph_.node(id).output().index];
    match.nodes_.push_back(graph.value(found).producer);
  }
  const auto inside = [&](NodeId id) {
    return std::find(match.nodes_.begin(), match.nodes_.end(), id) != match.nodes_.end();
  };
  for (NodeId id : match.nodes_) {
    if (id == root) continue;
    for (ValueId v : graph.node(id).outputs) {
      const bool kept =
          v.valid() && (graph.is_output(v) || !std::all_of(graph.value(v).users.begin(),
                                                           graph.value(v).users.end(), inside));
      if (kept) match.refused = describe(graph.node(id)) + ": its output is read elsewhere";
    }
  }
  return match;
}

}  // namespace treadle
