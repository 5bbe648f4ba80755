#include "importer/onnx/meanings.h"

#include <algorithm>

namespace treadle::onnx {
namespace {

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

}  // namespace

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
  u.attributes().set("allowzero", int64_t{1});  // the sizes are all meant
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

}  // namespace treadle::onnx
