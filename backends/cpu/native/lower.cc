#include "backends/cpu/native/lower.h"

#include <cmath>
#include <limits>

#include "backends/cpu/native/rules.h"

namespace treadle::cpu {
namespace {

using Values = std::vector<TapeValue>;
using B = TapeBuilder;

TapeValue absent() { return B::number(std::numeric_limits<float>::quiet_NaN()); }

float scalar_value(const Tensor& t) {
  return dispatch(t.dtype(), Types<float, bool, int8_t, uint8_t>{},
                  [&]<class T>() { return static_cast<float>(t.data<T>()[0]); });
}

bool is_readable(DType dtype) { return is_tape_dtype(dtype) || is_tape_byte(dtype); }

// A constant of one element is a number, another one a source; nothing where the dtype is not
// allowed.
std::optional<TapeValue> constant_value(B& b, const Tensor& t) {
  if (!is_readable(t.dtype())) return std::nullopt;
  if (t.count() == 1) return B::number(scalar_value(t));
  return b.source({.constant = t, .dtype = t.dtype()});
}

std::optional<TapeValue> input_value(B& b, const NodeSpec& spec, size_t i) {
  if (const Tensor* t = spec.constant(i)) return constant_value(b, *t);
  if (!is_readable(spec.inputs[i].dtype)) return std::nullopt;
  return b.source({.input = i, .constant = {}, .dtype = spec.inputs[i].dtype});
}

// One scale and one zero point for all; nothing where they are not constants.
std::optional<TapeInstr> scaling(const Values& in) {
  if (!in[1].known || (in.size() > 2 && !in[2].known)) return std::nullopt;
  const float zero = in.size() > 2 && !std::isnan(in[2].number) ? in[2].number : 0;
  return TapeInstr{.p = in[1].number, .q = zero};
}

// Dtypes of the node's inputs (kUndefined where absent) and output.
struct NodeTypes {
  std::vector<DType> inputs;
  DType output = DType::kUndefined;
};

std::optional<TapeValue> quantize(B& b, const Node& node, const Values& in,
                                  const NodeTypes& types) {
  const auto precision = static_cast<DType>(node.attributes.i("precision", 0));
  const bool in_floats = precision == DType::kUndefined || precision == DType::kFloat;
  std::optional<TapeInstr> instr = scaling(in);
  if (!instr || !in_floats || types.inputs[0] != DType::kFloat ||
      types.inputs[1] != DType::kFloat || !is_tape_byte(types.output))
    return std::nullopt;
  instr->op = types.output == DType::kInt8 ? TapeOp::kQuantizeInt8 : TapeOp::kQuantizeUint8;
  return b.instruction(*instr, in[0]);
}

std::optional<TapeValue> dequantize(B& b, const Values& in, const NodeTypes& types) {
  std::optional<TapeInstr> instr = scaling(in);
  if (!instr || !is_tape_byte(types.inputs[0]) || types.output != DType::kFloat)
    return std::nullopt;
  instr->op = TapeOp::kDequantize;
  return b.instruction(*instr, in[0]);
}

std::optional<TapeValue> lower_operator(B& b, const Node& node, const Values& in,
                                        const NodeTypes& types, std::string* why) {
  const bool quantizes = node.is("QuantizeLinear"), dequantizes = node.is("DequantizeLinear");
  if (quantizes || dequantizes) {
    std::optional<TapeValue> value =
        quantizes ? quantize(b, node, in, types) : dequantize(b, in, types);
    if (!value) *why = cat(node.op->kind, " that is not of bytes, or by axis");
    return value;
  }
  for (const DType dtype : types.inputs) {
    if (!is_tape_byte(dtype)) continue;
    *why = cat("dtype ", dtype_name(dtype));
    return std::nullopt;
  }
  return apply_rule(b, node, in, why);
}

NodeTypes types_of(const Graph& body, const Node& node) {
  NodeTypes types;
  for (ValueId v : node.inputs)
    types.inputs.push_back(v.valid() ? body.value(v).type.dtype : DType::kUndefined);
  types.output = body.value(node.output()).type.dtype;
  return types;
}

// The values of a region's outputs.
std::optional<Values> lower_body(B& b, const Graph& body, const NodeSpec& spec, std::string* why) {
  std::vector<std::optional<TapeValue>> known(body.value_count());
  for (size_t i = 0; i < body.inputs().size() && i < spec.inputs.size(); ++i) {
    known[body.inputs()[i].index] = spec.has(i) ? input_value(b, spec, i) : absent();
  }
  const auto value_of = [&](ValueId id) -> std::optional<TapeValue> {
    if (!id.valid()) return absent();
    std::optional<TapeValue>& slot = known[id.index];
    if (!slot && body.value(id).is_constant()) slot = constant_value(b, body.value(id).constant);
    return slot;
  };
  for (NodeId id : body.topological_order()) {
    const Node& node = body.node(id);
    Values in;
    for (ValueId v : node.inputs) {
      const std::optional<TapeValue> value = value_of(v);
      if (!value) {
        *why = cat("an operand of ", node.op->full_name(), " is neither float nor bool");
        return std::nullopt;
      }
      in.push_back(*value);
    }
    if (node.outputs.size() != 1) {
      *why = cat(node.op->full_name(), " with several results");
      return std::nullopt;
    }
    known[node.output().index] = lower_operator(b, node, in, types_of(body, node), why);
    if (!known[node.output().index]) return std::nullopt;
  }
  Values results;
  for (const GraphOutput& o : body.outputs()) {
    const std::optional<TapeValue> v = value_of(o.value);
    if (!v) return std::nullopt;
    results.push_back(*v);
  }
  return results;
}

std::optional<Values> lower_node(B& b, const NodeSpec& spec, std::string* why) {
  Values in;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const std::optional<TapeValue> v = spec.has(i) ? input_value(b, spec, i) : absent();
    if (!v) {
      *why = cat("dtype ", dtype_name(spec.inputs[i].dtype));
      return std::nullopt;
    }
    in.push_back(*v);
  }
  NodeTypes types{{}, spec.outputs[0].dtype};
  for (const TensorSpec& input : spec.inputs) types.inputs.push_back(input.dtype);
  const std::optional<TapeValue> value = lower_operator(b, *spec.node, in, types, why);
  return value ? std::optional<Values>(Values{*value}) : std::nullopt;
}

// Scale and shift a channel, where all four parameters are constants.
std::optional<Values> lower_batch_norm(B& b, const NodeSpec& spec, std::string* why) {
  *why = "parameters that are not constant floats, or training mode";
  if (spec.node->attributes.i("training_mode", 0) != 0 || spec.inputs.size() != 5) return {};
  if (spec.inputs[0].dtype != DType::kFloat || spec.inputs[0].dims.size() < 2) return {};
  const int64_t channels = spec.inputs[0].dims[1];
  for (size_t i = 1; i < 5; ++i) {
    const Tensor* t = spec.constant(i);
    if (t == nullptr || t->dtype() != DType::kFloat || t->count() != channels) return {};
  }
  Dims dims(spec.inputs[0].dims.size() - 1, 1);
  dims[0] = channels;
  Tensor scale(DType::kFloat, dims);
  Tensor shift(DType::kFloat, dims);
  const double epsilon = spec.node->attributes.f("epsilon", 1e-5f);
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    const auto at = [&](size_t i) {
      return static_cast<double>(spec.constant(i)->data<float>()[c]);
    };
    const double factor = at(1) / std::sqrt(at(4) + epsilon);
    scale.data<float>()[c] = static_cast<float>(factor);
    shift.data<float>()[c] = static_cast<float>(at(2) - at(3) * factor);
  }
  const TapeValue x = b.source({.input = 0, .constant = {}, .dtype = DType::kFloat});
  const TapeValue s = b.source({.constant = scale, .dtype = DType::kFloat});
  const TapeValue t = b.source({.constant = shift, .dtype = DType::kFloat});
  return Values{b.ternary(TapeOp::kMulAdd, x, s, t)};
}

}  // namespace

