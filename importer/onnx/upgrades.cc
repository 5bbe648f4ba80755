#include "importer/onnx/upgrades.h"

#include <algorithm>
#include <optional>

#include "importer/onnx/proto.h"
#include "importer/onnx/words.h"

namespace treadle::onnx {
namespace {

struct Upgrade {
  OldNode& node;
  Builder& builder;
  Attributes& attributes() { return node.attributes; }
  const Type& type(size_t input) const { return builder.type(node.input(input)); }
  std::optional<int64_t> rank(size_t input) const {
    if (!node.input(input).valid() || !type(input).shape) return std::nullopt;
    return static_cast<int64_t>(type(input).shape->size());
  }
  const Tensor* constant(size_t input) const {
    if (!node.input(input).valid()) return nullptr;
    const ValueDef& def = builder.graph().value(node.input(input));
    return def.is_constant() ? &def.constant : nullptr;
  }
  DType dtype(size_t input) const {
    const DType d = type(input).dtype;
    TREADLE_CHECK(d != DType::kUndefined, kUnsupported, "the element type of its input ", input,
                  " must be known to lift it to the current opset");
    return d;
  }
  void set_input(size_t i, ValueId v) {
    if (node.inputs.size() <= i) node.inputs.resize(i + 1);
    node.inputs[i] = v;
  }
  void set_default(std::string_view name, Attribute value) {
    if (!attributes().has(name)) attributes().set(name, std::move(value));
  }
};

// ---- Attributes that became inputs ----

void ints_to_input(Upgrade& u, std::string_view name, size_t input) {
  if (!u.attributes().has(name)) return;
  u.set_input(input, u.builder.ints(u.attributes().ints(name)));
  u.attributes().erase(name);
}

void scalar_to_input(Upgrade& u, std::string_view name, size_t input, DType dtype) {
  if (!u.attributes().has(name)) return;
  u.set_input(input, u.builder.scalar(dtype, u.attributes().f(name, 0)));
  u.attributes().erase(name);
}

void axes_to_input(Upgrade& u) { ints_to_input(u, "axes", 1); }
void shape_to_input(Upgrade& u) { ints_to_input(u, "shape", 1); }
void split_to_input(Upgrade& u) { ints_to_input(u, "split", 1); }

void slice_to_inputs(Upgrade& u) {
  ints_to_input(u, "starts", 1);
  ints_to_input(u, "ends", 2);
  ints_to_input(u, "axes", 3);
}

void pad_to_inputs(Upgrade& u) {
  ints_to_input(u, u.attributes().has("paddings") ? "paddings" : "pads", 1);
  scalar_to_input(u, "value", 2, u.dtype(0));
}

void clip_to_inputs(Upgrade& u) {
  scalar_to_input(u, "min", 1, u.dtype(0));
  scalar_to_input(u, "max", 2, u.dtype(0));
}

void dropout_to_input(Upgrade& u) {
  u.attributes().erase("is_test");
  scalar_to_input(u, "ratio", 1, DType::kFloat);
}

void topk_to_input(Upgrade& u) {
  u.set_input(1, u.builder.ints({u.attributes().i("k", 0)}));
  u.attributes().erase("k");
}

void dft_axis_to_input(Upgrade& u) {
  u.set_input(2, u.builder.scalar(DType::kInt64, static_cast<double>(u.attributes().i("axis", 1))));
  u.attributes().erase("axis");
}

void tile_to_repeats(Upgrade& u) {
  const Tensor* tiles = u.constant(1);
  const Tensor* axis = u.constant(2);
  const auto rank = u.rank(0);
  TREADLE_CHECK(
      tiles != nullptr && axis != nullptr && rank && tiles->count() == 1 && axis->count() == 1,
      kUnsupported, "Tile of opset 1 with tiles or axis that are not constant");
  std::vector<int64_t> repeats(static_cast<size_t>(*rank), 1);
  const auto at = resolve_axis(static_cast<int64_t>(axis->to_doubles()[0]), *rank);
  repeats[static_cast<size_t>(at)] = static_cast<int64_t>(tiles->to_doubles()[0]);
  u.node.inputs = {u.node.input(0), u.builder.ints(repeats)};
}

// ---- Defaults and spellings that changed ----

void drop_consumed_inputs(Upgrade& u) { u.attributes().erase("consumed_inputs"); }
void drop_output_sequence(Upgrade& u) { u.attributes().erase("output_sequence"); }
void concat_axis(Upgrade& u) { u.set_default("axis", int64_t{1}); }
void split_count(Upgrade& u) {
  if (!u.node.input(1).valid()) u.set_default("num_outputs", static_cast<int64_t>(u.node.outputs));
}
void roi_align_mode(Upgrade& u) {
  u.set_default("coordinate_transformation_mode", std::string("output_half_pixel"));
}
void scatter_kind(Upgrade& u) { u.node.kind = "ScatterElements"; }

void selu_defaults(Upgrade& u) {
  u.set_default("alpha", 1.6732f);
  u.set_default("gamma", 1.0507f);
}

void direction_spelling(Upgrade& u) {
  if (u.attributes().s("direction", "") == "foward")
    u.attributes().set("direction", std::string("forward"));
}

void integer_p(Upgrade& u) {
  if (const Attribute* p = u.attributes().find("p");
      p != nullptr && std::holds_alternative<float>(*p)) {
    u.attributes().set("p", static_cast<int64_t>(std::get<float>(*p)));
  }
}

void cast_target(Upgrade& u) {
  const Attribute* to = u.attributes().find("to");
  if (to == nullptr || !std::holds_alternative<std::string>(*to)) return;
  pb::TensorProto_DataType value;
  TREADLE_CHECK(pb::TensorProto_DataType_Parse(std::get<std::string>(*to), &value), kInvalidModel,
                "attribute 'to' is '", std::get<std::string>(*to), "', which is no element type");
  u.attributes().set("to", static_cast<int64_t>(value));
}

void grid_sample_mode(Upgrade& u) {
  const std::string mode = u.attributes().s("mode", "bilinear");
  if (mode == "bilinear") u.attributes().set("mode", std::string("linear"));
  if (mode == "bicubic") u.attributes().set("mode", std::string("cubic"));
}

// ---- Broadcasting before opset 7 ----

// Appends dimensions of 1 to an input, so that its dimensions meet those of input 0 from `axis` on.
void align_to_axis(Upgrade& u, size_t input, int64_t axis) {
  const auto rank = u.rank(0);
  const auto own = u.rank(input);
  TREADLE_CHECK(rank && own, kUnsupported, "broadcasting along an axis needs inputs of known rank");
  const int64_t missing = *rank - resolve_axis(axis, *rank) - *own;
  TREADLE_CHECK(missing >= 0, kInvalidModel, "input ", input, " of rank ", *own,
                " does not fit at axis ", axis, " of rank ", *rank);
  if (missing == 0) return;
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < missing; ++i) axes.push_back(*own + i);
  u.set_input(input, u.builder.op("Unsqueeze", {u.node.input(input), u.builder.ints(axes)}));
}

void limited_broadcast(Upgrade& u) {
  if (u.attributes().i("broadcast", 0) != 0 && u.attributes().has("axis")) {
    align_to_axis(u, 1, u.attributes().i("axis", 0));
  }
  u.attributes().erase("broadcast");
  u.attributes().erase("axis");
}

void prelu_slope(Upgrade& u) {
  const auto rank = u.rank(1);
  TREADLE_CHECK(rank, kUnsupported, "PRelu below opset 7 needs a slope of known rank");
  if (*rank == 1 && !u.type(1).shape->front().is(1)) align_to_axis(u, 1, 1);
}

// ---- Changed meanings ----

// Before opset 13 the dimensions from `axis` on were taken as one.
void softmax_of_matrix(Upgrade& u) {
  const int64_t axis = u.attributes().i("axis", 1);
  const ValueId x = u.node.input(0);
  if (const auto rank = u.rank(0)) {
    const Shape& shape = *u.type(0).shape;
    const int64_t at = *rank == 0 ? 0 : resolve_axis(axis, *rank);
    const bool last = std::all_of(shape.begin() + std::min(*rank, at + 1), shape.end(),
                                  [](const Dim& d) { return d.is(1); });
    if (last && *rank > 0) return u.attributes().set("axis", at);
  }
  const ValueId shape = u.builder.op("Shape", {x});
  const ValueId matrix = u.builder.op("Flatten", {x}, {{"axis", axis}});
  const ValueId result = u.builder.op(u.node.kind, {matrix}, {{"axis", int64_t{-1}}});
  u.node.kind = "Reshape";
  u.node.attributes = {};
  u.node.inputs = {result, shape};
}

void batch_norm(Upgrade& u) {
  u.attributes().erase("is_test");
  u.attributes().erase("consumed_inputs");
  const bool per_channel = u.attributes().i("spatial", 1) != 0 || u.rank(0) == 2;
  TREADLE_CHECK(per_channel, kUnsupported, "BatchNormalization with spatial = 0");
  u.attributes().erase("spatial");
}

void batch_norm_training(Upgrade& u) {
  if (u.node.outputs <= 1) return;
  TREADLE_CHECK(u.node.outputs <= 3, kUnsupported,
                "BatchNormalization with saved_mean and saved_var (before opset 14)");
  u.attributes().set("training_mode", int64_t{1});
}

void upsample_scales(Upgrade& u) {
  if (u.attributes().has("height_scale")) {
    u.attributes().set("scales", std::vector<float>{1, 1, u.attributes().f("height_scale", 1),
                                                    u.attributes().f("width_scale", 1)});
    u.attributes().erase("height_scale");
    u.attributes().erase("width_scale");
  }
  if (!u.attributes().has("scales")) return;
  const auto scales = u.attributes().floats("scales");
  u.set_input(1,
              u.builder.constant(Tensor::of<float>({static_cast<int64_t>(scales.size())}, scales)));
  u.attributes().erase("scales");
}

// Resize of opset 10, and Upsample: (X, scales), asymmetric coordinates, rounded down.
void resize_asymmetric(Upgrade& u) {
  if (u.node.kind == "Upsample" && u.attributes().s("mode", "") == "bilinear") {
    u.attributes().set("mode", std::string("linear"));
  }
  u.node.kind = "Resize";
  u.node.inputs = {u.node.input(0), ValueId{}, u.node.input(1)};
  u.attributes().set("coordinate_transformation_mode", std::string("asymmetric"));
  u.attributes().set("nearest_mode", std::string("floor"));
}

// floor((x + 0.5) / scale) is half_pixel's coordinate rounded half up.
void resize_tf_half_pixel(Upgrade& u) {
  if (u.attributes().s("coordinate_transformation_mode", "") != "tf_half_pixel_for_nn") return;
  TREADLE_CHECK(u.attributes().s("mode", "nearest") == "nearest" &&
                    u.attributes().s("nearest_mode", "") == "floor",
                kUnsupported,
                "coordinate_transformation_mode tf_half_pixel_for_nn without nearest_mode floor");
  u.attributes().set("coordinate_transformation_mode", std::string("half_pixel"));
  u.attributes().set("nearest_mode", std::string("round_prefer_ceil"));
}

// An empty tensor meant "not given" while roi and scales were required.
void resize_empty_inputs(Upgrade& u) {
  for (size_t i = 1; i < u.node.inputs.size(); ++i) {
    const Tensor* t = u.constant(i);
    if (t != nullptr && t->count() == 0) u.node.inputs[i] = ValueId{};
  }
}

// scale and bias of each group became those of each channel.
void group_norm_per_channel(Upgrade& u) {
  const ValueId groups = u.builder.ints({u.attributes().i("num_groups", 1)});
  const ValueId shape =
      u.builder.op("Shape", {u.node.input(0)}, {{"start", int64_t{1}}, {"end", int64_t{2}}});
  const ValueId each = u.builder.op("Div", {shape, groups});
  const ValueId wide = u.builder.op("Concat", {groups, each}, {{"axis", int64_t{0}}});
  for (size_t i = 1; i <= 2; ++i) {
    const ValueId column = u.builder.op("Unsqueeze", {u.node.input(i), u.builder.ints({1})});
    const ValueId expanded = u.builder.op("Expand", {column, wide});
    u.set_input(i, u.builder.op("Reshape", {expanded, u.builder.ints({-1})}));
  }
}

std::vector<Known> infer_alone(const Graph& graph, const Node& node) {
  auto known = [&](const std::vector<ValueId>& values) {
    std::vector<Known> list(values.size());
    for (size_t i = 0; i < values.size(); ++i) list[i].type = graph.value(values[i]).type;
    return list;
  };
  const std::vector<Known> inputs = known(node.inputs);
  std::vector<const Known*> pointers;
  for (const Known& k : inputs) pointers.push_back(&k);
  std::vector<std::vector<Known>> captures;
  for (const Subgraph& s : node.subgraphs) captures.push_back(known(s.captures));
  return infer_node(node, pointers, captures);
}

// Scan of opset 8 ran over a batch, which later ones do not have.
void scan_of_batch(Upgrade& u) {
  TREADLE_CHECK(!u.node.input(0).valid(), kUnsupported, "Scan of opset 8 with sequence_lens");
  for (size_t i = 1; i < u.node.inputs.size(); ++i) {
    const Type& type = u.type(i);
    TREADLE_CHECK(type.shape && !type.shape->empty() && type.shape->front().is(1), kUnsupported,
                  "Scan of opset 8 over a batch other than 1");
  }
  std::vector<ValueId> inputs;
  for (size_t i = 1; i < u.node.inputs.size(); ++i) {
    inputs.push_back(u.builder.op("Squeeze", {u.node.inputs[i], u.builder.ints({0})}));
  }
  Attributes attributes = u.attributes();
  if (attributes.has("directions"))
    attributes.set("scan_input_directions", attributes.ints("directions"));
  attributes.erase("directions");
  Node scan;
  scan.op = find_op("Scan");
  TREADLE_CHECK(scan.op != nullptr, kUnsupported, "operator Scan is not known");
  scan.name = u.node.name;
  scan.attributes = std::move(attributes);
  scan.inputs = std::move(inputs);
  scan.subgraphs = std::move(u.node.subgraphs);
  Graph& graph = u.builder.graph();
  for (size_t i = 0; i < u.node.outputs; ++i)
    scan.outputs.push_back(graph.add_value(cat(u.node.name, "_out")));
  const std::vector<ValueId> outputs = scan.outputs;
  const std::vector<Known> known = infer_alone(graph, scan);
  graph.add_node(std::move(scan));
  for (size_t i = 0; i < outputs.size(); ++i) graph.value(outputs[i]).type = known[i].type;
  for (ValueId v : outputs)
    u.node.results.push_back(u.builder.op("Unsqueeze", {v, u.builder.ints({0})}));
}

void label_encoder_classes(Upgrade& u) {
  const auto classes = u.attributes().strings("classes_strings");
  std::vector<int64_t> indices;
  for (size_t i = 0; i < classes.size(); ++i) indices.push_back(static_cast<int64_t>(i));
  const bool from_text = u.dtype(0) == DType::kString;
  u.attributes().erase("classes_strings");
  u.attributes().set(from_text ? "keys_strings" : "values_strings", classes);
  u.attributes().set(from_text ? "values_int64s" : "keys_int64s", indices);
}

// ---- The table ----

struct Step {
  std::string_view kinds;  // separated by spaces
  int64_t below;           // applied to nodes of opsets below this one
  void (*apply)(Upgrade&);
  std::string_view domain = "";
};

constexpr int64_t kAlways = INT64_MAX;
constexpr std::string_view kMatrixSoftmax = "Softmax LogSoftmax Hardmax";
constexpr std::string_view kReduce =
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSumSquare";
constexpr std::string_view kConsumers =
    "Abs Add BatchNormalization Ceil Clip Div Dropout Elu Exp Floor HardSigmoid "
    "InstanceNormalization LeakyRelu Log "
    "Max Mean Min Mul Neg PRelu Reciprocal Relu Reshape Selu Sigmoid Sqrt Sub Sum Tanh";

constexpr Step kSteps[] = {
    {kConsumers, 6, drop_consumed_inputs},
    {"GlobalLpPool LpPool", 2, integer_p},
    {"GRU", 3, direction_spelling},
    {"Concat", 4, concat_axis},
    {"Reshape", 5, shape_to_input},
    {"Cast", 6, cast_target},
    {"Selu", 6, selu_defaults},
    {"Tile", 6, tile_to_repeats},
    {"Add Sub Mul Div Pow And Or Xor Equal Greater Less Gemm", 7, limited_broadcast},
    {"PRelu", 7, prelu_slope},
    {"GRU LSTM RNN", 7, drop_output_sequence},
    {"Scan", 9, scan_of_batch},
    {"BatchNormalization", 9, batch_norm},
    {"BatchNormalization", 14, batch_norm_training},
    {"Resize", 11, resize_asymmetric},
    {"Resize", 13, resize_tf_half_pixel},
    {"Upsample", 9, upsample_scales},
    {"Upsample", kAlways, resize_asymmetric},
    {"Slice", 10, slice_to_inputs},
    {"TopK", 10, topk_to_input},
    {"Resize", kAlways, resize_empty_inputs},
    {"Clip", 11, clip_to_inputs},
    {"Pad", 11, pad_to_inputs},
    {"Scatter", kAlways, scatter_kind},
    {"Dropout", 12, dropout_to_input},
    {kMatrixSoftmax, 13, softmax_of_matrix},
    {"Squeeze Unsqueeze ReduceSum", 13, axes_to_input},
    {"Split", 13, split_to_input},
    {"RoiAlign", 16, roi_align_mode},
    {kReduce, 18, axes_to_input},
    {"Split", 18, split_count},
    {"DFT", 20, dft_axis_to_input},
    {"GridSample", 20, grid_sample_mode},
    {"GroupNormalization", 21, group_norm_per_channel},
    {"LabelEncoder", 2, label_encoder_classes, "ai.onnx.ml"},
};

}  // namespace

void upgrade(OldNode& node, int64_t opset, Builder& builder) {
  Upgrade u{node, builder};
  for (const Step& step : kSteps) {
    if (opset < step.below && step.domain == node.domain && has_word(step.kinds, node.kind))
      step.apply(u);
  }
}

std::string_view current_kind(std::string_view kind, std::string_view domain) {
  if (!domain.empty()) return kind;
  if (kind == "Upsample") return "Resize";
  if (kind == "Scatter") return "ScatterElements";
  return kind;
}

}  // namespace treadle::onnx
