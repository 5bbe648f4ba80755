// Gathers elementwise nodes of floats and truth values into regions that run tile by tile without
// intermediate tensors: one FusedElementwise a region. All results within a region have one shape,
// so that nothing is computed twice; what broadcasts into it stays outside, numbers move in.
#include <algorithm>
#include <map>

#include "graph/builder.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

constexpr size_t kMaxNodes = 64;
constexpr size_t kMaxInputs = 16;
constexpr size_t kMaxOutputs = 4;

class Regions {
 public:
  explicit Regions(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  void run() {
    const std::vector<NodeId> order = graph_.topological_order();
    if (order.empty()) return;
    is_output_.resize(graph_.value_count());
    for (const GraphOutput& o : graph_.outputs()) is_output_[o.value.index] = true;
    const uint32_t bound = std::max_element(order.begin(), order.end())->index + 1;
    position_.assign(bound, 0);
    region_.assign(bound, kNone);
    for (size_t i = 0; i < order.size(); ++i) position_[order[i].index] = i;
    for (NodeId id : order) {
      if (eligible(graph_.node(id))) join(id);
    }
    for (std::vector<NodeId>& members : regions_) {
      if (pass_.stopped()) return;
      if (members.size() >= 2) leave_bytes(members);
      if (members.size() >= 2) fuse(members);
    }
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  // Truth values live in registers of floats.
  bool fits(ValueId v) const {
    const DType dtype = pass_.type(v).dtype;
    return dtype == DType::kFloat || dtype == DType::kBool;
  }

  // One scale and one zero point for all bytes.
  bool quantizes(const Node& node) const {
    if (!node.is("QuantizeLinear") && !node.is("DequantizeLinear")) return false;
    const bool to_float = node.is("DequantizeLinear");
    const ValueId bytes = to_float ? node.input(0) : node.output();
    const ValueId floats = to_float ? node.output() : node.input(0);
    if (!is_byte(bytes) || pass_.type(floats).dtype != DType::kFloat) return false;
    return is_number(pass_.constant(node.input(1))) &&
           pass_.type(node.input(1)).dtype == DType::kFloat &&
           (!node.input(2).valid() || is_number(pass_.constant(node.input(2))));
  }

  bool eligible(const Node& node) const {
    if (quantizes(node)) return has_shape(node);
    if (!node.op->has(kElementwise) || !node.op->domain.empty() || node.outputs.size() != 1) {
      return false;
    }
    if (!has_shape(node) || !fits(node.output()) || !node.subgraphs.empty()) return false;
    return std::all_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId v) { return !v.valid() || fits(v); });
  }

  bool has_shape(const Node& node) const {
    const auto& shape = pass_.type(node.output()).shape;
    return shape &&
           std::none_of(shape->begin(), shape->end(), [](const Dim& d) { return d.is_unknown(); });
  }

  // Adds the node to the regions of its producers, which become one, or begins a region.
  void join(NodeId id) {
    size_t home = regions_.size();
    regions_.push_back({id});
    region_[id.index] = home;
    for (ValueId v : graph_.node(id).inputs) {
      const size_t other = region_of(v);
      if (other == kNone || other == home) continue;
      const ValueId shown = graph_.node(regions_[other][0]).output();
      if (*pass_.type(shown).shape != *pass_.type(graph_.node(id).output()).shape) continue;
      if (!may_merge(other, home, id)) continue;
      for (NodeId member : regions_[home]) {
        regions_[other].push_back(member);
        region_[member.index] = other;
      }
      regions_[home].clear();
      home = other;
    }
  }

  // A region runs where its last node stood. Whoever else reads it must stand behind that: then the
  // order of the nodes stays one of the regions, so that these can form no cycle.
  bool may_merge(size_t a, size_t b, NodeId last) const {
    if (regions_[a].size() + regions_[b].size() > kMaxNodes) return false;
    const auto ready = [&](NodeId member) {
      const auto& users = graph_.value(graph_.node(member).output()).users;
      return std::all_of(users.begin(), users.end(), [&](NodeId user) {
        const size_t home = region_[user.index];
        return home == a || home == b || position_[user.index] > position_[last.index];
      });
    };
    return std::all_of(regions_[a].begin(), regions_[a].end(), ready) &&
           std::all_of(regions_[b].begin(), regions_[b].end(), ready);
  }

  size_t region_of(ValueId v) const {
    const NodeId producer = v.valid() ? graph_.value(v).producer : NodeId{};
    return producer.valid() ? region_[producer.index] : kNone;
  }

  bool is_byte(ValueId v) const {
    const DType dtype = pass_.type(v).dtype;
    return dtype == DType::kInt8 || dtype == DType::kUint8;
  }

