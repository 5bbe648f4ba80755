#include "training/run/embed.h"

#include "graph/builder.h"

namespace treadle {
namespace {

// [C, 1, 1] beside an input [N, C, H, W]; a number each element has the input's own dims.
ValueId constant_beside(Builder& builder, const Type& input, const std::vector<double>& values) {
  Dims dims = {static_cast<int64_t>(values.size())};
  const Shape& shape = *input.shape;
  if (shape.size() > 1 && shape[1].is(dims[0])) dims.resize(shape.size() - 1, 1);
  const std::vector<float> floats(values.begin(), values.end());
  return builder.constant(Tensor::of<float>(dims, floats));
}

}  // namespace

void embed_preprocess(Graph& graph) {
  const Preprocess p = read_metadata(graph.metadata);
  TREADLE_CHECK(!p.empty(), kInvalidArgument, "the model has no metadata treadle.preprocess");
  const ValueId input = graph.inputs().at(0);
  const Type type = graph.value(input).type;
  TREADLE_CHECK(type.dtype == DType::kFloat && type.shape && type.shape->size() >= 2,
                kInvalidArgument, "input '", graph.value(input).name, "' is ", type.text(),
                ", expected floats with a batch");
  Builder builder(graph, "preprocess.");
  const std::vector<NodeId> users = graph.value(input).users;
  const ValueId scaled = builder.op("Mul", {input, builder.scalar(DType::kFloat, p.scale)});
  const ValueId centred = builder.op("Sub", {scaled, constant_beside(builder, type, p.mean)});
  const ValueId ready = builder.op("Div", {centred, constant_beside(builder, type, p.deviation)});
  for (const NodeId user : users) {
    for (size_t i = 0; i < graph.node(user).inputs.size(); ++i) {
      if (graph.node(user).inputs[i] == input) graph.set_input(user, i, ready);
    }
  }
  graph.metadata["treadle.preprocess"] = "scale=1 mean=0 std=1";
}

}  // namespace treadle
