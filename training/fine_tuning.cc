#include "training/fine_tuning.h"

#include <algorithm>
#include <set>

#include "graph/builder.h"
#include "training/initializers.h"

namespace treadle {
namespace {

constexpr const char* kLoraA = ".lora_a";
constexpr const char* kLoraB = ".lora_b";

// Types after a change, from the inputs on.
void infer_again(Graph& graph) {
  const std::vector<Known> known = infer(graph);
  for (const NodeId id : graph.topological_order()) {
    for (const ValueId v : graph.node(id).outputs) {
      if (v.valid()) graph.value(v).type = known[v.index].type;
    }
  }
}

bool is_weight(const Graph& graph, ValueId v) {
  return v.valid() && graph.value(v).constant.dtype() == DType::kFloat &&
         graph.value(v).constant.rank() >= 1;
}

bool has_weights(const Graph& graph, const Node& node) {
  return std::ranges::any_of(node.inputs, [&](ValueId v) { return is_weight(graph, v); });
}

bool is_layer(const Graph& graph, const Node& node) {
  return (node.is("Gemm") || node.is("MatMul") || node.is("Conv")) &&
         is_weight(graph, node.input(1));
}

// What may stand between the last layer and the output.
bool may_follow(const Graph& graph, const Node& node) {
  const bool bias =
      node.is("Add") && (is_weight(graph, node.input(0)) || is_weight(graph, node.input(1)));
  return bias || node.is("Softmax") || node.is("Flatten") || node.is("Reshape") ||
         node.is("Squeeze") || node.is("Identity");
}

// Nodes from the first output back to the last layer, which is the last of them.
std::vector<NodeId> tail_of(const Graph& graph) {
  std::vector<NodeId> tail;
  TREADLE_CHECK(!graph.outputs().empty(), kUnsupported, "the model has no output");
  ValueId at = graph.outputs()[0].value;
  for (;;) {
    const NodeId id = graph.value(at).producer;
    TREADLE_CHECK(id.valid(), kUnsupported, "no layer lies before output '",
                  graph.outputs()[0].name, "'");
    const Node& node = graph.node(id);
    tail.push_back(id);
    if (is_layer(graph, node)) return tail;
    TREADLE_CHECK(may_follow(graph, node), kUnsupported,
                  "the last layer cannot be replaced: ", describe(node),
                  " lies between it and output '", graph.outputs()[0].name, "'");
    const bool swapped = node.is("Add") && is_weight(graph, node.input(0));
    at = node.input(swapped ? 1 : 0);
  }
}

Tensor fresh(const Dims& dims, const char* kind, bool in_first, uint64_t seed,
             const std::string& name) {
  InitializerOptions options;
  options.kind = kind;
  options.in_first = in_first;
  return initial_values(options, DType::kFloat, dims, seed, name);
}

// Under the old name, where the old constant has no other use.
void replace_constant(Graph& graph, NodeId node, size_t input, const Tensor& tensor) {
  const ValueId old = graph.node(node).input(input);
  if (graph.value(old).users.size() == 1) {
    graph.set_constant(old, tensor);
    graph.value(old).type = Type::tensor(tensor.dtype(), symbolic(tensor.dims()));
    return;
  }
  const std::string name = graph.value(old).name;
  graph.set_input(node, input, graph.add_constant(name, tensor));
}

void replace_layer(Graph& graph, NodeId id, int64_t classes, uint64_t seed,
                   std::vector<std::string>& names) {
  const Node& node = graph.node(id);
  const ValueDef weight = graph.value(node.input(1));
  Dims dims = weight.constant.dims();
  const bool out_first = node.is("Conv") || node.attributes.i("transB", 0) != 0;
  TREADLE_CHECK(node.is("Conv") ? node.attributes.i("group", 1) == 1 : dims.size() == 2,
                kUnsupported, "the weights of ", describe(node), " have shape ", shape_text(dims));
  dims[out_first ? 0 : 1] = classes;
  const bool bias = is_weight(graph, node.input(2));
  replace_constant(graph, id, 1, fresh(dims, "xavier", !out_first, seed, weight.name));
  if (bias) replace_constant(graph, id, 2, Tensor::zeros(DType::kFloat, {classes}));
  names.push_back(graph.value(graph.node(id).input(1)).name);
  if (bias) names.push_back(graph.value(graph.node(id).input(2)).name);
}

// What behind the layer holds the old number of classes.
void adapt(Graph& graph, NodeId id, int64_t old, int64_t classes, std::vector<std::string>& names) {
  const Node& node = graph.node(id);
  if (node.is("Softmax")) {
    graph.replace_uses(node.output(), node.input(0));
    graph.remove_node(id);
  } else if (node.is("Add")) {
    const size_t side = is_weight(graph, node.input(0)) ? 0 : 1;
    Dims dims = graph.value(node.input(side)).constant.dims();
    std::ranges::replace(dims, old, classes);
    replace_constant(graph, id, side, Tensor::zeros(DType::kFloat, dims));
    names.push_back(graph.value(graph.node(id).input(side)).name);
  } else if (node.is("Reshape") && graph.value(node.input(1)).is_constant()) {
    std::vector<int64_t> shape = graph.value(node.input(1)).constant.to_ints();
    std::ranges::replace(shape, old, classes);
    const auto size = static_cast<int64_t>(shape.size());
    replace_constant(graph, id, 1, Tensor::of<int64_t>({size}, shape));
  }
}

// The matrices that Gemm and MatMul read, each once.
std::vector<ValueId> matrices(const Graph& graph) {
  std::vector<ValueId> found;
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    const ValueId w = node.input(1);
    const bool reads = (node.is("Gemm") || node.is("MatMul")) && is_weight(graph, w) &&
                       graph.value(w).constant.rank() == 2;
    if (reads && std::ranges::find(found, w) == found.end()) found.push_back(w);
  }
  return found;
}

// w + a·b
Tensor merged(const Tensor& w, const Tensor& a, const Tensor& b) {
  Tensor out = w.clone();
  const auto x = a.data<float>(), y = b.data<float>();
  const auto to = out.data<float>();
  const auto columns = static_cast<size_t>(b.dim(1)), rank = static_cast<size_t>(b.dim(0));
  for (size_t i = 0; i < to.size(); ++i) {
    double sum = to[i];
    for (size_t k = 0; k < rank; ++k)
      sum += double{x[i / columns * rank + k]} * y[k * columns + i % columns];
    to[i] = static_cast<float>(sum);
  }
  return out;
}

}  // namespace

