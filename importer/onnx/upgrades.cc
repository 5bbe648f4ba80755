#include "importer/onnx/upgrades.h"

#include "importer/onnx/meanings.h"
#include "importer/onnx/proto.h"
#include "importer/onnx/words.h"

namespace treadle::onnx {
namespace {

// ---- Attributes that became inputs

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

// ---- Defaults and spellings that changed

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

// ---- Broadcasting before opset 7

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

// ---- The table

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
