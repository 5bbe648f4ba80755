// Computes before the run what is known before it: nodes of constants by their reference kernels,
// and small integers that follow from shapes by inference.
#include <algorithm>

#include "optimizer/derived.h"
#include "optimizer/passes.h"

namespace treadle {
namespace {

constexpr std::string_view kViews[] = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"};
// Where the shapes fit, nothing makes them fail.
constexpr std::string_view kConversions[] = {"Cast", "DequantizeLinear", "Transpose"};

bool is_any(const Node& node, std::span<const std::string_view> kinds) {
  return std::ranges::any_of(kinds, [&](std::string_view kind) { return node.is(kind); });
}

int64_t bytes_of(const Type& type) {
  if (!type.is_tensor() || !type.shape) return 0;
  const auto dims = concrete(*type.shape);
  return dims ? byte_size(type.dtype, element_count(*dims)) : 0;
}

// Bytes of constants that only this node reads.
int64_t freed_bytes(const Graph& graph, const Node& node) {
  int64_t bytes = 0;
  for (ValueId v : node.inputs) {
    if (v.valid() && graph.has_one_use(v))
      bytes += static_cast<int64_t>(graph.value(v).constant.bytes());
  }
  return bytes;
}

class Folder {
 public:
  explicit Folder(Pass& pass) : pass_(pass), graph_(pass.graph) {}

  void run() {
    known_ = learn_types(graph_);
    for (NodeId id : graph_.topological_order()) {
      if (pass_.stopped()) return;
      if (graph_.alive(id)) fold(id);
    }
  }

  void run_dequantized() {
    for (NodeId id : graph_.topological_order()) {
      if (pass_.stopped()) return;
      if (graph_.node(id).is("DequantizeLinear") && is_of_constants(graph_.node(id))) evaluate(id);
    }
  }

 private:
  bool is_of_constants(const Node& node) const {
    return std::ranges::all_of(
        node.inputs, [&](ValueId v) { return !v.valid() || pass_.constant(v) != nullptr; });
  }

  void fold(NodeId id) {
    const Node& node = graph_.node(id);
    if (node.op->has(kRandom) || feeds_quantized(node)) return;
    const bool of_constants = is_of_constants(node);
    if (of_constants && node.is("Identity")) {
      pass_.replace(id, node.output(), node.input(0));
    } else if (inferred(node)) {
      replace(id, [&](size_t i) { return known_[graph_.node(id).outputs[i].index].constant; });
    } else if (of_constants && foldable(id)) {
      evaluate(id);
    } else if (node.is("Reshape")) {
      fix_reshape(id);
    }
  }

  bool inferred(const Node& node) const {
    return std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
      return !v.valid() || (v.index < known_.size() && known_[v.index].constant.defined());
    });
  }

  bool foldable(NodeId id) {
    const Node& node = graph_.node(id);
    if (!node.subgraphs.empty() || node.outputs.empty()) return false;
    int64_t bytes = 0;
    for (ValueId v : node.outputs) {
      if (v.valid()) bytes = checked_add(bytes, bytes_of(pass_.type(v)));
    }
    return within_budget(id, bytes);
  }

  // Unpacking a weight that is then needed no more (4 bits to 32) is bounded by the file's size.
  bool within_budget(NodeId id, int64_t bytes) {
    const int64_t freed = freed_bytes(graph_, graph_.node(id));
    const int64_t growth = bytes - freed;
    if (growth <= pass_.options.fold_growth || growth / 7 <= freed) return true;
    pass_.refuse(id, cat("folding would add ", growth, " bytes of constants"));
    return false;
  }

  // A weight of a quantized operator: its readers become integer kernels with it.
  bool feeds_quantized(const Node& node) const {
    if (!node.is("DequantizeLinear")) return false;
    const auto& users = graph_.value(node.output()).users;
    return std::any_of(users.begin(), users.end(), [&](NodeId user) {
      const Node& reader = graph_.node(user);
      const Node* data = graph_.producer(reader.input(0));
      const bool linear = reader.is("Conv") || reader.is("MatMul") || reader.is("Gemm");
      return linear && data != nullptr && data->is("DequantizeLinear");
    });
  }