  // What a region makes of one tensor of bytes can be looked up where it makes bytes: those that it
  // quantizes and dequantizes for others it leaves as bytes.
  void leave_bytes(std::vector<NodeId>& members) const {
    const auto is_own = [&](NodeId id) { return std::ranges::find(members, id) != members.end(); };
    std::vector<ValueId> inputs;
    for (NodeId id : members) {
      for (ValueId v : graph_.node(id).inputs) {
        const bool outer = v.valid() && !is_own(graph_.value(v).producer);
        if (outer && !is_number(pass_.constant(v))) inputs.push_back(v);
      }
    }
    const auto is_first = [&](ValueId v) { return v == inputs[0]; };
    if (inputs.empty() || !is_byte(inputs[0]) || !std::ranges::all_of(inputs, is_first)) return;
    std::vector<NodeId> stay;
    std::ranges::copy_if(members, std::back_inserter(stay), [&](NodeId id) {
      const Node& node = graph_.node(id);
      const auto& users = graph_.value(node.output()).users;
      return !node.is("DequantizeLinear") || !is_own(graph_.value(node.input(0)).producer) ||
             std::ranges::any_of(users, is_own);
    });
    members = std::move(stay);
  }

  // The body's number for a constant of one element; else an input.
  static bool is_number(const Tensor* t) {
    return t != nullptr && t->count() == 1 && t->rank() <= 1;
  }

  void fuse(std::vector<NodeId> members) {
    std::sort(members.begin(), members.end(),
              [&](NodeId a, NodeId b) { return position_[a.index] < position_[b.index]; });
    Subgraph body;
    body.attribute = "body";
    body.graph = std::make_shared<Graph>();
    body.graph->name = "body";
    Builder builder(*body.graph);
    std::map<ValueId, ValueId> inside;
    std::vector<ValueId> inputs;
    for (NodeId id : members) {
      for (ValueId v : graph_.node(id).inputs) {
        if (!v.valid() || inside.count(v) != 0) continue;
        const bool own =
            std::find(members.begin(), members.end(), graph_.value(v).producer) != members.end();
        if (own) continue;
        const Tensor* t = pass_.constant(v);
        const ValueDef& def = graph_.value(v);
        if (is_number(t)) {
          inside[v] = body.graph->add_constant(def.name, *t);
        } else {
          inside[v] = body.graph->add_input(def.name, def.type);
          inputs.push_back(v);
        }
      }
      Node copy = graph_.node(id);
      for (ValueId& v : copy.inputs) {
        if (v.valid()) v = inside[v];
      }
      const ValueId from = graph_.node(id).output();
      const ValueId to = builder.add(std::move(copy))[0];
      body.graph->rename_value(to, graph_.value(from).name);
      inside[from] = to;
    }
    std::vector<ValueId> outputs = outputs_of(members);
    if (outputs.empty()) return;  // dead: nothing to fuse for
    if (inputs.size() > kMaxInputs || outputs.size() > kMaxOutputs) {
      return pass_.refuse(members[0], cat("its region has ", inputs.size(), " inputs and ",
                                          outputs.size(), " outputs"));
    }
    replace(members.back(), std::move(body), inside, {inputs, outputs});
  }

  struct Border {
    std::vector<ValueId> inputs, outputs;
  };
  void replace(NodeId where, Subgraph body, const std::map<ValueId, ValueId>& inside,
               const Border& border) {
    for (ValueId v : border.outputs) {
      body.graph->add_output(graph_.value(v).name, inside.at(v));
    }
    Node node;
    node.op = find_op("FusedElementwise", "treadle");
    node.inputs = border.inputs;
    node.outputs.resize(border.outputs.size());
    node.subgraphs.push_back(std::move(body));
    Patch patch;
    const std::vector<ValueId> results = patch.node(std::move(node));
    for (size_t i = 0; i < results.size(); ++i) patch.replace(border.outputs[i], results[i]);
    pass_.apply(where, std::move(patch));
  }

  // Results that something outside reads.
  std::vector<ValueId> outputs_of(const std::vector<NodeId>& members) const {
    std::vector<ValueId> outputs;
    for (NodeId id : members) {
      const ValueId v = graph_.node(id).output();
      const auto& users = graph_.value(v).users;
      const bool outside = std::any_of(users.begin(), users.end(), [&](NodeId user) {
        return std::find(members.begin(), members.end(), user) == members.end();
      });
      if (outside || is_output_[v.index]) outputs.push_back(v);
    }
    return outputs;
  }

  Pass& pass_;
  Graph& graph_;
  std::vector<bool> is_output_;  // by value index; each node is in one region, so never stale
  std::vector<size_t> position_, region_;
  std::vector<std::vector<NodeId>> regions_;
};

}  // namespace

void fuse_elementwise(Pass& pass) { Regions(pass).run(); }

}  // namespace treadle
