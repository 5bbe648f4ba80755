// Normalizations that onnxruntime's optimizer makes, as graphs of standard ones. Some of them are
// in domain ai.onnx, which does not define them.
#include "graph/ops/families.h"
#include "graph/ops/microsoft.h"

namespace treadle {
namespace {

using Values = std::vector<ValueId>;

constexpr float kSkipEpsilon = 1e-12F;

Attributes norm_attributes(const Node& n, float epsilon) {
  return {{"axis", n.attributes.i("axis", -1)}, {"epsilon", n.attributes.f("epsilon", epsilon)}};
}

DType stash_dtype(const Attributes& a) {
  const auto stash = static_cast<DType>(a.i("stash_type", 1));
  TREADLE_CHECK(kFloats.has(stash), kInvalidModel, "attribute 'stash_type' is ",
                a.i("stash_type", 1), ", expected a floating type");
  return stash;
}

// 1 / sqrt(mean(x²) + epsilon) over the last axes.
ValueId inverse_rms(Builder& b, ValueId x, const Attributes& a) {
  const DType dtype = b.type(x).dtype == DType::kDouble ? DType::kDouble : DType::kFloat;
  const auto rank = static_cast<int64_t>(known_rank(b, x));
  std::vector<int64_t> axes;
  for (int64_t d = resolve_axis(a.i("axis", -1), rank); d < rank; ++d) axes.push_back(d);
  const ValueId wide = cast(b, x, dtype);
  const ValueId mean = b.op("ReduceMean", {b.op("Mul", {wide, wide}), b.ints(axes)});
  const ValueId epsilon = b.scalar(dtype, static_cast<double>(a.f("epsilon", 1e-5F)));
  return b.op("Reciprocal", {b.op("Sqrt", {b.op("Add", {mean, epsilon})})});
}

Values layer_norm(Builder& b, const Node& n) {
  Attributes a = norm_attributes(n, 1e-5F);
  a.set("stash_type", n.attributes.i("stash_type", 1));
  return b.add("LayerNormalization", {n.input(0), n.input(1), n.input(2)}, a, 3);
}

Values simplified_layer_norm(Builder& b, const Node& n) {
  const Attributes a = norm_attributes(n, 1e-5F);
  return {b.op("RMSNormalization", {n.input(0), n.input(1)}, a),
          cast(b, inverse_rms(b, n.input(0), a), stash_dtype(n.attributes))};
}

// Statistics have one element for all that is normalized together.
void infer_norm(InferContext& c) {
  const DType statistics = stash_dtype(c.attributes());
  for (size_t i = 1; i < c.output_count(); ++i) c.set_dtype(i, statistics);
  Shape shape = c.shape(0);
  c.set_shape(0, shape);
  const auto axis = static_cast<size_t>(resolve_axis(c.attributes().i("axis", -1), c.rank(0)));
  for (size_t d = axis; d < shape.size(); ++d) shape[d] = 1;
  for (size_t i = 1; i < c.output_count(); ++i) c.set_shape(i, shape);
}

// ---- Of a sum

ValueId skip_sum(Builder& b, const Node& n, ValueId bias) {
  const ValueId sum = b.op("Add", {n.input(0), n.input(1)});
  return bias.valid() ? b.op("Add", {sum, bias}) : sum;
}

Values skip_layer_norm(Builder& b, const Node& n) {
  const ValueId sum = skip_sum(b, n, n.input(4));
  Values outputs = b.add("LayerNormalization", {sum, n.input(2), n.input(3)},
                         norm_attributes(n, kSkipEpsilon), 3);
  outputs.push_back(sum);
  return outputs;
}

Values skip_simplified_layer_norm(Builder& b, const Node& n) {
  const ValueId sum = skip_sum(b, n, n.input(3));
  const Attributes a = norm_attributes(n, kSkipEpsilon);
  const ValueId wide = cast(b, sum, DType::kFloat);
  return {b.op("RMSNormalization", {sum, n.input(2)}, a), b.op("ReduceMean", {wide, b.ints({-1})}),
          inverse_rms(b, sum, a), sum};
}

void infer_skip(InferContext& c) {
  Shape statistics = c.shape(0);
  TREADLE_CHECK(!statistics.empty(), kInvalidModel, "expected at least a vector, got a scalar");
  statistics.back() = 1;
  c.set_shape(0, c.shape(0));
  c.set_shape(1, statistics);
  c.set_shape(2, statistics);
  c.set_shape(3, c.shape(0));
}

// ---- EmbedLayerNormalization

enum EmbedInput : size_t {
  kIds,
  kSegmentIds,
  kWord,
  kPosition,
  kSegment,
  kGamma,
  kBeta,
  kMask,
  kPositionIds
};

Values embed_layer_norm(Builder& b, const Node& n) {
  const ValueId ids = n.input(kIds);
  const ValueId positions =
      n.input(kPositionIds).valid() ? n.input(kPositionIds) : indices_below(b, size_of(b, ids, 1));
  ValueId sum = b.op("Add", {b.op("Gather", {n.input(kWord), ids}),
                             b.op("Gather", {n.input(kPosition), positions})});
  if (n.input(kSegmentIds).valid() && n.input(kSegment).valid()) {
    sum = b.op("Add", {sum, b.op("Gather", {n.input(kSegment), n.input(kSegmentIds)})});
  }
  const ValueId y = b.op("LayerNormalization", {sum, n.input(kGamma), n.input(kBeta)},
                         norm_attributes(n, kSkipEpsilon));
  // How many ids of each row the mask lets through; 0 without a mask.
  const DType dtype = b.type(ids).dtype;
  const ValueId chosen = n.input(kMask).valid()
                             ? cast(b, b.op("Equal", {n.input(kMask), b.scalar(dtype, 1)}), dtype)
                             : b.op("Mul", {ids, b.scalar(dtype, 0)});
  const ValueId counts = b.op("ReduceSum", {chosen, b.ints({1})}, {{"keepdims", int64_t{0}}});
  return {y, counts, sum};
}

void infer_embed(InferContext& c) {
  TREADLE_CHECK(c.rank(kIds) == 2 && c.rank(kWord) == 2, kInvalidModel, "input_ids have shape ",
                shape_text(c.shape(kIds)), " and word_embedding ", shape_text(c.shape(kWord)),
                ", expected rank 2");
  const Shape embedded = {c.shape(kIds)[0], c.shape(kIds)[1], c.shape(kWord)[1]};
  c.set_shape(0, embedded);
  c.set_shape(1, {c.shape(kIds)[0]});
  c.set_shape(2, embedded);
}

constexpr const char* kNormAttributes = "axis:i=-1 epsilon:f=1e-05 stash_type:i=1";

constexpr OpDef simplified(const char* domain) {
  return {.kind = "SimplifiedLayerNormalization",
          .inputs = "X:T scale:V",
          .outputs = "Y:V inv_std_var?:any",
          .types = "T=floats V=floats",
          .attributes = kNormAttributes,
          .infer = infer_norm,
          .decompose = simplified_layer_norm,
          .domain = domain};
}

constexpr OpDef kRows[] = {
    simplified(""),
    simplified("com.microsoft"),
    {.kind = "LayerNormalization",
     .inputs = "X:T Scale:T B?:T",
     .outputs = "Y:T Mean?:any InvStdDev?:any",
     .types = "T=floats",
     .attributes = kNormAttributes,
     .infer = infer_norm,
     .decompose = layer_norm,
     .domain = "com.microsoft"},
    {.kind = "SkipLayerNormalization",
     .inputs = "input:T skip:T gamma:T beta?:T bias?:T",
     .outputs = "output:T mean?:float inv_std_var?:float input_skip_bias_sum?:T",
     .types = "T=floats",
     .attributes = "epsilon:f=1e-12",
     .infer = infer_skip,
     .decompose = skip_layer_norm,
     .domain = "com.microsoft"},
    {.kind = "SkipSimplifiedLayerNormalization",
     .inputs = "input:T skip:T gamma:T bias?:T",
     .outputs = "output:T mean?:float inv_std_var?:float input_skip_bias_sum?:T",
     .types = "T=floats",
     .attributes = "epsilon:f=1e-12",
     .infer = infer_skip,
     .decompose = skip_simplified_layer_norm,
     .domain = "com.microsoft"},
    {.kind = "EmbedLayerNormalization",
     .inputs = "input_ids:T1 segment_ids?:T1 word_embedding:T position_embedding:T "
               "segment_embedding?:T gamma:T beta:T mask?:T1 position_ids?:T1",
     .outputs = "output:T mask_index?:T1 embedding_sum?:T",
     .types = "T=floats T1=int32,int64",
     .attributes = "epsilon:f=1e-12 mask_index_type:i",
     .infer = infer_embed,
     .decompose = embed_layer_norm,
     .domain = "com.microsoft"},
};

}  // namespace

std::span<const OpDef> microsoft_norm_ops() { return kRows; }

}  // namespace treadle
