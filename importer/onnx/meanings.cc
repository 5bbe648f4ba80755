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

namespace {

// The type of one element of a batch.
Type element_of(Type batch) {
  TREADLE_CHECK(!batch.shape || !batch.shape->empty(), kInvalidModel,
                "Scan of opset 8 has a scalar where a batch is expected");
  if (batch.shape) batch.shape->erase(batch.shape->begin());
  return batch;
}

// Outer values as inputs of `graph`, for a body within it; appended to `captures`.
std::vector<ValueId> passed_on(Builder& outer, const std::vector<ValueId>& values, Graph& graph,
                               std::vector<ValueId>& captures) {
  std::vector<ValueId> inputs;
  for (ValueId v : values) {
    captures.push_back(v);
    inputs.push_back(graph.add_input(outer.graph().value(v).name, outer.type(v)));
  }
  return inputs;
}

// Adds a Scan of the graph's values; its outputs.
std::vector<ValueId> add_scan(Graph& graph, Node scan, size_t outputs) {
  scan.op = find_op("Scan");
  TREADLE_CHECK(scan.op != nullptr, kUnsupported, "operator Scan is not known");
  for (size_t i = 0; i < outputs; ++i)
    scan.outputs.push_back(graph.add_value(cat(scan.name, "_out")));
  std::vector<ValueId> values = scan.outputs;
  const std::vector<Known> known = infer_alone(graph, scan);
  graph.add_node(std::move(scan));
  for (size_t i = 0; i < outputs; ++i) graph.value(values[i]).type = known[i].type;
  return values;
}

}  // namespace

// Scan of opset 8 ran over a batch: it becomes a Scan of its elements, in whose body lies what is a
// Scan today. Where sequence_lens ends an element early, what is not reached of the outputs is 0.
void scan_of_batch(Upgrade& u) {
  TREADLE_CHECK(u.node.inputs.size() > 1 && u.node.subgraphs.size() == 1, kInvalidModel,
                "Scan of opset 8 without inputs or body");
  const bool limited = u.node.input(0).valid();
  const int64_t scanned = u.attributes().i("num_scan_inputs", 0);
  const auto count = static_cast<int64_t>(u.node.inputs.size()) - 1;
  TREADLE_CHECK(scanned > 0 && scanned <= count, kInvalidModel, "num_scan_inputs is ", scanned,
                " of ", count, " inputs");
  if (!limited) u.node.inputs.erase(u.node.inputs.begin());
  Subgraph outer{"body", std::make_shared<Graph>(), {}};
  Builder body(*outer.graph);
  Node scan;
  scan.name = u.node.name;
  for (size_t i = 0; i < u.node.inputs.size(); ++i) {
    TREADLE_CHECK(u.node.input(i).valid(), kInvalidModel, "Scan without input ", i);
    scan.inputs.push_back(outer.graph->add_input(cat("element", i), element_of(u.type(i))));
  }
  scan.subgraphs = std::move(u.node.subgraphs);
  scan.subgraphs[0].captures =
      passed_on(u.builder, scan.subgraphs[0].captures, *outer.graph, outer.captures);
  scan.attributes.set("num_scan_inputs", scanned);
  if (u.attributes().has("directions"))
    scan.attributes.set("scan_input_directions", u.attributes().ints("directions"));

  const ValueId zero = body.ints({0});
  ValueId padding;
  if (limited) {
    const ValueId length = body.op("Unsqueeze", {scan.inputs[0], zero});
    scan.inputs.erase(scan.inputs.begin());
    const auto steps = [&](ValueId x) {
      return body.op("Shape", {x}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
    };
    const ValueId all = steps(scan.inputs.back());
    for (auto i = static_cast<size_t>(count - scanned); i < scan.inputs.size(); ++i)
      scan.inputs[i] = body.op("Slice", {scan.inputs[i], zero, length, zero});
    const ValueId missing = body.op("Sub", {all, steps(scan.inputs.back())});
    padding = body.op("Concat", {zero, missing}, {{"axis", int64_t{0}}});
  }
  std::vector<ValueId> results = add_scan(*outer.graph, std::move(scan), u.node.outputs);
  for (size_t i = 0; i < results.size(); ++i) {
    if (limited && static_cast<int64_t>(i) >= count - scanned)
      results[i] = body.op("Pad", {results[i], padding, ValueId{}, zero});
    outer.graph->add_output(cat("result", i), results[i]);
  }
  u.node.attributes = {};
  u.attributes().set("num_scan_inputs", static_cast<int64_t>(u.node.inputs.size()));
  u.node.subgraphs = {std::move(outer)};
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
