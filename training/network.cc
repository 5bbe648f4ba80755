#include "training/network.h"

#include <algorithm>

#include "graph/base/suggestion.h"
#include "training/new_models.h"
#include "training/words.h"

namespace treadle {
namespace {

constexpr int64_t kMost = int64_t{1} << 24;  // of sizes: weights of two stay countable

struct Given {
  Layers& layers;
  const std::string& name;
  ValueId x;
  const Words& words;

  int64_t size(const char* key, int64_t fallback = 0) const {
    return words.integer(key, fallback, 1, kMost);
  }
};

struct LayerKind {
  const char* name;
  const char* keys;
  int64_t rank;       // of the input; 0: any
  int64_t known_dim;  // that must be known before the run, -1 the last; 0: none
  ValueId (*build)(const Given& g);
};

ValueId build_linear(const Given& g) {
  return g.layers.linear(g.name, g.x, g.size("units"), g.words.flag("bias", true));
}

ValueId build_conv(const Given& g) {
  ConvLayer layer;
  layer.filters = g.size("filters");
  layer.kernel = g.size("kernel", 3);
  layer.stride = g.size("stride", 1);
  layer.groups = g.size("groups", 1);
  layer.dilation = g.size("dilation", 1);
  layer.pad = g.words.integer("pad", -1, -1, kMost);
  layer.bias = g.words.flag("bias", true);
  const int64_t in = g.layers.size(g.x, 1);
  TREADLE_CHECK(layer.pad >= 0 || layer.kernel % 2 == 1, kInvalidArgument, "a kernel of ",
                layer.kernel, " without 'pad': only odd ones keep the size");
  TREADLE_CHECK(in % layer.groups == 0 && layer.filters % layer.groups == 0, kInvalidArgument,
                layer.groups, " groups divide neither ", in, " channels nor ", layer.filters,
                " filters evenly");
  return g.layers.conv(g.name, g.x, layer);
}

ValueId build_conv_transpose(const Given& g) {
  ConvTransposeLayer layer;
  layer.filters = g.size("filters");
  layer.kernel = g.size("kernel", layer.kernel);
  layer.stride = g.size("stride", layer.stride);
  layer.pad = g.words.integer("pad", 0, 0, kMost);
  const int64_t more = g.words.integer("output_padding", 0, 0, layer.stride - 1);
  layer.output_padding = {more, more};
  layer.bias = g.words.flag("bias", true);
  return g.layers.conv_transpose(g.name, g.x, layer);
}

ValueId pool(const Given& g, const char* kind) {
  const int64_t kernel = g.size("kernel", 2), stride = g.size("stride", kernel);
  const int64_t pad = g.words.integer("pad", 0, 0, kMost);
  return g.layers.op(kind, {g.x},
                     {{"kernel_shape", std::vector<int64_t>{kernel, kernel}},
                      {"strides", std::vector<int64_t>{stride, stride}},
                      {"pads", std::vector<int64_t>{pad, pad, pad, pad}}});
}

ValueId build_dropout(const Given& g) {
  const double ratio = g.words.number("ratio", 0.5);
  TREADLE_CHECK(ratio >= 0 && ratio < 1, kInvalidArgument, "a ratio of ", ratio,
                ", expected 0 to below 1");
  return g.layers.dropout(g.x, ratio);
}

// Of [N, T, in], which the operator takes the other way.
ValueId build_lstm(const Given& g) {
  const ValueId by_time = g.layers.transpose(g.x, {1, 0, 2});
  return g.layers.transpose(g.layers.lstm(g.name, by_time, g.size("width")), {1, 0, 2});
}

constexpr LayerKind kLayers[] = {
    {"linear", "units bias initializer", 0, -1, build_linear},
    {"conv", "filters kernel stride pad dilation groups bias initializer", 4, 1, build_conv},
    {"conv_transpose", "filters kernel stride pad output_padding bias initializer", 4, 1,
     build_conv_transpose},
    {"batch_norm", "", 0, 1, [](const Given& g) { return g.layers.batch_norm(g.name, g.x); }},
    {"layer_norm", "", 0, -1, [](const Given& g) { return g.layers.layer_norm(g.name, g.x); }},
    {"embedding", "count width initializer", 0, 0,
     [](const Given& g) {
       return g.layers.embedding(g.name, g.x, g.size("count"), g.size("width"));
     }},
    {"lstm", "width initializer", 3, 2, build_lstm},
    {"dropout", "ratio", 0, 0, build_dropout},
    {"flatten", "", 0, 0, [](const Given& g) { return g.layers.op("Flatten", {g.x}); }},
    {"max_pool", "kernel stride pad", 4, 0, [](const Given& g) { return pool(g, "MaxPool"); }},
    {"average_pool", "kernel stride pad", 4, 0,
     [](const Given& g) { return pool(g, "AveragePool"); }},
    {"global_average_pool", "", 4, 0, [](const Given& g) { return g.layers.pooled(g.x); }},
    {"reshape", "shape", 0, 0,
     [](const Given& g) { return g.layers.reshape(g.x, g.words.integers("shape", {})); }},
};

void check_input(const LayerKind& kind, const Type& type) {
  const auto rank = static_cast<int64_t>(type.shape ? type.shape->size() : 0);
  const bool fits = kind.rank == 0 ? rank > 0 : rank == kind.rank;
  TREADLE_CHECK(type.shape && fits, kInvalidArgument, "it is given ", type.text(), ", expected ",
                kind.rank == 0 ? std::string("a batch") : cat("a tensor of rank ", kind.rank));
  if (kind.known_dim == 0) return;
  const int64_t axis = kind.known_dim < 0 ? rank - 1 : kind.known_dim;
  TREADLE_CHECK(axis > 0 && axis < rank && (*type.shape)[static_cast<size_t>(axis)].known(),
                kInvalidArgument, "it is given ", type.text(), ", whose dimension ", axis,
                " must be a number");
}

// ---- Operators of ONNX

Attribute attribute_of(const AttributeDef& def, const Words& words) {
  const std::string& key = def.name;
  if (def.kind == "i") return words.integer(key, 0, INT64_MIN, INT64_MAX);
  if (def.kind == "f") return static_cast<float>(words.number(key, 0));
  if (def.kind == "s") return words.text(key);
  if (def.kind == "is") return words.integers(key, {});
  if (def.kind == "fs") {
    const std::vector<double> all = words.numbers(key);
    return std::vector<float>(all.begin(), all.end());
  }
  fail(Code::kUnsupported, "attribute '", key, "' cannot be given in words");
}

ValueId add_operator(Layers& layers, const Op& op, std::vector<ValueId> inputs,
                     const std::string& settings) {
  std::string keys;
  for (const AttributeDef& def : op.attributes) keys += def.name + " ";
  const Words words(settings, keys);
  Attributes attributes;
  for (const AttributeDef& def : op.attributes) {
    if (words.has(def.name)) attributes.set(def.name, attribute_of(def, words));
  }
  Node node;
  node.op = &op;
  node.inputs = inputs;
  node.outputs.resize(1);
  node.attributes = attributes;
  check_against_row(node);
  return layers.op(op.kind, std::move(inputs), std::move(attributes));
}

[[noreturn]] void refuse_kind(const std::string& kind) {
  std::string list;
  for (const std::string& name : layer_kinds()) list += " " + name;
  fail(Code::kInvalidArgument, "there is no such layer",
       suggestion(kind, layer_kinds(), cat("; there are:", list, " and the operators of ONNX")));
}

}  // namespace

std::vector<std::string> layer_kinds() {
  std::vector<std::string> names;
  for (const LayerKind& kind : kLayers) names.emplace_back(kind.name);
  return names;
}

Network::Network(uint64_t seed) : layers_(graph_, seed) { graph_.name = "network"; }

Graph Network::known(const std::string& kind, const std::string& settings, uint64_t seed) {
  const Words words(settings, "classes input_shape hidden filters dropout");
  NewModelOptions o;
  o.kind = kind;
  o.classes = words.integer("classes", o.classes, 1, kMost);
  o.input_shape = words.integers("input_shape", {});
  o.hidden = words.integers("hidden", o.hidden);
  o.filters = words.integer("filters", 0, 0, kMost);
  o.dropout = words.number("dropout", o.dropout);
  o.seed = seed;
  return new_model(o);
}

ValueId Network::value(size_t number) const {
  TREADLE_CHECK(number < values_.size(), kInvalidArgument, "there is no value ", number,
                ": the network has ", values_.size());
  return values_[number];
}

void Network::refuse_output(const std::string& name) const {
  for (const GraphOutput& o : graph_.outputs()) {
    TREADLE_CHECK(o.name != name, kInvalidArgument, "there is an output '", name, "' already");
  }
}

size_t Network::add_input(const std::string& name, DType dtype, const Shape& shape) {
  TREADLE_CHECK(!name.empty() && !graph_.find_value(name).valid(), kInvalidArgument, "an input '",
                name, "': its name is empty or taken");
  refuse_output(name);
  values_.push_back(graph_.add_input(name, Type::tensor(dtype, shape)));
  return values_.size() - 1;
}

size_t Network::add_layer(const std::string& kind, const std::string& name,
                          const std::vector<size_t>& inputs, const std::string& settings) {
  try {
    TREADLE_CHECK(!name.empty() && names_.insert(name).second, kInvalidArgument,
                  "its name is empty or taken");
    TREADLE_CHECK(!inputs.empty(), kInvalidArgument, "it is given nothing");
    std::vector<ValueId> given;
    for (const size_t number : inputs) given.push_back(value(number));
    const auto* const layer = std::ranges::find(kLayers, kind, &LayerKind::name);
    if (layer == std::end(kLayers)) {
      const Op* op = find_op(kind);
      if (op == nullptr) refuse_kind(kind);
      values_.push_back(add_operator(layers_, *op, given, settings));
      return values_.size() - 1;
    }
    TREADLE_CHECK(given.size() == 1, kInvalidArgument, "it is given ", given.size(),
                  " values, expected 1");
    check_input(*layer, graph_.value(given[0]).type);
    const Words words(settings, layer->keys);
    layers_.set_initializer(words.text("initializer"));
    values_.push_back(layer->build({layers_, name, given[0], words}));
    return values_.size() - 1;
  } catch (Error& e) {
    e.add_context(cat("layer '", name, "' (", kind, ")"));
    throw;
  }
}

void Network::add_output(const std::string& name, size_t number) {
  TREADLE_CHECK(!name.empty(), kInvalidArgument, "an output's name is empty");
  refuse_output(name);
  const ValueId v = value(number);
  for (const ValueId input : graph_.inputs()) {
    TREADLE_CHECK(input == v || graph_.value(input).name != name, kInvalidArgument, "an output '",
                  name, "': an input has this name");
  }
  graph_.add_output(name, v);
}

Graph Network::graph() const {
  TREADLE_CHECK(!graph_.outputs().empty(), kInvalidArgument, "the network has no output");
  Graph graph = graph_.clone();
  graph.remove_dead();
  verify(graph);
  return graph;
}

}  // namespace treadle