void free_batch(Graph& graph) {
  bool changed = false;
  for (const ValueId input : graph.inputs()) {
    std::optional<Shape>& shape = graph.value(input).type.shape;
    if (!shape || shape->empty() || !(*shape)[0].is(1)) continue;
    (*shape)[0] = Dim::symbol("N");
    changed = true;
  }
  if (changed) infer_again(graph);
}

int64_t output_classes(const Graph& graph) {
  const Type& type = graph.value(graph.outputs().at(0).value).type;
  if (!type.shape || type.shape->size() < 2) return -1;
  return (*type.shape)[1].maybe().value_or(-1);
}

std::vector<std::string> replace_head(Graph& graph, int64_t classes, uint64_t seed) {
  TREADLE_CHECK(classes >= 1, kInvalidArgument, "a head of ", classes, " classes");
  const std::vector<NodeId> tail = tail_of(graph);
  const Node& layer = graph.node(tail.back());
  const Dims& dims = graph.value(layer.input(1)).constant.dims();
  const bool out_first = layer.is("Conv") || layer.attributes.i("transB", 0) != 0;
  const int64_t old = dims.at(out_first ? 0 : 1);
  std::vector<std::string> names;
  replace_layer(graph, tail.back(), classes, seed, names);
  for (size_t i = 0; i + 1 < tail.size(); ++i) adapt(graph, tail[i], old, classes, names);
  infer_again(graph);
  return names;
}

std::vector<std::string> last_parameters(const Graph& graph, int64_t count) {
  std::vector<NodeId> order = graph.topological_order();
  std::ranges::reverse(order);
  std::vector<std::string> names;
  for (const NodeId id : order) {
    if (count <= 0) break;
    if (!has_weights(graph, graph.node(id))) continue;
    --count;
    for (const ValueId v : graph.node(id).inputs) {
      if (is_weight(graph, v)) names.push_back(graph.value(v).name);
    }
  }
  return names;
}

std::vector<std::string> add_lora(Graph& graph, int64_t rank, uint64_t seed) {
  TREADLE_CHECK(rank >= 1, kInvalidArgument, "LoRA of rank ", rank);
  std::vector<std::string> names;
  for (const ValueId w : matrices(graph)) {
    const ValueDef weight = graph.value(w);
    const std::vector<NodeId> users = weight.users;
    const Dims dims = weight.constant.dims();
    Builder builder(graph, weight.name + ".lora.");
    const std::string a = weight.name + kLoraA, b = weight.name + kLoraB;
    const ValueId low = graph.add_constant(a, fresh({dims[0], rank}, "he", true, seed, a));
    const ValueId up = graph.add_constant(b, Tensor::zeros(DType::kFloat, {rank, dims[1]}));
    const ValueId sum = builder.op("Add", {w, builder.op("MatMul", {low, up})});
    for (const NodeId user : users) {
      for (size_t i = 0; i < graph.node(user).inputs.size(); ++i) {
        if (graph.node(user).inputs[i] == w) graph.set_input(user, i, sum);
      }
    }
    names.insert(names.end(), {graph.value(low).name, graph.value(up).name});
  }
  TREADLE_CHECK(!names.empty(), kUnsupported, "the model has no matrices for LoRA");
  return names;
}

void merge_lora(Graph& graph) {
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    if (!node.is("Add") || !is_weight(graph, node.input(0))) continue;
    const Node* product = graph.producer(node.input(1));
    if (product == nullptr || !product->is("MatMul")) continue;
    const ValueDef &a = graph.value(product->input(0)), &b = graph.value(product->input(1));
    if (!a.name.ends_with(kLoraA) || !b.name.ends_with(kLoraB)) continue;
    const ValueId w = node.input(0);
    graph.set_constant(w, merged(graph.value(w).constant, a.constant, b.constant));
    graph.replace_uses(node.output(), w);
  }
  graph.remove_dead();
}

}  // namespace treadle
