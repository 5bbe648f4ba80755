#include "training/forms.h"

#include "graph/builder.h"
#include "graph/ops/philox.h"
#include "training/expr.h"

namespace treadle {
namespace {

bool is_true(const Graph& graph, ValueId v) {
  const Tensor* t = v.valid() ? &graph.value(v).constant : nullptr;
  return t != nullptr && t->dtype() == DType::kBool && t->count() == 1 && t->data<bool>()[0];
}

// Puts another node in the place of the node. Its outputs get the names of those that they stand
// for.
void substitute(Graph& graph, NodeId id, const std::vector<ValueId>& results) {
  const std::vector<ValueId> old = graph.node(id).outputs;
  std::vector<std::string> names;
  for (size_t i = 0; i < results.size(); ++i) {
    names.push_back(i < old.size() && old[i].valid() ? graph.value(old[i]).name : "");
    if (!names.back().empty()) graph.replace_uses(old[i], results[i]);
  }
  graph.remove_node(id);
  for (size_t i = 0; i < results.size(); ++i) {
    const bool own = graph.value(results[i]).producer.valid() && !names[i].empty();
    if (own) graph.rename_value(results[i], names[i]);
  }
}

void replace_batch_norm(Graph& graph, NodeId id, Node node, bool training) {
  node.attributes.set("training_mode", int64_t{training});
  node.outputs.assign(training ? 3 : 1, ValueId{});
  const ValueId mean = node.input(3), variance = node.input(4);
  std::vector<ValueId> results = Builder(graph).add(std::move(node));
  if (!training) results.insert(results.end(), {mean, variance});
  substitute(graph, id, results);
}

class Training {
 public:
  Training(Graph& graph, const TrainingForm& form) : graph_(graph), form_(form) {}

  std::map<std::string, ValueId> run() {
    for (NodeId id : graph_.topological_order()) {
      // Both replace the node.
      if (graph_.node(id).is("BatchNormalization")) {
        batch_norm(id);
      } else if (graph_.node(id).is("Dropout")) {
        dropout(id);
      }
    }
    return next_;
  }

 private:
  void batch_norm(NodeId id) {
    Node node = graph_.node(id);
    const bool given = node.attributes.i("training_mode", 0) != 0;
    const bool trained = form_.trains(node.input(1)) || form_.trains(node.input(2));
    if (!trained || !(given || form_.always)) {
      if (given) replace_batch_norm(graph_, id, std::move(node), false);
      return;
    }
    std::string names[2];
    for (size_t i = 0; i < 2; ++i) {
      const ValueDef& statistic = graph_.value(node.input(3 + i));
      if (!statistic.is_constant()) continue;
      names[i] = statistic.name;
      // Of two layers with the same statistics the second goes on from the first's.
      const auto before = next_.find(names[i]);
      if (before != next_.end()) node.inputs[3 + i] = before->second;
    }
    const ValueId y = node.output();
    const std::string shown = graph_.value(y).name;
    replace_batch_norm(graph_, id, std::move(node), true);
    const Node& made = *graph_.producer(graph_.find_value(shown));
    for (size_t i = 0; i < 2; ++i) {
      if (!names[i].empty()) next_[names[i]] = made.output(1 + i);
    }
  }

  uint64_t key_of(const std::string& name) const {
    uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    const std::array<uint32_t, 4> mixed = philox(form_.seed, hash);
    return uint64_t{mixed[0]} << 32 | mixed[1];
  }

  void dropout(NodeId id) {
    const Node node = graph_.node(id);
    const bool asked = node.input(2).valid() && !graph_.value(node.input(2)).is_constant();
    if (!form_.always && !asked && !is_true(graph_, node.input(2))) return;
    Builder b(graph_, node.name + "/", {node.name});
    const Expr x(b, node.input(0));
    std::vector<Expr> inputs = {shape_of(x)};
    if (node.input(1).valid()) inputs.emplace_back(b, node.input(1));
    Expr mask = Expr(b, form_.draw)
                    .op("DropoutMask", inputs,
                        {{"key", static_cast<int64_t>(key_of(node.name))},
                         {"dtype", static_cast<int64_t>(x.dtype())}},
                        "treadle");
    if (asked) mask = where(Expr(b, node.input(2)), mask, 1);
    std::vector<ValueId> results = {(x * mask).id()};
    if (node.output(1).valid()) results.push_back(less(0, mask).id());
    substitute(graph_, id, results);
  }

  Graph& graph_;
  const TrainingForm& form_;
  std::map<std::string, ValueId> next_;
};

void remove_dropout(Graph& graph, NodeId id) {
  Node node = graph.node(id);
  const bool mask_read = node.output(1).valid() && (!graph.value(node.output(1)).users.empty() ||
                                                    graph.is_output(node.output(1)));
  if (!mask_read) return substitute(graph, id, {node.input(0)});
  node.inputs.resize(1);
  substitute(graph, id, Builder(graph).add(std::move(node)));
}

}  // namespace

std::map<std::string, ValueId> put_in_training_form(Graph& graph, const TrainingForm& form) {
  return Training(graph, form).run();
}

void put_in_inference_form(Graph& graph) {
  for (NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    if (node.is("Dropout")) {
      remove_dropout(graph, id);
    } else if (node.is("BatchNormalization") && node.attributes.i("training_mode", 0) != 0) {
      replace_batch_norm(graph, id, graph.node(id), false);
    }
  }
}

}  // namespace treadle