std::vector<const char*> elementwise_kinds() {
  std::vector<const char*> kinds = ruled_kinds();
  for (const char* kind : {"BatchNormalization", "DequantizeLinear", "QuantizeLinear"})
    kinds.push_back(kind);
  return kinds;
}

std::optional<Tape> lower(const NodeSpec& spec, std::string* why) {
  std::vector<DType> dtypes;
  for (const TensorSpec& out : spec.outputs) {
    if (!is_readable(out.dtype)) {
      *why = cat("output dtype ", dtype_name(out.dtype));
      return std::nullopt;
    }
    dtypes.push_back(out.dtype);
  }
  const Node& node = *spec.node;
  B builder;
  std::optional<Values> values;
  if (!node.subgraphs.empty()) {
    values = lower_body(builder, *node.subgraphs[0].graph, spec, why);
  } else if (node.is("BatchNormalization")) {
    values = lower_batch_norm(builder, spec, why);
  } else {
    values = lower_node(builder, spec, why);
  }
  if (!values) return std::nullopt;
  if (values->size() != dtypes.size()) {
    *why = "outputs that nobody wants";
    return std::nullopt;
  }
  std::optional<Tape> tape = builder.finish(*values, dtypes);
  if (!tape) *why = "too many registers";
  return tape;
}

}  // namespace treadle::cpu