  // A weight that is not read yet becomes another one that is not made yet. Whether it is done.
  bool derive(NodeId id) {
    const Node& node = graph_.node(id);
    const Type& type = pass_.type(node.output());
    const bool of_weights = std::ranges::any_of(
        node.inputs, [&](ValueId v) { return v.valid() && is_deferred(graph_.value(v).constant); });
    const auto dims =
        of_weights && type.is_tensor() && type.shape ? concrete(*type.shape) : std::nullopt;
    if (!dims || type.dtype == DType::kString || node.outputs.size() != 1) return false;
    const bool is_view = is_any(node, kViews);
    if (!is_view && !is_any(node, kConversions)) return false;
    if (!within_budget(id, bytes_of(type))) return true;
    std::vector<Tensor> sources;
    for (ValueId v : node.inputs)
      sources.push_back(v.valid() ? graph_.value(v).constant : Tensor());
    Tensor result;
    if (is_view) {
      result = sources[0].reshaped(*dims);
    } else {
      result = derived(type.dtype, *dims, sources, [node](const auto& plain, Tensor& to) {
        copy_elements(evaluate_on(node, plain)[0].tensor(), to);
      });
    }
    replace(id, [&](size_t) { return result; });
    return true;
  }

  static std::vector<Value> evaluate_on(const Node& node, const std::vector<Tensor>& inputs) {
    std::vector<Value> values;
    for (const Tensor& t : inputs) values.emplace_back(t.resident());
    std::vector<const Value*> given;
    for (const Tensor& t : inputs) given.push_back(t.defined() ? &values[given.size()] : nullptr);
    return evaluate_node(node, given);
  }

  void evaluate(NodeId id) {
    if (derive(id)) return;
    const Node& node = graph_.node(id);
    std::vector<Value> results;
    try {
      std::vector<Tensor> inputs;
      for (ValueId v : node.inputs)
        inputs.push_back(v.valid() ? graph_.value(v).constant : Tensor());
      results = evaluate_on(node, inputs);
    } catch (const Error& e) {
      if (e.code() == Code::kInternal || e.code() == Code::kIo) throw;
      return pass_.refuse(id, cat("cannot be computed: ", e.what()));  // the run will say it too
    }
    int64_t bytes = 0;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (!node.outputs[i].valid()) continue;
      if (i >= results.size() || !results[i].is_tensor()) return;
      bytes += static_cast<int64_t>(results[i].tensor().bytes());
    }
    if (within_budget(id, bytes)) {
      replace(id, [&](size_t i) { return results[i].tensor(); });
    }
  }

  template <class F>
  void replace(NodeId id, F&& constant) {
    Patch patch;
    for (size_t i = 0; i < graph_.node(id).outputs.size(); ++i) {
      const ValueId from = graph_.node(id).outputs[i];
      if (from.valid()) patch.replace(from, patch.constant(constant(i)));
    }
    pass_.apply(id, std::move(patch));
  }

  // A target shape that is computed at run time, but whose result is known but for one dimension.
  void fix_reshape(NodeId id) {
    const Node& node = graph_.node(id);
    if (pass_.constant(node.input(1)) != nullptr || graph_.producer(node.input(1)) == nullptr)
      return;
    const Type& from = pass_.type(node.input(0));
    const Type& to = pass_.type(node.output());
    if (!from.shape || !to.shape) return;
    const auto spec = reshape_spec(*from.shape, *to.shape);
    if (!spec) return;
    Patch patch;
    patch.replace(node.output(), patch.op("Reshape", {node.input(0), patch.ints(*spec)}));
    pass_.apply(id, std::move(patch));
  }

  Pass& pass_;
  Graph& graph_;
  std::vector<Known> known_;
};

}  // namespace

void fold_constants(Pass& pass) { Folder(pass).run(); }

void fold_dequantized(Pass& pass) { Folder(pass).run_dequantized(); }

}  // namespace treadle
